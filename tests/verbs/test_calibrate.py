"""Thresholds measured on one's own images and put into the model folder."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from arcwise import evaluation, runtime
from arcwise.bundle import add_thresholds, read_bundle
from arcwise.data.digests import identity_digest
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.verbs.calibrate import calibrate
from arcwise.verbs.search import search
from arcwise.verbs.train import TrainResult
from tests.verbs.conftest import Shop


@pytest.fixture
def folder(served: Path, tmp_path: Path) -> Path:
    """The tiny model, to be changed."""
    shutil.copytree(served, tmp_path / "model")
    return tmp_path / "model"


def test_what_is_measured_is_what_is_written(folder: Path, new: Manifest) -> None:
    before = read_bundle(folder)
    done: list[tuple[int, int]] = []
    result = calibrate(
        folder,
        new,
        fars=(0.1, 0.01),
        fpirs=(0.2,),
        gallery_size=5,
        templates=2,
        probability=True,
        progress=lambda at, of: done.append((at, of)),
    )
    after = read_bundle(folder)
    assert after.fingerprint == before.fingerprint
    assert after.files == before.files
    assert after.thresholds == tuple(one for one in result.thresholds if one.resolved)
    assert after.search_thresholds == tuple(o for o in result.search_thresholds if o.resolved)
    assert after.probability == result.probability is not None
    assert after.measured_on == "72 images of 12 identities of products"
    assert set(after.digests["calibrate"]) == {identity_digest(one) for one in new.classes}
    assert after.digests["train"] == before.digests["train"]
    assert done[-1] == (72, 72)

    vectors = runtime.embed_manifest(runtime.load(folder), new).vectors
    assert result.thresholds == evaluation.calibrate(vectors, new.identities, (0.1, 0.01))
    (found,) = evaluation.calibrate_search(vectors, new.identities, (0.2,), 5, templates=2)
    assert result.search_thresholds == (found,)
    assert (found.gallery, found.templates) == (5, 2)
    assert (result.images, result.identities, result.left_out, result.used_before) == (
        72,
        12,
        0,
        "",
    )


def test_without_a_map_none_is_left(folder: Path, new: Manifest) -> None:
    calibrate(folder, new, probability=True)
    result = calibrate(folder, new)
    assert (result.probability, result.reliability) == (None, None)
    assert read_bundle(folder).probability is None
    kinds = {(one.gallery, one.templates) for one in result.search_thresholds}
    assert kinds == {(size, each) for size in (6, 10, 11) for each in (1, 2, 5)}  # of 12, 6 each


def test_two_at_once_both_stay(folder: Path, new: Manifest) -> None:
    """Of the same identities, for galleries of two kinds: the second begins and ends within."""
    began: list[int] = []

    def meanwhile(at: int, of: int) -> None:
        if not began:
            began.append(at)
            calibrate(folder, new, fpirs=(0.5,), gallery_size=7, templates=2)

    calibrate(folder, new, fpirs=(0.5,), gallery_size=5, templates=1)
    calibrate(folder, new, fpirs=(0.5,), gallery_size=6, templates=1, progress=meanwhile)
    kinds = {(one.gallery, one.templates) for one in read_bundle(folder).search_thresholds}
    assert kinds == {(5, 1), (6, 1), (7, 2)}


def test_identities_that_were_trained_on_are_left_out(
    folder: Path, products: Path, trained: TrainResult
) -> None:
    """Of 36 products 12 are new, and 5 set thresholds before and may do so again."""
    parts = trained.parts
    assert parts.validation is not None
    assert parts.calibration is not None
    made_with = {*parts.train.classes, *parts.validation.classes}
    for _ in range(2):  # the second time, all of these set the thresholds before
        result = calibrate(folder, products)
        assert result.left_out == len(made_with)
        assert result.identities == 36 - len(made_with)
        used = set(read_bundle(folder).digests["calibrate"])
        assert not used & {identity_digest(one) for one in made_with}
        assert used >= {identity_digest(one) for one in parts.calibration.classes}
        assert result.used_before == ""


def test_who_chose_the_checkpoint_only_where_there_is_nobody_else(
    folder: Path, trained: TrainResult
) -> None:
    assert trained.parts.validation is not None
    result = calibrate(folder, trained.parts.validation)
    assert "chose the checkpoint" in result.used_before
    with pytest.raises(ArcwiseError, match="trained on all but 0 of its"):
        calibrate(folder, trained.parts.train)


def test_a_search_then_decides_by_it(shop: Shop, new: Manifest) -> None:
    result = calibrate(shop.model, new, fpirs=(0.2, 0.5), gallery_size=8, templates=1)
    found = search(shop.gallery, [shop.photos])
    assert found.point is not None
    assert found.point.basis in result.search_thresholds
    assert found.point.fits
    strangers = [
        answer.decision.identity is not None
        for answer, identity in zip(found.answers, shop.photos.identities, strict=True)
        if identity not in set(shop.catalogue.identities) and answer.decision is not None
    ]
    assert np.mean(strangers) <= 0.3  # 30 images, set for 20 % in a larger gallery


@pytest.mark.parametrize("size", [0, 12, 500])
def test_a_gallery_that_leaves_nobody_unknown(folder: Path, new: Manifest, size: int) -> None:
    before = read_bundle(folder)
    with pytest.raises(ArcwiseError, match=rf"a gallery of {size} identities .*expected 1 to 11"):
        calibrate(folder, new, gallery_size=size)
    assert read_bundle(folder) == before


@pytest.mark.parametrize("rates", [(), (0.0,), (0.1, 1.0), (float("nan"),)])
def test_a_rate_that_is_none(folder: Path, new: Manifest, rates: tuple[float, ...]) -> None:
    with pytest.raises(ArcwiseError, match=r"far is .* expected rates between 0 and 1"):
        calibrate(folder, new, fars=rates)
    with pytest.raises(ArcwiseError, match=r"fpir is .* expected rates between 0 and 1"):
        calibrate(folder, new, fpirs=rates)


def test_a_image_that_cannot_be_read_is_listed(folder: Path, new: Manifest, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for row in range(0, 24):
        place = photos / new.identities[row]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{row}.jpg").write_bytes(new.read(row))
    (place / "broken.jpg").write_text("text")
    (photos / "notes.txt").write_text("notes")
    result = calibrate(folder, photos, force=True)  # on fewer identities than before
    assert (result.images, result.identities) == (24, 4)
    assert [Path(error.name).name for error in result.failures] == ["broken.jpg"]
    assert len(result.ignored) == 1
    assert open_manifest(photos).name in read_bundle(folder).measured_on


def test_what_cannot_carry_thresholds(
    folder: Path, new: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = replace(runtime.load(folder), bundle=None)
    monkeypatch.setattr(runtime, "load", lambda path: bare)
    with pytest.raises(ArcwiseError, match="no place for thresholds; give a model folder"):
        calibrate(folder, new)


def test_a_full_disk_leaves_the_old_calibration(
    folder: Path, new: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_thresholds(folder, [], measured_on="before", digests=())
    before = read_bundle(folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        with pytest.raises(ArcwiseError, match="No space left"):
            calibrate(folder, new)
    assert read_bundle(folder) == before


def test_what_is_not_resolved_is_said_and_not_written(folder: Path, new: Manifest) -> None:
    result = calibrate(folder, new, fars=(0.1, 1e-6), fpirs=(0.5,))
    assert [one.resolved for one in result.thresholds] == [True, False]
    assert [one.far for one in read_bundle(folder).thresholds] == [0.1]


def test_nothing_resolved_leaves_the_model_as_it_was(folder: Path, new: Manifest) -> None:
    before = read_bundle(folder)
    with pytest.raises(ArcwiseError, match="resolve none of the rates; bring more"):
        calibrate(folder, new, fars=(1e-6,), fpirs=(1e-6,))
    assert read_bundle(folder) == before


def test_a_negative_seed(folder: Path, new: Manifest) -> None:
    with pytest.raises(ArcwiseError, match="seed is -1; expected a whole number from 0"):
        calibrate(folder, new, seed=-1)
