"""Thresholds measured against a gallery as it is, and what is kept of them with it."""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing

import numpy as np
import pytest

from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.gallery import open_gallery
from arcwise.verbs.calibrate_gallery import MeasuredGallery, calibrate_gallery
from arcwise.verbs.search import search
from tests.verbs.conftest import Shop


@pytest.fixture
def strangers(shop: Shop, new: Manifest) -> Manifest:
    enrolled = set(shop.catalogue.identities)
    return new.select(np.array([i for i, one in enumerate(new.identities) if one not in enrolled]))


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
