"""Thresholds measured against a gallery as it is, and what is kept of them with it."""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from arcwise import runtime
from arcwise.bundle import add_thresholds
from arcwise.cli import main
from arcwise.cli.as_json import print_json
from arcwise.cli.calibrate import show_gallery
from arcwise.cli.search import explained
from arcwise.data.image_files import read_image_bytes
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.evaluation import Rate, TwoScores
from arcwise.evaluation.search_calibration import FPIRS
from arcwise.gallery import GallerySize, SecondLook, open_gallery
from arcwise.verbs import calibrate_gallery as calibrating
from arcwise.verbs.calibrate_gallery import (
    MeasuredGallery,
    _scores_of_enrolled,
    _scores_of_strangers,
    calibrate_gallery,
)
from arcwise.verbs.gallery_comparison import compare_galleries
from arcwise.verbs.gallery_second_look import SecondLookTrial, try_second_look
from arcwise.verbs.search import search
from tests.verbs.conftest import Shop, search_threshold


@pytest.fixture
def strangers(shop: Shop, new: Manifest) -> Manifest:
    enrolled = set(shop.catalogue.identities)
    return new.select(np.array([i for i, one in enumerate(new.identities) if one not in enrolled]))


@pytest.fixture(scope="module")
def ages() -> tuple[np.ndarray, np.ndarray]:
    """FG-NET: unit vectors of 54 people at all ages, and who they are of."""
    root = os.environ.get("ARCWISE_DATA")
    path = Path(root or "") / "features" / "fgnet_mobilefacenet.npz"
    if not root or not path.exists():
        pytest.skip("needs the vectors of FG-NET in ARCWISE_DATA")
    found = np.load(path)
    vectors = found["feature"].astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, found["person"].astype(str)


def searched(
    ages: tuple[np.ndarray, np.ndarray], folder: Path, people: int, templates: int = 3
) -> tuple[TwoScores, TwoScores, GallerySize]:
    """What strangers and further images find, so many people being enrolled."""
    vectors, ids = ages
    names = np.unique(ids)[:people]
    turn = np.concatenate([np.flatnonzero(ids == name)[:templates] for name in names])
    with open_gallery(folder / f"{people}.gallery", create=True, dim=vectors.shape[1]) as store:
        store.enrol(list(zip(ids[turn].tolist(), vectors[turn], strict=True)))
        mated = np.setdiff1d(np.flatnonzero(np.isin(ids, names)), turn)
        unknown = ~np.isin(ids, names)
        return (
            _scores_of_strangers(store, vectors[unknown], ids[unknown]),
            _scores_of_enrolled(store, vectors[mated], ids[mated]),
            store.size(),
        )


def test_both_scores_are_those_of_the_similarities(
    ages: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    """Against a matrix in float64."""
    vectors, ids = ages
    unknown, own, _ = searched(ages, tmp_path, 20)
    names = np.unique(ids)[:20]
    turn = [np.flatnonzero(ids == name)[:3] for name in names]
    exact = vectors.astype(np.float64)
    by_identity = np.stack([(exact @ exact[rows].T).max(axis=1) for rows in turn], axis=1)
    falling = -np.sort(-by_identity, axis=1)
    closest, above = falling[:, 0], falling[:, 0] - falling[:, 1:11].mean(axis=1)
    strangers = ~np.isin(ids, names)
    np.testing.assert_allclose(unknown.first, closest[strangers], atol=1e-5)
    np.testing.assert_allclose(unknown.second, above[strangers], atol=1e-5)
    mated = np.setdiff1d(np.flatnonzero(~strangers), np.concatenate(turn))
    right = names[by_identity[mated].argmax(axis=1)] == ids[mated]
    np.testing.assert_allclose(own.first, np.where(right, closest[mated], -np.inf), atol=1e-5)
    np.testing.assert_allclose(own.second, np.where(right, above[mated], -np.inf), atol=1e-5)


def test_a_second_look_is_kept_where_it_finds_more(
    ages: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    unknown, own, size = searched(ages, tmp_path, 27)
    trial = try_second_look(unknown, own, FPIRS, size, 0)
    assert trial.kept is not None
    assert trial.gain is not None
    assert 0 < trial.gain.low < trial.gain < trial.gain.high
    assert trial.rates == (0.1, 0.05)  # what so few images resolve
    assert trial.kept.neighbours == 10
    for one in trial.kept.thresholds:
        assert np.mean(unknown.second >= one.threshold) <= one.fpir
        assert one.dir == pytest.approx(np.mean(own.second >= one.threshold))
    worse = try_second_look(
        TwoScores(unknown.second, unknown.first, unknown.ids),
        TwoScores(own.second, own.first, own.ids),
        FPIRS,
        size,
        0,
    )
    assert worse.kept is None
    assert worse.gain is not None
    assert worse.gain == pytest.approx(-trial.gain)


def test_a_second_look_is_not_tried_in_a_small_gallery(
    ages: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    unknown, own, size = searched(ages, tmp_path, 11)
    assert "11 identities are enrolled" in try_second_look(unknown, own, FPIRS, size, 0).reason
    unknown, own, size = searched(ages, tmp_path, 12)
    assert not try_second_look(unknown, own, FPIRS, size, 0).reason
    assert "0.001" not in try_second_look(unknown, own, FPIRS, size, 0).rates
    few = own.ids[:5], own.first[:5], own.second[:5]
    some = TwoScores(few[1], few[2], few[0])
    assert "it takes 10 of both" in try_second_look(unknown, some, FPIRS, size, 0).reason
    assert "no rate" in try_second_look(unknown, own, (0.001,), size, 0).reason


def test_a_second_look_is_kept_with_the_gallery(
    shop: Shop,
    new: Manifest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And said by every command that tells what decides."""
    monkeypatch.setattr(calibrating, "try_second_look", always_kept)
    result = calibrate_gallery(shop.gallery, new, fpirs=(0.4,))
    with open_gallery(shop.gallery, mode="r") as store:
        assert store.calibration is not None
        assert store.calibration.second_look == SecondLook(10, (ALWAYS,))
        assert store.calibration.thresholds[0].threshold != ALWAYS.threshold
    found = search(shop.gallery, [shop.photos])
    assert found.point is not None
    assert (found.point.neighbours, found.point.threshold) == (10, ALWAYS.threshold)
    show_gallery(result)
    assert main(["gallery", "info", str(shop.gallery)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "0.0000 or more above the mean of the next 10 identities" in shown
    assert "is better: +20.0% of images found (+10.0% to +30.0%)" in shown
    image = tmp_path / "query.jpg"
    image.write_bytes(read_image_bytes(shop.photos.root, shop.photos.images[0]))
    assert main(["search", str(shop.gallery), str(image), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["operating_point"]["neighbours"] == 10
    assert document["queries"][0]["above_next"] >= 0
    with open_gallery(shop.gallery) as store:
        store.remove(store.identities()[0])
    (line,) = [one for one in explained(search(shop.gallery, [shop.photos])) if "warning" in one]
    assert "the similarity decides" in line
    print_json(vars(result))
    assert json.loads(capsys.readouterr().out)["second_look"]["gain"]["value"] == 0.2
    result = calibrate_gallery(shop.gallery, new, fpirs=(0.4,), second_look=False)
    assert result.second_look is None
    assert result.calibration.second_look is None


def test_a_second_look_is_of_one_gallery(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", str(shop.model), "data", "--no-second-look"]) == 2
    assert "--gallery" in capsys.readouterr().err


ALWAYS = search_threshold(0.4, 12, 0.0, templates=None)


def always_kept(*_: object) -> SecondLookTrial:
    return SecondLookTrial(SecondLook(10, (ALWAYS,)), Rate(0.2, 0.1, 0.3), (0.4,))


def kept(result: MeasuredGallery) -> list[float | None]:
    with open_gallery(result.gallery, mode="r") as store:
        assert store.calibration is not None
        return [one.dir for one in store.calibration.thresholds]


@pytest.mark.parametrize("wrong", [{"gallery_size": 0}, {"templates": 0}])
def test_a_gallery_of_none_is_refused(
    shop: Shop, strangers: Manifest, wrong: dict[str, int]
) -> None:
    with pytest.raises(ArcwiseError, match=f"{next(iter(wrong))} is 0"):
        calibrate_gallery(shop.gallery, strangers, **wrong)  # type: ignore[arg-type]


def test_a_detection_rate_is_kept_only_where_it_is_of_such_a_gallery(
    shop: Shop,
    strangers: Manifest,
) -> None:
    with open_gallery(shop.gallery, mode="r") as store:
        size = store.size()
    result = calibrate_gallery(
        shop.gallery, strangers, fpirs=(0.5,), gallery_size=2, templates=size.fewest + 1
    )
    assert result.thresholds[0].dir is not None
    assert "searches do not say it" in result.dir_from
    assert kept(result) == [None]


def test_others_enrolled_in_their_place_outgrow_it(shop: Shop, strangers: Manifest) -> None:
    calibrate_gallery(shop.gallery, strangers, fpirs=(0.5,))
    assert not search(shop.gallery, [shop.photos]).outgrown
    with open_gallery(shop.gallery) as store:
        name = store.identities()[0]
        vector = np.eye(store.dim)[0]
        store.remove(name)
        store.enrol([("another", vector)])
    assert search(shop.gallery, [shop.photos]).outgrown


def test_one_that_cannot_be_read_is_replaced_by_force(shop: Shop, strangers: Manifest) -> None:
    calibrate_gallery(shop.gallery, strangers, fpirs=(0.5,))
    with closing(sqlite3.connect(shop.gallery)) as connection, connection:
        connection.execute("UPDATE calibration SET text = '{}', crc = ?", (zlib.crc32(b"{}"),))
    with pytest.raises(ArcwiseError, match="--force"):
        calibrate_gallery(shop.gallery, strangers, fpirs=(0.5,))
    calibrate_gallery(shop.gallery, strangers, fpirs=(0.5,), force=True)
    assert len(kept(calibrate_gallery(shop.gallery, strangers, fpirs=(0.5,)))) == 1


def test_rates_that_are_not_measured_again_are_named(shop: Shop, strangers: Manifest) -> None:
    assert calibrate_gallery(shop.gallery, strangers, fpirs=(0.5,)).notes == ()
    assert calibrate_gallery(shop.gallery, strangers, fpirs=(0.5,)).notes == ()
    (note,) = calibrate_gallery(shop.gallery, strangers, fpirs=(0.4,)).notes
    assert "FPIR 0.5" in note


def test_a_flat_folder_promises_no_interval(
    shop: Shop, strangers: Manifest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nowhere: of which stranger an image is, is not known."""
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, image in enumerate(strangers.images):
        (flat / f"{number}.jpg").write_bytes(read_image_bytes(strangers.root, image))
    result = calibrate_gallery(shop.gallery, flat, fpirs=(0.4,))
    assert result.stranger_identities is None
    show_gallery(result)
    found = search(shop.gallery, [flat])
    assert found.point is not None
    assert found.point.fpir_interval == (0.0, 1.0)
    answer = " ".join(explained(found))
    assert "interval not known, as it is not known which of the images" in answer
    assert main(["gallery", "info", str(shop.gallery)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for said in (answer, shown):
        assert f"{len(strangers)} strangers" not in said
        assert f"{len(strangers)} identities" not in said
    assert "interval not known" in shown
    model = runtime.load(shop.model)
    compared = compare_galleries((shop.gallery, shop.gallery), (model, model), flat)
    assert compared.fpir is not None
    assert (compared.fpir.difference.low, compared.fpir.difference.high) == (-1.0, 1.0)
    calibrate_gallery(shop.gallery, strangers, fpirs=(0.4,))  # whose identities are known
    with pytest.raises(ArcwiseError, match="not known whose"):
        calibrate_gallery(shop.gallery, flat, fpirs=(0.4,))


def test_a_part_of_the_gallery_is_not_to_be_measured_again(shop: Shop, strangers: Manifest) -> None:
    """What was measured holds in it, as a bound, also after a removal."""
    calibrate_gallery(shop.gallery, strangers, fpirs=(0.4,))
    assert "measured against this gallery" in explained(search(shop.gallery, [shop.photos]))[1]
    with open_gallery(shop.gallery) as store:
        before = store.size().identities
        store.remove(store.identities()[0])
    lines = explained(search(shop.gallery, [shop.photos]))
    assert f"with {before} identities" in lines[1]
    assert f"{before - 1} identities" in lines[1]
    assert not any("arcwise calibrate" in one for one in lines)


def test_how_many_strangers_are_needed(
    shop: Shop, strangers: Manifest, capsys: pytest.CaptureFixture[str]
) -> None:
    better = [replace(search_threshold(0.1, 6, 0.9), identities=50)]
    add_thresholds(shop.model, [], search_thresholds=better, measured_on="", digests=())
    few = strangers.select(np.flatnonzero(strangers.labels < np.unique(strangers.labels)[4]))
    with pytest.raises(ArcwiseError, match=r"4 strangers .* 10 or more identities are needed"):
        calibrate_gallery(shop.gallery, few, fpirs=(0.5,))
    show_gallery(calibrate_gallery(shop.gallery, few, fpirs=(0.5,), force=True))
    shown = " ".join(capsys.readouterr().out.split())
    assert "bring 10 or more identities" in shown
    assert "searches decide by it all the same" in shown
