import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import arcwise
from arcwise.bundle import add_thresholds
from arcwise.cli import main
from arcwise.errors import ArcwiseError
from arcwise.evaluation import clustering
from arcwise.verbs.cluster import cluster, write_clusters
from arcwise.verbs.cluster_decisions import drawn_pairs, read_decisions
from arcwise.verbs.cluster_identities import cluster_identities
from arcwise.verbs.cluster_page import doubtful_members, doubtful_splits, write_cluster_page
from tests.report import chromium
from tests.report.checks import faults
from tests.verbs.conftest import Shop, threshold

HOSTILE = '<script>alert("1")</script>'


def vectors_of(ids: np.ndarray, spread: float = 0.5, seed: int = 0) -> np.ndarray:
    centres = np.random.default_rng(1).normal(size=(ids.max() + 1, 32))
    draw = np.random.default_rng(seed)
    return (centres[ids] + spread * draw.normal(size=(len(ids), 32))).astype(np.float32)


def table(path: Path, names: list[str], vectors: np.ndarray, column: str = "name") -> Path:
    rows = pa.array(vectors.astype(np.float32).tolist(), pa.list_(pa.float32(), vectors.shape[1]))
    pq.write_table(pa.table({column: names, "vector": rows}), path)
    return path


@pytest.fixture
def people(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """Embeddings of sixty identities, four of each."""
    ids = np.repeat(np.arange(60), 4)
    names = [f"{one}-{n}" for n, one in enumerate(ids)]
    return table(tmp_path / "people.parquet", names, vectors_of(ids)), ids


def test_finds_identities_and_again_the_same(people: tuple[Path, np.ndarray]) -> None:
    path, ids = people
    found = cluster(path)
    assert float(clustering(ids, found.ids, draws=2).bcubed_f) > 0.95
    assert (found.ids == cluster(path).ids).all()
    written = write_clusters(found, path.parent / "c.csv")
    assert len(written.read_text().splitlines()) == 241
    with pytest.raises(ArcwiseError, match="txt"):
        write_clusters(found, path.parent / "c.txt")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_extending_keeps_ids(people: tuple[Path, np.ndarray], tmp_path: Path, ending: str) -> None:
    path, ids = people
    half = np.arange(240) % 4 < 2
    names = [f"{one}-{n}" for n, one in enumerate(ids)]
    first = table(tmp_path / "first.parquet", [n for n, h in zip(names, half, strict=True) if h],
                  vectors_of(ids)[half])  # fmt: skip
    earlier = cluster(first)
    write_clusters(earlier, tmp_path / f"half.{ending}")
    later = cluster(path, extend=tmp_path / f"half.{ending}")
    assert (later.ids[half] == earlier.ids).all()
    new = later.ids[~half]
    assert float(clustering(ids[~half], new, draws=2).bcubed_f) > 0.9
    assert set(new) - set(earlier.ids) <= set(range(earlier.ids.max() + 1, 240))
    fewer = cluster(first, extend=write_clusters(later, tmp_path / "all.csv"))
    assert (fewer.ids == earlier.ids).all()
    assert any("120 images" in note for note in fewer.notes)


def test_decisions_hold_and_measure(people: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, _ = people
    pairs = [
        {"a": "0-0", "b": "1-4", "same": True, "drawn": ""},
        {"a": "2-8", "b": "2-9", "same": True, "drawn": "x"},
        {"a": "2-9", "b": "2-8", "same": False, "drawn": "x"},
        {"a": "3-12", "b": "3-13", "same": True, "drawn": "x"},
        {"a": "4-16", "b": "4-17", "same": None, "drawn": "x"},
        {"a": "0-0", "b": "nobody", "same": True, "drawn": ""},
    ]
    file = tmp_path / "decisions.json"
    file.write_text(json.dumps({"kind": "arcwise decisions", "version": 1, "pairs": pairs}))
    found = cluster(path, decisions=file)
    assert found.ids[0] == found.ids[4]
    assert found.ids[8] != found.ids[9]
    assert found.decisions.elsewhere == 1
    precision = found.decisions.precision
    assert precision is not None
    assert float(precision) == 0.5  # of the last answers: one the same, one not, one not known
    assert precision.low < 0.5 < precision.high
    file.write_text("{}")
    with pytest.raises(ArcwiseError, match=r"decisions\.json"):
        read_decisions(file, {})


def test_drawn_pairs_estimate_the_pairwise_precision(people: tuple[Path, np.ndarray]) -> None:
    path, ids = people
    labels = cluster(path, threshold=0.5).clusters.labels
    labels = np.where(labels % 7 == 0, 0, labels)  # worse than found
    pairs = drawn_pairs(labels, 0, 4000)
    assert (labels[pairs[:, 0]] == labels[pairs[:, 1]]).all()
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    rates = []
    for seed in range(60):
        several = drawn_pairs(labels, seed, 40)
        rates.append((ids[several[:, 0]] == ids[several[:, 1]]).mean())
    truth = float(clustering(ids, labels, draws=2).pairwise_precision)
    assert np.mean(rates) == pytest.approx(truth, abs=0.05)
    assert len(drawn_pairs(np.arange(5), 0)) == 0


def test_bad_input(people: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, ids = people
    nan = vectors_of(ids)
    nan[5, 3] = np.nan
    with pytest.raises(ArcwiseError, match="row 6: vector holds a NaN"):
        cluster(table(tmp_path / "nan.parquet", ["x"] * 240, nan))
    with pytest.raises(ArcwiseError, match="twice"):
        cluster(
            table(tmp_path / "twice.parquet", ["x"] * 240, vectors_of(ids)),
            extend=write_clusters(cluster(path), tmp_path / "c.csv"),
        )
    (tmp_path / "other.csv").write_text("image,identity\na.jpg,b\n")
    with pytest.raises(ArcwiseError, match="cluster"):
        cluster(path, extend=tmp_path / "other.csv")
    with pytest.raises(ArcwiseError, match="no gallery"):
        cluster(path, far=0.1)
    one = cluster(table(tmp_path / "one.parquet", ["x"], vectors_of(ids)[:1]))
    assert one.ids.tolist() == [0]


def test_a_gallery_names_clusters_and_leaves_them(stock: Shop) -> None:
    """At FAR 0.1 the tiny model's threshold accepts everything, at 0.001 next to nothing."""
    alone = cluster(stock.photos, model=stock.model, cached=False)
    for far in (0.1, 0.001):
        found = cluster(stock.photos, gallery=stock.gallery, far=far, cached=False)
        assert (found.ids == alone.ids).all()
        assert found.clusters.links.threshold == alone.clusters.links.threshold
        assert found.accepted is not None
        accepted = found.accepted.identities
        assert (None in accepted) is (far == 0.001)
        columns = found.table().to_pydict()
        assert columns["identity"] == found.identities
        assert columns["accepted"] == accepted
        of_cluster = dict(zip(found.ids.tolist(), found.identities, strict=True))
        assert [of_cluster[one] for one in found.ids.tolist()] == found.identities
    assert cluster(stock.photos, gallery=stock.gallery, far=0.1, cached=False).notes == ()


def test_a_gallery_whose_rate_is_not_known(shop: Shop) -> None:
    few = replace(threshold(0.1, -1.0), identities=3)
    add_thresholds(shop.model, (few,), measured_on="three", digests={})
    found = cluster(shop.photos, gallery=shop.gallery, cached=False)
    assert any("3 identities" in note for note in found.notes)


def of_model(path: Path, fingerprint: str, dim: int) -> Path:
    names = [f"{one}.jpg" for one in range(60)]
    vectors = np.random.default_rng(0).normal(size=(60, dim))
    made = pq.read_table(table(path, names, vectors))
    if fingerprint:
        made = made.replace_schema_metadata({"arcwise.fingerprint": fingerprint})
    pq.write_table(made, path)
    return path


def test_a_gallery_of_another_model(stock: Shop, tmp_path: Path) -> None:
    path, model = tmp_path / "e.parquet", arcwise.load(stock.model)
    with pytest.raises(ArcwiseError, match="beefbeef"):
        cluster(of_model(path, "beef" * 16, model.dim), gallery=stock.gallery)
    with pytest.raises(ArcwiseError, match=f"{model.dim + 1}"):
        cluster(of_model(path, "", model.dim + 1), gallery=stock.gallery)
    unknown = cluster(of_model(path, "", model.dim), gallery=stock.gallery, far=0.1)
    assert any("e.parquet" in note for note in unknown.notes)
    same = cluster(of_model(path, model.fingerprint, model.dim), gallery=stock.gallery, far=0.1)
    assert same.notes == ()


def test_which_clusters_have_an_identity() -> None:
    """Four of a quarter, of two thirds, or less; decided apart; named before."""
    labels = np.repeat(np.arange(6), 8)
    found: list[str | None] = [None] * 48
    found[0:2] = ["a"] * 2  # a quarter
    found[8:9] = ["a"]  # less
    found[16:19] = ["a", "a", "b"]  # two thirds
    found[24:28] = ["a", "a", "b", "b"]
    found[32:40] = ["c"] * 8
    found[40:44] = ["c"] * 4
    nothing = np.zeros((0, 2), np.int64)
    given = cluster_identities(labels, found, nothing, {})
    assert given.of == {0: "a", 2: "a", 4: "c", 5: "c"}
    assert (given.conflicts, given.minorities, given.apart) == (1, 1, 0)
    apart = cluster_identities(labels, found, np.array([[32, 47], [0, 1]]), {})
    assert apart.of == {0: "a", 2: "a", 4: "c"}
    assert apart.apart == 1
    before = cluster_identities(labels, found, np.array([[32, 47]]), {5: "c", 3: "z"})
    assert before.of == {0: "a", 2: "a", 3: "z", 5: "c"}


def decisions_of(path: Path, *pairs: tuple[str, str, bool | None], drawn: str = "") -> Path:
    listed = [{"a": a, "b": b, "same": same, "drawn": drawn} for a, b, same in pairs]
    path.write_text(json.dumps({"kind": "arcwise decisions", "version": 1, "pairs": listed}))
    return path


def test_decisions_come_before_earlier_ids(people: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, _ = people
    earlier = cluster(path)
    table_of = write_clusters(earlier, tmp_path / "c.csv")
    file = decisions_of(tmp_path / "d.json", ("0-0", "1-4", True), ("2-8", "2-9", False))
    found = cluster(path, extend=table_of, decisions=file)
    assert found.ids[0] == found.ids[4] == min(earlier.ids[0], earlier.ids[4])
    assert found.ids[8] != found.ids[9]
    assert earlier.ids[8] in found.ids[8:12]
    assert (found.ids[12:] == earlier.ids[12:]).all()
    assert len(found.notes) == 2


def test_contradictions_name_images(people: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    file = decisions_of(
        tmp_path / "d.json", ("0-0", "1-4", True), ("1-4", "2-8", True), ("2-8", "0-0", False)
    )
    with pytest.raises(ArcwiseError, match="1-4 and 2-8"):
        cluster(people[0], decisions=file)


def test_decisions_of_other_data(people: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    file = decisions_of(tmp_path / "d.json", ("x", "y", True), drawn="z")
    with pytest.raises(ArcwiseError, match=r"d\.json.*people\.parquet"):
        cluster(people[0], decisions=file)
    pairs = [("x", "y", False), ("0-0", "0-1", True)]
    found = cluster(people[0], decisions=decisions_of(file, *pairs, drawn="z"))
    assert found.decisions.precision == 1.0  # of the pair that is here
    assert found.decisions.elsewhere == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"kind": "arcwise decisions", "pairs": [', "cut off"),
        ('{"kind": "arcwise label decisions"}', "arcwise label decisions"),
        ("[]", "no kind"),
        ('{"kind": "arcwise decisions"}', "'pairs'"),
        ('{"kind": "arcwise decisions", "pairs": [{"a": "x", "b": "y", "same": "yes"}]}', "'yes'"),
        ('{"kind": "arcwise decisions", "pairs": [{"a": "x"}]}', "number 1"),
        ('{"kind": "arcwise decisions", "pairs": [7]}', "number 1"),
    ],
)
def test_files_that_hold_no_decisions(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "d.json").write_text(text)
    with pytest.raises(ArcwiseError, match=said):
        read_decisions(tmp_path / "d.json", {})


def test_new_images_join_earlier_clusters(tmp_path: Path) -> None:
    """With the earlier embeddings beside the new ones; alone they could join none."""
    ids = np.repeat(np.arange(60), 4)
    vectors, names = vectors_of(ids), [f"{one}-{n}" for n, one in enumerate(ids)]
    half = np.arange(240) % 4 < 2
    (tmp_path / "new").mkdir()
    old, new = (
        table(folder / "e.parquet", [n for n, h in zip(names, some, strict=True) if h],
              vectors[some], "image")
        for folder, some in ((tmp_path, half), (tmp_path / "new", ~half))
    )  # fmt: skip
    earlier = cluster(old)
    table_of = write_clusters(earlier, tmp_path / "c.parquet")
    with pytest.raises(ArcwiseError, match="none of its 120 images"):
        cluster(new, extend=table_of)
    both = cluster([old, new], extend=table_of)
    assert both.names[:120] == earlier.names
    assert both.names[120] == f"new/{names[2]}"
    assert (both.ids[:120] == earlier.ids).all()
    joined = [one for one in both.ids[120:].tolist() if one in set(earlier.ids.tolist())]
    assert len(joined) > 100


def test_tables_that_do_not_go_together(tmp_path: Path) -> None:
    first = of_model(tmp_path / "a.parquet", "beef" * 16, 8)
    with pytest.raises(ArcwiseError, match=r"different models"):
        cluster([first, of_model(tmp_path / "b.parquet", "cafe" * 16, 8)])
    with pytest.raises(ArcwiseError, match="9 dimensions"):
        cluster([first, of_model(tmp_path / "b.parquet", "beef" * 16, 9)])
    (tmp_path / "c.csv").write_text("image\na.jpg\n")
    (tmp_path / "a.jpg").touch()
    with pytest.raises(ArcwiseError, match="no vectors"):
        cluster([first, tmp_path / "c.csv"])


@pytest.fixture
def pictured(tmp_path: Path) -> Path:
    """Images of forty identities with embeddings, and names that have to be escaped."""
    ids = np.repeat(np.arange(40), 4)
    folder = tmp_path / "images"
    folder.mkdir()
    names = []
    for row, one in enumerate(ids):
        name = f"images/{HOSTILE.replace('/', '') if row == 0 else ''}{one}-{row}.png"
        pixels = np.full((48, 48, 3), 5 * one, np.uint8)
        cv2.putText(pixels, str(one), (4, 36), 0, 1, (200, 250, 255))
        (tmp_path / name).write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        names.append(name)
    return table(tmp_path / "e.parquet", names, vectors_of(ids, 0.85), "image")


@pytest.fixture(scope="module")
def browser() -> Iterator[chromium.Browser]:
    if chromium.executable() is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with chromium.running() as one:
        yield one


def test_page_asks_and_its_answers_are_taken(
    pictured: Path, browser: chromium.Browser, tmp_path: Path
) -> None:
    found = cluster(pictured)
    members, splits = doubtful_members(found.clusters), doubtful_splits(found.clusters)
    assert len(members)
    assert len(splits)
    labels = found.clusters.labels
    assert (labels[members[:, 0]] == labels[members[:, 1]]).all()
    assert (labels[splits[:, 0]] != labels[splits[:, 1]]).all()
    page = write_cluster_page(tmp_path / "page.html", found)
    visit = browser.visit(page, width=1280)
    asked = visit.ask('document.querySelectorAll(".judge").length')
    assert asked > len(members) + len(splits)
    script = 'document.querySelectorAll(".judge button:nth-child({})").forEach(b => b.click())'
    visit.ask(script.format(2))
    visit.ask('document.querySelector(".judge button:nth-child(1)").click()')
    assert visit.ask('document.getElementById("count").textContent').startswith(f"{asked} of")
    answered = visit.ask("decisions()")
    visit.screenshot(tmp_path / "page.png")
    assert not visit.errors
    assert not visit.requests
    assert not faults(visit, 1280)
    file = tmp_path / "decisions.json"
    file.write_text(answered)
    again = cluster(pictured, decisions=file)
    a, b = members[0]
    assert again.ids[a] == again.ids[b]
    for a, b in members[1:]:
        assert again.ids[a] != again.ids[b]
    precision = again.decisions.precision
    assert precision is not None
    assert float(precision) < 0.1
    text = write_cluster_page(tmp_path / "again.html", again).read_text()
    assert text.count('"same": true') == 1
    assert HOSTILE.replace("/", "") not in text


def test_command(people: tuple[Path, np.ndarray], tmp_path: Path, capsys) -> None:
    path, _ = people
    out = tmp_path / "c.csv"
    assert main(["cluster", str(path), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "240 images" in printed
    assert "own pairs" in printed  # the reason of the threshold
    assert main(["cluster", str(path), "--out", str(out)]) == 2
    assert "exists" in capsys.readouterr().err
    json_out = str(tmp_path / "d.csv")
    assert main(["cluster", "-", str(path), "--out", json_out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 240
    page = str(tmp_path / "p.html")
    words = ["cluster", str(path), "--out", str(tmp_path / "e.csv"), "--page"]
    assert main([*words, page]) == 2
    assert "without images" in capsys.readouterr().err
    assert not (tmp_path / "e.csv").exists()
    assert main([*words, str(tmp_path / "p.htm")]) == 2
    assert main(["cluster", str(path), str(path), "--out", str(tmp_path / "two.csv")]) == 0
    assert "480 images" in capsys.readouterr().out


def test_a_model_and_images(stock: Shop, tmp_path: Path, capsys) -> None:
    assert main(["cluster", str(stock.model), "--out", str(tmp_path / "c.csv")]) == 2
    assert "MODEL DATA" in capsys.readouterr().err
    found = cluster(stock.photos, model=stock.model, cached=False)
    assert len(found.ids) == len(stock.photos)
    assert any("calibration rests on 10 identities" in note for note in found.notes)
    few = cluster(stock.photos.select(range(40)), model=stock.model, cached=False)
    assert "calibration" in few.clusters.links.reason


def test_vectors_without_their_images(pictured: Path, tmp_path: Path, capsys) -> None:
    """Only a page needs them."""
    moved = tmp_path / "elsewhere" / "e.parquet"
    moved.parent.mkdir()
    pictured.rename(moved)
    words = ["cluster", str(moved), "--out", str(tmp_path / "c.csv")]
    assert main([*words, "--page", str(tmp_path / "p.html")]) == 2
    assert "--images" in capsys.readouterr().err
    assert not (tmp_path / "c.csv").exists()
    assert main(words) == 0
