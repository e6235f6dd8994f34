"""Only identities that the model was not made with are measured, and the figures are exact."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from arcwise import evaluation, runtime
from arcwise.data.manifest import Manifest, open_manifest
from arcwise.errors import ArcwiseError
from arcwise.verbs.evaluate import evaluate
from arcwise.verbs.evaluated import Evaluation
from arcwise.verbs.evaluated_files import as_dict
from arcwise.verbs.train import TrainResult


@pytest.fixture(scope="module")
def measured(served: Path, products: Path, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return evaluate(served, products, out=tmp_path_factory.mktemp("evaluation") / "deep" / "er")


def changed(manifest: Manifest, **columns: list[object]) -> Manifest:
    """The manifest with some columns replaced or, given nothing, taken out."""
    table = manifest.table
    for name, values in columns.items():
        if name in table.column_names:
            table = table.drop_columns(name)
        if values:
            table = table.append_column(name, pa.array(values, pa.string()))
    return Manifest(table, manifest.root, manifest.name)


def test_used_identities_are_left_out_and_counted(measured: Evaluation, new: Manifest) -> None:
    assert (measured.left_out, measured.used) == (24, "")
    assert measured.manifest.images == new.images
    assert measured.manifest.classes == new.classes


def test_the_figures_are_those_of_the_protocols(
    measured: Evaluation, served: Path, new: Manifest
) -> None:
    vectors = runtime.embed_manifest(runtime.load(served), new).vectors
    np.testing.assert_array_equal(measured.vectors, vectors)
    rates = dict(measured.rates())
    retrieval = evaluation.retrieval(vectors, new.identities)
    assert rates["recall@1, leave one out"] == retrieval.recall_at(1)
    assert rates["MAP@R, leave one out"] == retrieval.map_at_r
    same = evaluation.verification_from_embeddings(vectors, new.identities)
    assert rates["TAR at FAR 0.01"] == same.tar_at(1e-2)
    assert rates["equal-error rate"] == same.eer
    assert "TAR at FAR 0.001" not in rates  # 2376 impostor pairs do not resolve it
    assert [rate.low <= rate <= rate.high for rate in rates.values()] == [True] * len(rates)


def test_the_rare_domain_is_the_gallery(measured: Evaluation, new: Manifest) -> None:
    studio = np.array(new.column("domain")) == "studio"
    ids = np.array(new.identities)
    similarity = measured.vectors[~studio] @ measured.vectors[studio].T
    closed = evaluation.identification(similarity, ids[~studio], ids[studio])
    assert measured.gallery == "studio pictures"
    assert measured.closed is not None
    assert measured.closed.rank(1) == closed.rank(1)
    assert measured.open is not None
    assert measured.open.identities == 6  # half of twelve
    assert len(measured.open.unknown) == len(measured.open.rank_of_mate) == 30


def test_without_a_rare_domain_one_picture_each(served: Path, new: Manifest) -> None:
    for domains in ([], ["shop"] * len(new), ["studio", *["shop"] * (len(new) - 1)]):
        result = evaluate(served, changed(new, domain=list(domains)))
        assert result.gallery == "one picture each"
        assert result.closed is not None
        assert len(result.closed.rank_of_mate) == 60
        assert result.closed.identities == 12


def test_seeded(served: Path, new: Manifest) -> None:
    plain = changed(new, domain=[])
    one, again, other = (evaluate(served, plain, seed=seed) for seed in (3, 3, 4))
    assert as_dict(one) == as_dict(again)
    assert as_dict(one)["models"] != as_dict(other)["models"]


def test_held_out_ones_serve_when_there_are_no_others(
    trained: TrainResult, served: Path, known: Manifest
) -> None:
    result = evaluate(served, known)
    held = {*trained.parts.choose.classes, *trained.parts.calibrate.classes}  # type: ignore[union-attr]
    assert set(result.manifest.classes) == held
    assert result.left_out == 14
    assert result.used.startswith("not trained on, but")
    assert as_dict(result)["data"]["used_before"] == result.used


def test_trained_on_is_never_measured(trained: TrainResult, served: Path) -> None:
    with pytest.raises(ArcwiseError, match="trained on all but 0 of its 14 identities"):
        evaluate(served, trained.parts.train)


def test_the_files(measured: Evaluation) -> None:
    assert measured.report is not None
    saved = json.loads((measured.report.parent / "results.json").read_text())
    assert saved == as_dict(measured)
    assert saved["data"]["identities_left_out"] == 24
    (model,) = saved["models"]
    eer = next(one for one in model["results"] if one["measure"] == "equal-error rate")
    assert eer["value"] == measured.verification.eer
    assert measured.report.read_text().startswith("<!DOCTYPE html>")


def test_without_the_drawing_library_there_are_results(
    served: Path, new: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert evaluate(served, new, out=tmp_path).report is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.csv", "results.json"]


def test_test_rows_are_taken_where_there_are_some(served: Path, new: Manifest) -> None:
    half = ["test" if label % 2 else "train" for label in new.labels]
    assert len(evaluate(served, changed(new, split=list(half))).manifest.classes) == 6
    assert len(evaluate(served, changed(new, split=["val"] * len(new))).manifest.classes) == 12


def test_unreadable_pictures_are_listed(served: Path, new: Manifest) -> None:
    images = ["gone.jpg", *new.images[1:]]
    result = evaluate(served, changed(new, image=list(images)))
    assert [error.name for error in result.failures] == ["gone.jpg"]
    assert as_dict(result)["data"]["pictures_unreadable"] == 1
    assert len(result.manifest) == len(result.vectors) == 71


def test_nothing_to_compare(served: Path, new: Manifest) -> None:
    with pytest.raises(ArcwiseError, match="one readable picture of each of 12 identities"):
        evaluate(served, new.select(np.unique(new.labels, return_index=True)[1]))
    with pytest.raises(ArcwiseError, match="got 1 identity; expected 2 or more"):
        evaluate(served, new.select(range(6)))


class TestPairs:
    """A CSV of pairs to verify."""

    @pytest.fixture
    def lines(self, new: Manifest) -> list[str]:
        ids, images = new.identities, new.images
        rng = np.random.default_rng(0)
        found = []
        for number in range(40):
            a = int(rng.integers(len(ids)))
            wanted = [
                row for row in range(len(ids)) if row != a and (ids[row] == ids[a]) == number % 2
            ]
            b = int(rng.choice(wanted))
            found.append(f"{images[a]},{images[b]},{number % 2},{number // 10}")
        return found

    def write(self, folder: Path, header: str, lines: list[str], encoding: str = "utf-8") -> Path:
        path = folder / "pairs.csv"
        path.write_text("\n".join([header, *lines]) + "\n", encoding=encoding)
        return path

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
    def test_measured_exactly(
        self, served: Path, new: Manifest, lines: list[str], tmp_path: Path, encoding: str
    ) -> None:
        pairs = self.write(tmp_path, "a,b,same,fold", lines, encoding)
        result = evaluate(served, new, pairs=pairs)
        rows = [line.split(",") for line in lines]
        place = {image: row for row, image in enumerate(new.images)}
        scores = [
            float(result.vectors[place[row[0]]] @ result.vectors[place[row[1]]]) for row in rows
        ]
        direct = evaluation.verification(
            np.array(scores, np.float32),
            np.array([row[2] == "1" for row in rows]),
            np.array([int(row[3]) for row in rows]),
        )
        assert result.verification.accuracy == pytest.approx(float(direct.accuracy))
        assert result.verification.eer == pytest.approx(float(direct.eer))
        assert dict(result.rates())["accuracy over the folds"] == result.verification.accuracy

    def test_ten_folds_where_none_are_named(
        self, served: Path, new: Manifest, lines: list[str], tmp_path: Path
    ) -> None:
        cut = [line.rpartition(",")[0] for line in lines]
        result = evaluate(served, new, pairs=self.write(tmp_path, "a,b,same", cut))
        assert result.verification.folds is not None
        assert len(result.verification.folds.accuracy) == 10

    def test_pictures_left_out_are_not_pairs(
        self, served: Path, products: Path, tmp_path: Path
    ) -> None:
        first = open_manifest(products).images[0]
        path = self.write(tmp_path, "a,b,same", [f"{first},{first},1"])
        with pytest.raises(ArcwiseError, match="in each of the 1 pairs something is not measured"):
            evaluate(served, products, pairs=path)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "empty"),
            (b"a,b,same\n", "no pair in it"),
            (b"a,b\nx,y\n", "no column same; expected a, b and same"),
            (b"left,right,label\nx,y,1\n", "no column a, b, same"),
            (b"a,b,same\nnone.jpg,none.jpg,1\n", r"row 1: 'none\.jpg' is not one of the 72"),
            (b"a,b,same\nIMAGE,IMAGE,maybe\n", "row 1: same is 'maybe'; expected 1 or 0"),
            (b"a,b,same\nIMAGE,IMAGE,1\nIMAGE\n", "row 2 has 1 columns"),
            (b"a,b,same\nIMAGE,IMAGE,1,2\n", "4 columns"),
            (b"a,b,same,same\nIMAGE,IMAGE,1,1\n", "more than once"),
            (b"a,b,same\nIMAGE,\xff\xfe,1\n", "not UTF-8"),
            (b"a,b,same\nIMAGE,IMAGE,1\n", "1 mated and 0 impostor pairs"),
            (b"a,b,same\nIMAGE,IMAGE,0\nIMAGE,IMAGE,1\n", "agree"),
            (b"a,b,same,fold\nIMAGE,OTHER,0,0\nIMAGE,IMAGE,1,0\n", "fold"),
        ],
    )
    def test_hostile(
        self, served: Path, new: Manifest, tmp_path: Path, content: bytes, said: str
    ) -> None:
        path = tmp_path / "pairs.csv"
        for name, image in ((b"IMAGE", new.images[0]), (b"OTHER", new.images[-1])):
            content = content.replace(name, image.encode())
        path.write_bytes(content)
        with pytest.raises(ArcwiseError, match=said):
            evaluate(served, new, pairs=path)

    def test_no_file(self, served: Path, new: Manifest, tmp_path: Path) -> None:
        for path in (tmp_path, tmp_path / "none.csv"):
            with pytest.raises(ArcwiseError, match="cannot be read"):
                evaluate(served, new, pairs=path)
