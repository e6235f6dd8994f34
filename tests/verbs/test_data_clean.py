from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from arcwise.cli import main
from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ArcwiseError
from arcwise.verbs.data_clean import clean, write_label_errors
from arcwise.verbs.data_clean_decisions import apply_decisions, read_label_decisions
from arcwise.verbs.data_clean_page import write_label_page
from tests.report import chromium
from tests.report.checks import faults
from tests.verbs.conftest import Shop

HOSTILE = '<script>alert("1")<'


def vectors_of(ids: np.ndarray, spread: float = 0.4) -> np.ndarray:
    draw = np.random.default_rng(1)
    centres = draw.normal(size=(ids.max() + 1, 48))
    return (centres[ids] + spread * draw.normal(size=(len(ids), 48))).astype(np.float32)


def with_vectors(table: dict[str, Any], vectors: np.ndarray, path: Path) -> Path:
    rows = pa.array(vectors.tolist(), pa.list_(pa.float32(), vectors.shape[1]))
    pq.write_table(pa.table(table | {"vector": rows}), path)
    return path


def wrongly_labelled() -> tuple[list[str | None], np.ndarray]:
    """Sixty products, five images each: one image moved, one product with two names, two with one.

    Row 0 is of p00 and called p10; p20 is also called p20b; p30 and p31 are both called p31.
    """
    ids = np.repeat(np.arange(60), 5)
    labels: list[str | None] = [f"p{one:02}" for one in ids]
    labels[0] = "p10"
    labels[100:102] = ["p20b"] * 2
    labels[150:155] = ["p31"] * 5
    return labels, ids


@pytest.fixture
def embeddings(tmp_path: Path) -> Path:
    labels, ids = wrongly_labelled()
    names = [f"image {row}" for row in range(300)]
    table = {"name": names, "identity": labels}
    return with_vectors(table, vectors_of(ids), tmp_path / "e.parquet")


@pytest.fixture(scope="module")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with images, of which one has a copy under another name, and names to escape."""
    folder = tmp_path_factory.mktemp("pictured")
    (folder / "images").mkdir()
    labels, ids = wrongly_labelled()
    draw, names = np.random.default_rng(0), []
    labels[7] = HOSTILE
    for row, one in enumerate(ids):
        colour = cv2.resize(draw.integers(0, 256, (5, 5, 3), np.uint8), (64, 64))
        cv2.putText(colour, str(one), (4, 40), 0, 1, (200, 250, 255))
        names.append(f"images/{row}.jpg")
        (folder / names[-1]).write_bytes(cv2.imencode(".jpg", colour)[1].tobytes())
    vectors = vectors_of(ids)
    copy = cv2.imread(str(folder / names[200]))
    worse = cv2.imencode(".jpg", copy, [cv2.IMWRITE_JPEG_QUALITY, 50])[1].tobytes()
    (folder / "images/copy.jpg").write_bytes(worse)
    vectors = np.concatenate([vectors, vectors[200:201] + np.float32(0.01)])
    table = {"image": [*names, "images/copy.jpg"], "identity": [*labels, "p50"]}
    return with_vectors(table, vectors, folder / "e.parquet")


def test_finds_what_is_wrong(embeddings: Path, tmp_path: Path) -> None:
    report = clean(embeddings)
    found = {one.record()["kind"]: one for one in map(report.undecided, report.errors)}
    assert len(report.errors) == 3
    assert found["member"].identities == ("p10", "p00")
    assert found["member"].images == ("image 0",)
    assert found["merge"].identities == ("p20", "p20b")
    assert found["split"].identities == ("p31",)
    assert len(found["split"].images) == 5
    rows = pacsv.read_csv(write_label_errors(report, tmp_path / "errors.csv")).to_pylist()
    assert len(rows) == 1 + 2 + 5
    assert {row["error"] for row in rows} == {1, 2, 3}
    (member,) = (row for row in rows if row["kind"] == "member")
    assert (member["name"], member["identity"], member["other_identity"]) == (
        "image 0", "p10", "p00",
    )  # fmt: skip
    again = clean(embeddings)
    assert again.errors == report.errors
    assert again.table().equals(report.table())


def test_rows_without_identity_are_left_out(tmp_path: Path) -> None:
    labels, ids = wrongly_labelled()
    labels[-1] = None
    labels[-2] = ""
    table = {"identity": labels}
    report = clean(with_vectors(table, vectors_of(ids), tmp_path / "e.parquet"))
    assert len(report.names) == 298
    assert report.names[0] == "row 1"
    assert any("2 rows" in note for note in report.notes)


def test_copies_are_seen_in_the_images(pictured: Path) -> None:
    report = clean(pictured)
    first = report.undecided(report.errors[0])
    assert first.kind == "same image"
    assert first.identities == ("p40", "p50")
    assert first.images == ("images/200.jpg", "images/copy.jpg")
    assert sum(one.kind == "same image" for one in report.errors) == 1


def decisions_file(path: Path, *errors: dict[str, Any]) -> Path:
    document = {"kind": "arcwise label decisions", "version": 1, "errors": errors}
    path.write_text(json.dumps(document))
    return path


def decided(kind: str, identities: str, images: str, answer: str | None) -> dict[str, Any]:
    return {"kind": kind, "identities": identities.split(), "images": images.split(),
            "answer": answer}  # fmt: skip


def test_decisions_hold_in_the_new_table(tmp_path: Path) -> None:
    rows = {"a1": "A", "a2": "A", "a3": "A", "b1": "B", "b2": "B", "c1": "C", "d1": "D", "d2": "D",
            "e1": "E", "e2": "E", "f1": "F"}  # fmt: skip
    source = with_vectors({"name": list(rows), "identity": list(rows.values())},
                          np.eye(11, dtype=np.float32), tmp_path / "e.parquet")  # fmt: skip
    before = source.read_bytes()
    file = decisions_file(
        tmp_path / "d.json",
        decided("merge", "B C", "b1 c1", "keep"),
        decided("merge", "C B", "b1 c1", "merge"),  # the last one counts
        decided("merge", "A C", "a1 c1", "merge"),  # and B with it
        decided("member", "D C", "d1", "move"),
        decided("member", "D", "d2", "remove"),
        decided("split", "A", "a2 a3", "split"),
        decided("same image", "E F", "e1 f1", "first"),
        decided("member", "F A", "e2", "move"),  # e2 is not of F
        decided("member", "F A", "nobody", "remove"),
        decided("split", "E", "e2", None),
    )
    done = apply_decisions(source, file, tmp_path / "new.parquet")
    table = pq.read_table(done.path)
    after = dict(zip(table["name"].to_pylist(), table["identity"].to_pylist(), strict=True))
    assert after == {"a1": "A", "a2": "A (2)", "a3": "A (2)", "b1": "A", "b2": "A", "c1": "A",
                     "d1": "A", "e1": "E", "e2": "E"}  # fmt: skip
    assert (done.rows, done.identities, done.merged, done.split, done.moved) == (9, 3, 2, 1, 1)
    assert (done.removed, done.outdated) == (2, 2)
    assert len(table["vector"][0]) == 11
    assert source.read_bytes() == before
    with pytest.raises(ArcwiseError, match="exists"):
        apply_decisions(source, file, tmp_path / "new.parquet")
    with pytest.raises(ArcwiseError, match="txt"):
        apply_decisions(source, file, tmp_path / "new.txt")


@pytest.mark.parametrize(
    "wrong",
    [
        decided("merge", "A", "a", "merge"),
        decided("member", "A", "a", "move"),
        decided("member", "A B", "a", "merge"),
        decided("murder", "A B", "a", None),
        decided("split", "A", "", "split"),
        {"kind": "split"},
    ],
)
def test_decisions_that_are_none(wrong: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ArcwiseError, match=r"d\.json"):
        read_label_decisions(decisions_file(tmp_path / "d.json", wrong))


def test_what_is_decided_is_not_asked_again(embeddings: Path, tmp_path: Path) -> None:
    report = clean(embeddings)
    record = report.undecided(report.errors[0]).record()
    file = decisions_file(tmp_path / "d.json", record | {"answer": "keep"})
    again = clean(embeddings, decisions=file)
    assert again.errors == report.errors[1:]
    assert (report.decided, again.decided) == (0, 1)
    elsewhere = decisions_file(tmp_path / "e.json", decided("member", "p10", "nobody", "remove"))
    with pytest.raises(ArcwiseError, match=r"e\.json.*nobody"):
        clean(embeddings, decisions=elsewhere)


def test_images_that_are_not_there(pictured: Path, tmp_path: Path) -> None:
    """The embeddings are enough, but for copies and a page."""
    moved = tmp_path / "elsewhere" / "e.parquet"
    moved.parent.mkdir()
    shutil.copy(pictured, moved)
    report = clean(moved)
    assert {one.kind for one in report.errors} >= {"member", "merge", "split"}
    assert any("copies" in note for note in report.notes)
    words = ["data", "clean", str(moved), "--out", str(tmp_path / "c.csv")]
    assert main([*words, "--page", str(tmp_path / "p.html")]) == 2
    assert not (tmp_path / "c.csv").exists()


@pytest.fixture(scope="module")
def browser() -> Iterator[chromium.Browser]:
    if chromium.executable() is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with chromium.running() as one:
        yield one


def test_page_asks_and_its_answers_are_applied(
    pictured: Path, browser: chromium.Browser, tmp_path: Path
) -> None:
    report = clean(pictured)
    page = write_label_page(tmp_path / "page.html", report)
    assert HOSTILE not in page.read_text()
    visit = browser.visit(page, width=1280)
    assert visit.ask('document.querySelectorAll(".judge").length') == len(report.errors)
    visit.ask('document.querySelectorAll(".judge button:first-child").forEach(b => b.click())')
    assert visit.ask('document.getElementById("count").textContent').startswith(
        f"{len(report.errors)} of"
    )
    file = tmp_path / "decisions.json"
    file.write_text(visit.ask("decisions()"))
    assert not faults(visit, 1280)
    assert not faults(browser.visit(page, width=500), 500)
    done = apply_decisions(pictured, file, tmp_path / "new.csv")
    cleaned = open_manifest(done.path)
    after = {Path(image).name: one
             for image, one in zip(cleaned.images, cleaned.identities, strict=True)}  # fmt: skip
    assert after["0.jpg"] == "p00"  # moved
    assert after["100.jpg"] == after["104.jpg"] == "p20"  # one identity
    assert {after["150.jpg"], after["155.jpg"]} == {"p31", "p31 (2)"}
    assert "copy.jpg" not in after  # only of the first
    assert len(cleaned) == 300
    assert cleaned.read(0)
    again = clean(pictured, decisions=file)
    assert not again.errors
    text = write_label_page(tmp_path / "again.html", again).read_text()
    assert text.count('"answer": "move"') == 1


def test_command(embeddings: Path, pictured: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "errors.csv"
    words = ["data", "clean", str(embeddings)]
    assert main([*words, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "3 suspected errors" in printed
    assert "own pairs" in printed  # where the limits come from
    assert main([*words, "--out", str(out)]) == 2
    assert "exists" in capsys.readouterr().err
    other = str(tmp_path / "b.parquet")
    assert main([*words, "--out", other, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["errors"]["member"] == 1
    page = ["--page", str(tmp_path / "p.html"), "--out", str(tmp_path / "c.csv")]
    assert main([*words, *page]) == 2
    assert "without images" in capsys.readouterr().err
    assert not (tmp_path / "c.csv").exists()
    assert main(["data", "clean", str(pictured), *page]) == 0
    assert (tmp_path / "p.html").is_file()
    capsys.readouterr()
    gone = decided("member", "p10 p00", "x", "remove")
    file = str(decisions_file(tmp_path / "d.json", gone))
    assert main([*words, "--apply", file, "--out", str(tmp_path / "new.csv")]) == 2
    assert "no image" in capsys.readouterr().err
    member = {"kind": "member", "identities": ["p10"], "images": ["image 0"], "answer": "remove"}
    file = str(decisions_file(tmp_path / "d.json", gone, member))
    assert main([*words, "--apply", file]) == 2
    assert "--out" in capsys.readouterr().err
    assert main([*words, "--apply", file, *page]) == 2
    assert "leave the rest out" in capsys.readouterr().err
    assert main([*words, "--apply", file, "--out", str(tmp_path / "new.csv")]) == 0
    said = capsys.readouterr()
    assert "299 rows" in said.out
    assert "1 decisions" in said.err


def test_bad_input(tmp_path: Path) -> None:
    labels, ids = wrongly_labelled()
    vectors = vectors_of(ids)
    with pytest.raises(ArcwiseError, match="identit"):
        clean(with_vectors({"name": ["x"] * 300}, vectors, tmp_path / "none.parquet"))
    with pytest.raises(ArcwiseError, match="1 identities"):
        clean(with_vectors({"identity": ["x"] * 300}, vectors, tmp_path / "one.parquet"))
    vectors[5, 3] = np.nan
    with pytest.raises(ArcwiseError, match="NaN"):
        clean(with_vectors({"identity": labels}, vectors, tmp_path / "nan.parquet"))


def test_a_model_and_images(stock: Shop) -> None:
    report = clean(stock.photos, model=stock.model, cached=False)
    assert len(report.names) == len(stock.photos)
    assert any("calibration rests on 10 identities" in note for note in report.notes)
