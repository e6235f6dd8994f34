"""Only identities that the model was not made with are measured, and the figures are exact."""

from __future__ import annotations

import csv
import json
import math
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from arcwise import evaluation, runtime
from arcwise.bundle import add_thresholds, read_bundle
from arcwise.cli import main
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.evaluation import Threshold
from arcwise.protocols.result import EvaluationResult
from arcwise.runtime.cache import FORMAT
from arcwise.verbs.embed import embed
from arcwise.verbs.evaluate import evaluate
from arcwise.verbs.evaluate_files import as_dict
from arcwise.verbs.train import TrainResult


@pytest.fixture(scope="module")
def measured(
    served: Path, products: Path, tmp_path_factory: pytest.TempPathFactory
) -> EvaluationResult:
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


def test_used_identities_are_left_out_and_counted(
    measured: EvaluationResult, new: Manifest
) -> None:
    assert (measured.about.left_out, measured.about.used_before) == (24, "")
    assert measured.manifest.images == new.images
    assert measured.manifest.classes == new.classes


def test_the_figures_are_those_of_the_protocols(
    measured: EvaluationResult, served: Path, new: Manifest
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


def test_the_rare_domain_is_the_gallery(measured: EvaluationResult, new: Manifest) -> None:
    studio = np.array(new.column("domain")) == "studio"
    ids = np.array(new.identities)
    similarity = measured.vectors[~studio] @ measured.vectors[studio].T
    closed = evaluation.identification(similarity, ids[~studio], ids[studio])
    assert measured.search.description == "studio images"
    assert measured.closed is not None
    assert measured.closed.rank(1) == closed.rank(1)
    assert measured.open is not None
    assert measured.open.identities == 6  # half of twelve
    assert len(measured.open.unknown) == len(measured.open.rank_of_mate) == 30


def test_without_a_rare_domain_one_image_each(served: Path, new: Manifest) -> None:
    for domains in ([], ["shop"] * len(new), ["studio", *["shop"] * (len(new) - 1)]):
        result = evaluate(served, changed(new, domain=list(domains)))
        assert result.search.description == "one image each"
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
    held = {*trained.parts.validation.classes, *trained.parts.calibration.classes}  # type: ignore[union-attr]
    assert set(result.manifest.classes) == held
    assert result.about.left_out == 14
    assert result.about.used_before.startswith("not trained on, but")
    assert as_dict(result)["data"]["used_before"] == result.about.used_before


def test_trained_on_is_never_measured(trained: TrainResult, served: Path) -> None:
    with pytest.raises(ArcwiseError, match="trained on all but 0 of its 14 identities"):
        evaluate(served, trained.parts.train)


def test_the_files(measured: EvaluationResult) -> None:
    assert measured.report is not None
    saved = json.loads((measured.report.parent / "results.json").read_text())
    assert saved == as_dict(measured)
    assert saved["data"]["identities_left_out"] == 24
    (model,) = saved["models"]
    eer = next(one for one in model["results"] if one["metric"] == "equal-error rate")
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


def test_unreadable_images_are_listed(served: Path, new: Manifest) -> None:
    images = ["gone.jpg", *new.images[1:]]
    result = evaluate(served, changed(new, image=list(images)))
    assert [error.name for error in result.about.failures] == ["gone.jpg"]
    assert as_dict(result)["data"]["images_unreadable"] == 1
    assert len(result.manifest) == len(result.vectors) == 71


def test_nothing_to_compare(served: Path, new: Manifest) -> None:
    with pytest.raises(ArcwiseError, match="one readable image of each of 12 identities"):
        evaluate(served, new.select(np.unique(new.labels, return_index=True)[1]))
    with pytest.raises(ArcwiseError, match="got 1 identity; expected 2 or more"):
        evaluate(served, new.select(range(6)))


def test_the_second_time_nothing_is_embedded(
    served: Path, new: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ARCWISE_CACHE", str(tmp_path))
    first = evaluate(served, new)
    with monkeypatch.context() as patch:
        patch.setattr(
            "arcwise.runtime.job.decode_source", None
        )  # which nothing can be embedded without
        second = evaluate(served, new, group_by=["size"])
    assert (first.about.reused, second.about.reused) == (0, len(new))
    np.testing.assert_array_equal(second.vectors, first.vectors)
    assert second.metrics[: len(first.metrics)] == first.metrics
    shutil.rmtree(tmp_path / FORMAT)
    again = evaluate(served, new, cached=False)
    assert again.about.reused == 0
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_used_is_a_note(
    served: Path, new: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / FORMAT).write_text("")
    monkeypatch.setenv("ARCWISE_CACHE", str(tmp_path))
    result = evaluate(served, new)
    assert result.about.reused == 0
    (note,) = result.about.notes
    assert note.startswith("embeddings are not kept for the next time: ")


def test_every_number_says_what_it_is(measured: EvaluationResult) -> None:
    assert (
        {m.protocol for m in measured.metrics}
        == {
            "retrieval",
            "verification of all pairs",
            "identification, closed set",
            "identification, open set",
            "thresholds of the model",
            "groups by domain",
        }
        == {one.name for one in measured.protocols if one.measured}
    )
    assert all(m.definition and m.counts for m in measured.metrics)
    places = [(m.protocol, m.column, m.group, m.name) for m in measured.metrics]
    assert len(set(places)) == len(places)
    assert all(one.why for one in measured.protocols)
    tar = next(m for m in measured.metrics if m.name == "TAR at FAR 0.001")
    assert not tar.rate.resolved
    assert tar.counts == {"mated pairs": 180, "impostor pairs": 2376}


def test_the_table_of_numbers(measured: EvaluationResult) -> None:
    assert measured.report is not None
    with (measured.report.parent / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(measured.metrics)
    for row, m in zip(rows, measured.metrics, strict=True):
        assert (row["metric"], row["definition"], row["group"]) == (m.name, m.definition, m.group)
        assert float(row["value"]) == m.rate
        assert row["resolved"] == str(m.rate.resolved)
        assert row["fingerprint"] == measured.fingerprint


def test_groups_by_domain(measured: EvaluationResult, new: Manifest) -> None:
    (breakdown,) = measured.breakdowns
    domain, ids = np.array(new.column("domain")), np.array(new.identities)
    assert breakdown.column == "domain"
    assert list(breakdown.groups) == ["shop", "shop × studio"]
    assert breakdown.unmeasured == {"studio": "0 mated and 66 impostor pairs"}
    shop = domain == "shop"
    alone = evaluation.verification_from_embeddings(measured.vectors[shop], ids[shop])
    assert breakdown.groups["shop"].eer == pytest.approx(float(alone.eer))
    crossed = measured.vectors[shop] @ measured.vectors[~shop].T
    same = ids[shop][:, None] == ids[~shop]
    both = evaluation.verification(crossed.ravel(), same.ravel(), None)
    assert breakdown.groups["shop × studio"].eer == pytest.approx(float(both.eer))


def test_the_models_own_thresholds(model: Path, new: Manifest) -> None:
    result = evaluate(model, new)
    loose, strict = result.thresholds  # of tests/verbs/conftest.py, the resolved ones
    assert (loose.far, loose.tar) == (1.0, 1.0)
    assert strict.far == result.verification.far_with(0.9999)
    assert strict.tar == result.verification.tar_with(0.9999)
    rates = dict(result.rates())
    assert rates["FAR at the threshold for FAR 0.001"] == strict.far


class TestBaselines:
    """Several models on the same images."""

    def test_the_same_pairs(self, served: Path, retrained: Path, products: Path) -> None:
        result = evaluate(served, products, baselines=[retrained])
        (other,) = result.baselines
        assert list(result.models) == [result.model, other.result.model]
        assert result.about.left_out == 24  # the untrained one saw nobody
        alone = evaluate(retrained, result.manifest)
        np.testing.assert_array_equal(other.result.vectors, alone.vectors)
        assert other.result.metrics == alone.metrics
        ids = np.array(result.manifest.identities)
        scores, same = zip(
            *(evaluation.all_pairs(one.vectors, ids) for one in result.models.values()),
            strict=True,
        )
        a, b = np.triu_indices(len(ids), 1)
        direct = evaluation.compare(*scores, same[0], None, far=1e-2, ids_a=ids[a], ids_b=ids[b])
        assert float(other.comparison.tar.difference) == float(direct.tar.difference)
        assert other.pairs == "all 2,556 pairs"
        written = as_dict(result)
        assert [one["name"] for one in written["models"]] == list(result.models)
        (compared,) = written["comparisons"]
        assert compared["results"][0]["difference"]["value"] == other.comparison.tar.difference

    def test_whom_any_was_trained_on_is_left_out(
        self, trained: TrainResult, retrained: Path, products: Path
    ) -> None:
        result = evaluate(retrained, products, baselines=[trained.model])
        assert result.about.left_out == 24
        with pytest.raises(ArcwiseError, match="one or another of the models was trained on all"):
            evaluate(retrained, trained.parts.train, baselines=[trained.model])

    def test_twice_the_same(self, served: Path, new: Manifest) -> None:
        with pytest.raises(ArcwiseError, match="named twice; expected different models"):
            evaluate(served, new, baselines=[served])


class TestVectors:
    """A data set that has vectors needs no images."""

    @pytest.fixture
    def embedded(self, served: Path, new: Manifest, tmp_path: Path) -> Path:
        return embed(served, new, tmp_path / "vectors.parquet").path

    def without_images(self, path: Path, *, dim: int | None = None, of: str = "") -> Path:
        table = pq.read_table(path).drop_columns("image")
        if dim is not None:
            rows = [row[:dim] for row in table.column("vector").to_pylist()]
            table = table.drop_columns("vector").append_column("vector", pa.array(rows))
        meta = {"arcwise.fingerprint": of} if of else {}
        pq.write_table(table.replace_schema_metadata(meta), path.with_name("bare.parquet"))
        return path.with_name("bare.parquet")

    def test_those_of_the_model_are_not_computed_again(
        self, embedded: Path, served: Path, new: Manifest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("arcwise.runtime.embed_manifest", None)
        result = evaluate(served, embedded)
        assert result.about.versions["arcwise"]
        direct = evaluation.retrieval(result.vectors, new.identities)
        assert result.retrieval.map_at_r == direct.map_at_r

    def test_another_models_are(self, embedded: Path, retrained: Path, new: Manifest) -> None:
        result = evaluate(retrained, embedded)
        direct = runtime.embed_manifest(runtime.load(retrained), new).vectors
        np.testing.assert_allclose(result.vectors, direct, atol=1e-6)

    def test_without_images(self, embedded: Path, served: Path, tmp_path: Path) -> None:
        bare = self.without_images(embedded)
        for model in (served, "-"):
            result = evaluate(model, bare, out=tmp_path / str(model)[-1])
            assert result.templates.kind == "vectors"
            assert len(result.vectors) == 72
            assert result.report is not None
        assert (result.model, result.path, result.fingerprint) == ("vectors", None, "")
        why = {one.name: one.why for one in result.protocols}
        assert why["thresholds of the model"] == "there is no model"

    def test_not_the_models(self, embedded: Path, served: Path, new: Manifest) -> None:
        with pytest.raises(ArcwiseError, match="vectors have 5 dimensions and those of small-"):
            evaluate(served, self.without_images(embedded, dim=5))
        with pytest.raises(ArcwiseError, match=r"another model than small-.* fingerprint dif"):
            evaluate(served, self.without_images(embedded, of="f00d"))
        with pytest.raises(ArcwiseError, match="holds no vectors; expected a column 'vector'"):
            evaluate("-", new)

    def test_a_vector_of_nothing(self, embedded: Path, tmp_path: Path) -> None:
        for number, said in ((0.0, "row 3: the vector is zero"), (math.nan, "holds a NaN")):
            table = pq.read_table(self.without_images(embedded))
            rows = table.column("vector").to_pylist()
            rows[2] = [number] * len(rows[2])
            table = table.drop_columns("vector").append_column("vector", pa.array(rows))
            pq.write_table(table, tmp_path / "wrong.parquet")
            with pytest.raises(ArcwiseError, match=said):
                evaluate("-", tmp_path / "wrong.parquet")


def test_templates_are_compared(served: Path, new: Manifest) -> None:
    template = [f"{one}/{row % 6 // 2}" for row, one in enumerate(new.identities)]
    media = [str(row // 2) for row in range(len(new))]
    split = ["gallery" if one.endswith("0") else "probe" for one in template]
    pooled = changed(new, template=[*template], media=[*media], split=[*split])
    result = evaluate(served, pooled)
    assert result.templates.kind == "templates"
    assert len(result.template_vectors) == 36
    direct = evaluation.verification_from_embeddings(result.template_vectors, result.templates.ids)
    assert result.verification.eer == direct.eer
    assert (result.closed.identities, len(result.closed.rank_of_mate)) == (12, 24)  # type: ignore[union-attr]
    assert result.open is None
    assert result.search.description == "the rows of split gallery"


class TestOut:
    """A folder holds the results of one model on one data set."""

    @pytest.fixture
    def held(self, served: Path, new: Manifest, tmp_path: Path) -> Path:
        evaluate(served, new, out=tmp_path / "e")
        return tmp_path / "e"

    def test_the_same_again_replaces(self, held: Path, served: Path, new: Manifest) -> None:
        before = (held / "results.json").stat().st_ino
        evaluate(served, new, out=held)
        assert (held / "results.json").stat().st_ino != before
        assert not list(held.glob(".*"))

    def test_others_do_not(self, held: Path, served: Path, retrained: Path, new: Manifest) -> None:
        other = Manifest(new.table, new.root, "others")
        for model, data in ((served, other), (retrained, new)):
            with pytest.raises(ArcwiseError, match=r"holds the results of small-.* on products"):
                evaluate(model, data, out=held)

    def test_a_model_trained_anew_in_its_place_does(
        self, served: Path, retrained: Path, new: Manifest, tmp_path: Path
    ) -> None:
        shutil.copytree(served, tmp_path / "run" / "model")
        out = tmp_path / "run" / "evaluation" / "products"
        evaluate(tmp_path / "run" / "model", new, out=out)
        shutil.rmtree(tmp_path / "run" / "model")
        shutil.copytree(retrained, tmp_path / "run" / "model")
        result = evaluate(tmp_path / "run" / "model", new, out=out)
        (model,) = json.loads((out / "results.json").read_text())["models"]
        assert model["fingerprint"] == result.fingerprint

    def test_what_is_none_of_ours(self, served: Path, new: Manifest, tmp_path: Path) -> None:
        for content in ("", "[]", '{"data": {}}'):
            (tmp_path / "results.json").write_text(content)
            with pytest.raises(ArcwiseError, match="not what an evaluation writes"):
                evaluate(served, new, out=tmp_path)


def test_a_bare_network_with_its_preparation(served: Path, new: Manifest, tmp_path: Path) -> None:
    shutil.copy(served / "encoder.onnx", tmp_path / "net.onnx")
    values = runtime.load(served).preparation.as_dict()
    (tmp_path / "how.json").write_text(json.dumps(values))
    result = evaluate(tmp_path / "net.onnx", new, preparation=tmp_path / "how.json")
    assert result.model == "net"
    direct = runtime.embed_manifest(runtime.load(served), new).vectors
    np.testing.assert_allclose(result.vectors, direct, atol=1e-6)
    for content, said in (
        ("", "no JSON file that can be read"),
        ("[]", "holds no object"),
        ("{}", r"how\.json: preparation lacks height"),
    ):
        (tmp_path / "how.json").write_text(content)
        with pytest.raises(ArcwiseError, match=said):
            evaluate(tmp_path / "net.onnx", new, preparation=tmp_path / "how.json")


class TestPairs:
    """A CSV of pairs to verify."""

    @pytest.fixture
    def lines(self, new: Manifest) -> list[str]:
        """Forty pairs in four folds, each of three products that no other fold has."""
        labels, images = new.labels, new.images
        rng = np.random.default_rng(0)
        found = []
        for number in range(40):
            fold = np.flatnonzero(labels // 3 == number // 10)
            a = int(rng.choice(fold))
            mates = (labels[fold] == labels[a]) == bool(number % 2)
            b = int(rng.choice(fold[mates & (fold != a)]))
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

    def test_columns_are_groups(
        self, served: Path, new: Manifest, lines: list[str], tmp_path: Path
    ) -> None:
        gaps = [f"{line},{row // 2 % 10}" for row, line in enumerate(lines)]
        pairs = self.write(tmp_path, "a,b,same,fold,gap", gaps)
        result = evaluate(served, new, pairs=pairs, group_by=["gap:4"])
        breakdown = result.breakdowns[0]
        assert breakdown.column == "gap"
        assert [len(one.mated) for one in breakdown.groups.values()] == [10, 10]
        assert result.pairs.listed
        low = np.array([row // 2 % 10 <= 4 for row in range(40)])
        direct = evaluation.verification(result.scores[low], result.pairs.same[low], None)
        assert float(breakdown.groups["up to 4"].eer) == float(direct.eer)

    def test_images_left_out_are_not_pairs(
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


def test_a_negative_seed(served: Path, new: Manifest) -> None:
    with pytest.raises(ArcwiseError, match="seed is -1; expected a whole number from 0"):
        evaluate(served, new, seed=-1)


def test_a_folder_that_cannot_be_made_is_said_before_the_work(
    served: Path, new: Manifest, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    told: list[int] = []
    with pytest.raises(ArcwiseError, match=r"file cannot be written to; name an --out that can"):
        evaluate(
            served, new, out=tmp_path / "file" / "out", progress=lambda at, of: told.append(at)
        )
    assert not told


def test_too_few_pairs_to_compare_models_or_to_apply_thresholds(
    served: Path, retrained: Path, new: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "uncalibrated"
    shutil.copytree(served, folder)
    unresolved = Threshold(
        0.1, 0.5, 0.5, 0.5, False, 6, 3, far_low=0.0, far_high=1.0, far_spread=0.0, tar=None,
        tar_low=None, tar_high=None,
    )  # fmt: skip
    used = read_bundle(folder).digests["calibrate"]
    add_thresholds(folder, [unresolved], measured_on="", digests=used)
    few = new.select([row for row in range(len(new)) if row % 6 < 2 and new.labels[row] < 3])
    for row in range(len(few)):
        place = tmp_path / "few" / few.identities[row] / f"{row}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(few.read(row))
    words = [
        "evaluate",
        str(folder),
        str(tmp_path / "few"),
        "--baseline",
        str(retrained),
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "the difference between the models is not resolved" in out
    assert "not measured: thresholds of the model: none of the 1" in out
