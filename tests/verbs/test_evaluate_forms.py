"""Verification packs, lists of pairs and IJB folders are measured as their protocols say."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from arcwise import evaluation, runtime
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.evaluation import TwoGalleries, templates
from arcwise.images.preparation import Preparation
from arcwise.protocols.result import EvaluationResult
from arcwise.verbs.evaluate import evaluate
from arcwise.verbs.evaluate_files import as_dict
from tests import ijb

Pairs = list[tuple[int, int]]


def chosen(new: Manifest) -> Pairs:
    """Forty pairs of rows in ten folds, two of each kind in each; the mated are the first two."""
    rng, found = np.random.default_rng(0), []
    for number in range(40):
        a = int(rng.integers(len(new)))
        mates = new.labels == new.labels[a]
        wanted = mates if number % 4 < 2 else ~mates
        found.append((a, int(rng.choice(np.flatnonzero(wanted & (np.arange(len(new)) != a))))))
    return found


def pack(path: Path, source: Manifest, pairs: Pairs) -> Path:
    """A pack as scripts of the field write it."""
    images = [source.read(row) for pair in pairs for row in pair]
    same = [bool(source.labels[a] == source.labels[b]) for a, b in pairs]
    path.write_bytes(pickle.dumps((images, same)))
    return path


def table(path: Path, source: Manifest, pairs: Pairs) -> Path:
    """The same pairs as a CSV, each fold as long as a pack's."""
    lines = ["a,b,same,fold"]
    for number, (a, b) in enumerate(pairs):
        same = int(source.labels[a] == source.labels[b])
        lines.append(f"{source.images[a]},{source.images[b]},{same},{number * 10 // len(pairs)}")
    path.write_text("\n".join(lines) + "\n")
    return path


def anonymous(manifest: Manifest) -> Manifest:
    """What a pack knows of images."""
    return replace(manifest, table=manifest.table.select(["image"]))


def why(result: EvaluationResult) -> dict[str, str]:
    """What each protocol was measured on, or why not."""
    return {one.name: one.why for one in result.protocols}


class TestPack:
    """A pack has pairs and no identities."""

    @pytest.fixture(scope="class")
    def measured(
        self, served: Path, new: Manifest, tmp_path_factory: pytest.TempPathFactory
    ) -> EvaluationResult:
        folder = tmp_path_factory.mktemp("pack")
        path = pack(folder / "shop.bin", new, chosen(new))
        return evaluate(served, path, out=folder / "out")

    def test_its_pairs_are_verified(
        self, measured: EvaluationResult, new: Manifest, served: Path
    ) -> None:
        assert len(measured.manifest) == 80
        vectors = runtime.embed_manifest(runtime.load(served), new).vectors
        scores = np.array([vectors[a] @ vectors[b] for a, b in chosen(new)])
        same = [new.labels[a] == new.labels[b] for a, b in chosen(new)]
        direct = evaluation.verification(scores, np.array(same), 10)
        rates = dict(measured.rates())
        assert float(rates["accuracy over the folds"]) == pytest.approx(float(direct.accuracy))
        eer = rates["equal-error rate"]
        assert (eer, eer.low, eer.high) == pytest.approx(
            (direct.eer, direct.eer.low, direct.eer.high)
        )

    def test_as_a_table_of_the_same_pairs(
        self, measured: EvaluationResult, new: Manifest, served: Path, tmp_path: Path
    ) -> None:
        pairs = table(tmp_path / "pairs.csv", new, chosen(new))
        result = evaluate(served, anonymous(new), pairs=pairs)
        assert result.verification.accuracy == measured.verification.accuracy
        assert [(m.name, m.rate) for m in result.metrics] == [
            (m.name, m.rate) for m in measured.metrics
        ]

    def test_what_needs_identities_is_not_measured(self, measured: EvaluationResult) -> None:
        assert (measured.retrieval, measured.search, measured.closed, measured.open) == (None,) * 4
        assert measured.identity_count is None
        said = why(measured)
        assert said["verification of listed pairs"] == (
            "40 pairs of shop; whose they are is not known"
        )
        assert said["accuracy over folds"] == "10 folds"
        for name in ("retrieval", "identification, closed set", "identification, open set"):
            assert said[name] == "no identities"

    def test_it_says_that_identities_are_not_known(self, measured: EvaluationResult) -> None:
        note = "whose these are is not known, so people that a model was made with may be among"
        assert measured.about.notes[0].startswith(note)
        assert measured.report is not None
        page = measured.report.read_text()
        assert "Whose these are is not known: people a model was made with may be" in page
        assert note in page
        assert "identities left out" in page
        saved = json.loads((measured.report.parent / "results.json").read_text())
        assert saved["data"]["identities"] is None
        assert saved["data"]["notes"][0].startswith(note)
        assert saved["data"]["pairs"] == "shop"

    def test_beside(self, served: Path, retrained: Path, new: Manifest, tmp_path: Path) -> None:
        path = pack(tmp_path / "shop.bin", new, chosen(new))
        result = evaluate(served, path, baselines=[retrained], out=tmp_path / "out")
        (other,) = result.baselines
        assert other.pairs == "the pairs of shop"
        assert other.comparison.accuracy is not None
        assert other.comparison.accuracy.first == pytest.approx(float(result.verification.accuracy))
        assert result.report is not None

    def test_other_pairs_of_its_images(self, served: Path, new: Manifest, tmp_path: Path) -> None:
        path = pack(tmp_path / "shop.bin", new, chosen(new))
        pairs = tmp_path / "pairs.csv"
        pairs.write_text("a,b,same\nshop.bin/0,shop.bin/1,1\nshop.bin/0,shop.bin/5,0\n")
        result = evaluate(served, path, pairs=pairs)
        assert len(result.verification.mated) == result.verification.impostors == 1
        assert result.about.pairs == "pairs.csv"

    def test_unreadable_images_take_their_pairs(
        self, served: Path, new: Manifest, tmp_path: Path
    ) -> None:
        images = [new.read(row) for pair in chosen(new) for row in pair]
        same = [bool(new.labels[a] == new.labels[b]) for a, b in chosen(new)]
        images[3] = b"nothing"
        (tmp_path / "shop.bin").write_bytes(pickle.dumps((images, same)))
        result = evaluate(served, tmp_path / "shop.bin")
        assert [one.name for one in result.about.failures] == ["shop.bin/3"]
        assert "39 pairs of shop, 1 more left out: not measured" in str(why(result).values())

    def test_pairs_of_one_kind(self, served: Path, new: Manifest, tmp_path: Path) -> None:
        mated = [pair for pair in chosen(new) if new.labels[pair[0]] == new.labels[pair[1]]]
        path = pack(tmp_path / "same.bin", new, mated)
        with pytest.raises(ArcwiseError, match="same: 20 mated and 0 impostor pairs, expected"):
            evaluate(served, path)


def test_a_real_pack(data_dir: Path) -> None:
    path = data_dir / "reference" / "small_lfw.bin"
    model = data_dir / "models" / "mobilefacenet_foamliu.onnx"
    with pytest.raises(ArcwiseError, match="small_lfw: 10 mated and 0 impostor pairs"):
        evaluate(model, path, preparation=IMAGENET)


IMAGENET = Preparation(
    height=112,
    width=112,
    colour="rgb",
    mean=(0.485 * 255, 0.456 * 255, 0.406 * 255),
    std=(0.229 * 255, 0.224 * 255, 0.225 * 255),
)


def test_faces_in_a_pack_as_from_their_archive(data_dir: Path, tmp_path: Path) -> None:
    """Sixty pairs of LFW, from the zips they lie in and from a pack: one accuracy."""
    folder = data_dir / "lfw112"
    listed = pacsv.read_csv(folder / "pairs.csv").to_pylist()
    taken = listed[::80]  # as many of each fold
    wanted = list(dict.fromkeys(row[side] for row in taken for side in ("path_a", "path_b")))
    described = {row["path"]: row for row in pacsv.read_csv(folder / "images.csv").to_pylist()}
    images = [f"{described[one]['zip']}/{one}" for one in wanted]
    people = [described[one]["person"] for one in wanted]
    source = Manifest(pa.table({"image": images, "identity": people}), folder, "lfw")
    pairs = [(wanted.index(row["path_a"]), wanted.index(row["path_b"])) for row in taken]
    assert len(pairs) == 60
    model = data_dir / "models" / "mobilefacenet_foamliu.onnx"
    named = evaluate(
        model, source, pairs=table(tmp_path / "p.csv", source, pairs), preparation=IMAGENET
    )
    packed = evaluate(model, pack(tmp_path / "lfw.bin", source, pairs), preparation=IMAGENET)
    assert packed.about.reused == 120
    assert packed.verification.accuracy == named.verification.accuracy
    assert packed.verification.accuracy > 0.9
    assert named.identity_count == len(set(people))


class TestLists:
    """Pairs as LFW lists them, and those that a data set lists itself."""

    @pytest.fixture
    def lfw(self, new: Manifest, tmp_path: Path) -> Path:
        """A folder a person, the images numbered, and a pairs.txt outside of it."""
        for row, identity in enumerate(new.identities):
            name = f"P{identity}"
            place = tmp_path / "faces" / name / f"{name}_{row % 6 + 1:04d}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(new.read(row))
        lines = []
        for one, other in zip(new.classes[::2], new.classes[1::2], strict=True):
            lines += [f"P{one}\t1\t2", f"P{other}\t3\t6"]
            lines += [f"P{one}\t4\tP{other}\t5", f"P{other}\t1\tP{one}\t1"]
        (tmp_path / "pairs.txt").write_text("\n".join(["6\t2", *lines]) + "\n")
        return tmp_path

    def test_as_lfw_lists_them(self, lfw: Path, served: Path) -> None:
        result = evaluate(served, lfw / "faces", pairs=lfw / "pairs.txt")
        assert (len(result.verification.mated), result.verification.impostors) == (12, 12)
        assert result.verification.folds is not None
        assert len(result.verification.folds.names) == 6
        assert result.pairs.listed
        place = {name: row for row, name in enumerate(result.templates.names)}
        first = result.pairs.a[0], result.pairs.b[0]
        name = result.manifest.classes[0]
        assert first == (place[f"{name}/{name}_0001.jpg"], place[f"{name}/{name}_0002.jpg"])
        assert result.retrieval is not None

    def test_in_the_folder(self, lfw: Path, served: Path) -> None:
        outside = evaluate(served, lfw / "faces", pairs=lfw / "pairs.txt")
        (lfw / "pairs.txt").rename(lfw / "faces" / "pairs.txt")
        inside = evaluate(served, lfw / "faces", out=lfw / "out")
        assert inside.metrics == outside.metrics
        assert as_dict(inside)["data"]["pairs"] == "faces"
        again = evaluate(served, lfw / "faces", out=lfw / "out")  # the same, so it may replace
        assert again.metrics == inside.metrics

    @pytest.mark.parametrize("other", ["{0}", "./{0}", "copy"])
    def test_an_image_with_itself_is_said(
        self, served: Path, new: Manifest, tmp_path: Path, other: str
    ) -> None:
        pairs, path = chosen(new), tmp_path / "pairs.csv"
        lines = [
            f"{new.images[a]},{new.images[b]},{int(new.labels[a] == new.labels[b])}"
            for a, b in pairs
        ]
        path.write_text("\n".join(["a,b,same", *lines]) + "\n")
        assert not [one for one in evaluate(served, new, pairs=path).about.notes if "itself" in one]
        first = new.image(pairs[0][0])
        rows = new.table
        if other == "copy":  # the same bytes under another name
            (tmp_path / "copy.jpg").write_bytes(new.read(pairs[0][0]))
            other = str(tmp_path / "copy.jpg")
            rows = pa.concat_tables([rows, rows.slice(pairs[0][0], 1)])
            images = [*new.images, other]
            rows = rows.set_column(rows.column_names.index("image"), "image", pa.array(images))
        lines[0] = f"{first},{other.format(first)},1"
        path.write_text("\n".join(["a,b,same", *lines]) + "\n")
        result = evaluate(served, replace(new, table=rows), pairs=path)
        (note,) = (one for one in result.about.notes if "itself" in one)
        assert note.startswith("1 of 40 pairs are of an image with itself")

    def test_a_person_that_is_not_there(self, lfw: Path, served: Path) -> None:
        (lfw / "pairs.txt").write_text("Nobody\t1\t2\n")
        with pytest.raises(ArcwiseError, match=r"pairs\.txt: line 1 .*Nobody/1"):
            evaluate(served, lfw / "faces", pairs=lfw / "pairs.txt")

    def test_a_flat_folder_has_pairs_and_no_identities(
        self, served: Path, new: Manifest, tmp_path: Path
    ) -> None:
        (tmp_path / "flat").mkdir()
        for row in range(4):
            (tmp_path / "flat" / f"{row}.jpg").write_bytes(new.read(row))
        (tmp_path / "pairs.csv").write_text("a,b,same\n0.jpg,1.jpg,1\n2.jpg,3.jpg,0\n")
        result = evaluate(served, tmp_path / "flat", pairs=tmp_path / "pairs.csv")
        assert result.identity_count is None
        with pytest.raises(ArcwiseError, match=r"4 .* lie in no folder"):
            evaluate(served, tmp_path / "flat")


class TestIjb:
    """Templates, two galleries, and the detector's scores as weights."""

    @pytest.fixture(scope="class")
    def folder(self, new: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return ijb.write(new, tmp_path_factory.mktemp("ijb") / "IJBC")

    @pytest.fixture(scope="class")
    def measured(self, served: Path, folder: Path) -> EvaluationResult:
        return evaluate(served, folder, out=folder.parent / "out")

    def test_templates_are_weighted(
        self, measured: EvaluationResult, served: Path, folder: Path
    ) -> None:
        source = open_manifest(folder)
        vectors = runtime.embed_manifest(runtime.load(served), source).vectors
        columns = [np.array(source.column(one)) for one in ("template", "media", "quality")]
        pooled = templates.pool(vectors, *columns[:2], detector_scores=columns[2])
        np.testing.assert_array_equal(measured.template_vectors, pooled.vectors)
        alike = templates.pool(vectors, *columns[:2]).vectors
        assert np.abs(alike - pooled.vectors).max() > 1e-3
        assert why(measured)["templates"] == (
            "72 images (unit vectors, weighted by their 'quality') pooled to 36 templates: "
            "media averaged, summed, scaled to unit length"
        )

    def test_one_to_one(self, measured: EvaluationResult, folder: Path) -> None:
        listed = open_manifest(folder).pairs
        assert listed is not None
        place = {name: row for row, name in enumerate(measured.templates.names)}
        vectors, rows = measured.template_vectors, listed.to_pylist()
        scores = [vectors[place[row["a"]]] @ vectors[place[row["b"]]] for row in rows]
        ids = [measured.templates.ids[[place[row[side]] for row in rows]] for side in "ab"]
        direct = evaluation.verification(
            np.array(scores), np.array([row["same"] for row in rows]), None,
            ids_a=ids[0], ids_b=ids[1],
        )  # fmt: skip
        rates = {m.name: m.rate for m in measured.metrics if not m.column}
        assert float(rates["TAR at FAR 0.01"]) == pytest.approx(float(direct.tar_at(0.01)))
        assert rates["equal-error rate"].low == pytest.approx(direct.eer.low)
        assert why(measured)["verification of listed pairs"] == "630 pairs of IJBC"

    def test_one_to_many(self, measured: EvaluationResult) -> None:
        assert isinstance(measured.open, TwoGalleries)
        assert measured.open is measured.closed
        for part in (measured.open.first, measured.open.second):
            assert (part.identities, len(part.rank_of_mate), len(part.unknown)) == (6, 12, 12)
        assert why(measured)["identification, open set"] == (
            "each gallery's identities are unknown to the other"
        )
        assert "DIR at FPIR 0.1" in {m.name for m in measured.metrics}

    def test_it_says_what_to_mind(self, measured: EvaluationResult) -> None:
        first, numbers, second = measured.about.notes
        assert first.startswith("not the published ijbc")
        assert numbers.startswith("identities here are bare numbers")
        assert "does not align faces, and these are not aligned" in second
        assert measured.report is not None
        assert "not the published ijbc" in measured.report.read_text()

    def test_pairs_only(self, served: Path, new: Manifest, tmp_path: Path) -> None:
        folder = ijb.write(new, tmp_path / "IJBC")
        (folder / "meta" / "ijbc_1N_probe_mixed.csv").unlink()
        result = evaluate(served, folder)
        assert result.identity_count is None
        assert result.templates.kind == "templates"
        assert (len(result.verification.mated), result.verification.impostors) == (36, 594)

    def test_a_template_that_no_image_is_in(
        self, served: Path, new: Manifest, tmp_path: Path
    ) -> None:
        folder = ijb.write(new, tmp_path / "IJBC")
        with (folder / "meta" / "ijbc_template_pair_label.txt").open("a") as file:
            file.write("100 99999 0\n")
        with pytest.raises(ArcwiseError, match="row 631: '99999' is not one of the 36 templates"):
            evaluate(served, folder)

    def test_images_without_a_score_make_no_weights(
        self, served: Path, new: Manifest, tmp_path: Path
    ) -> None:
        folder = ijb.write(new, tmp_path / "IJBC")
        points = folder / "meta" / "ijbc_name_5pts_score.txt"
        points.write_text("\n".join(points.read_text().splitlines()[3:]) + "\n")
        result = evaluate(served, folder)
        assert why(result)["templates"].startswith(
            "72 images (unit vectors, not weighted: quality is missing, or below 0, in 3 rows) "
        )
