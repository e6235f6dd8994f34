"""A gallery that is copied from one store to another and back is the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from arcwise.errors import GalleryError
from arcwise.gallery import GalleryCalibration, NewTemplate, following, open_gallery
from arcwise.gallery.snapshot import snapshot_path
from arcwise.verbs.gallery_copy import copy_gallery
from tests.gallery.conftest import NewAddress, as_if_large

Unit = Callable[..., np.ndarray]


@pytest.fixture
def full(path: Path, unit: Unit) -> Path:
    rows = unit(9)
    with open_gallery(path, create=True, dim=16) as store:
        store.enrol(
            [
                NewTemplate("Ann", rows[0], {"b": 1.5, "a": [None, "ü"]}, 0.25, b"\0small"),
                NewTemplate("Ördög", rows[1], {"n": 10**30}, None, b"\xffimage"),
                NewTemplate("bob", rows[2], quality=0.0),
                NewTemplate("bob", rows[3]),
            ]
        )
        store.remove_templates([3])
        store.quarantine([2], "blurred")
        store.annotate(4, {"shelf": 3})
        store.keep_calibration(GalleryCalibration(2, 2, (), "strangers", 4))
    return path


def contents(address: Path | str) -> list[tuple[Any, ...]]:
    with open_gallery(address, mode="r") as store:
        calibration = store.calibration
        assert calibration is not None
        rows: list[tuple[Any, ...]] = [(replace(calibration, newest=None), store.size().each)]
        for one in store.stored():
            rows += zip(
                one.identities, map(bytes, one.vectors), one.metadata, one.qualities,
                one.thumbnails, one.quarantined, strict=True,
            )  # fmt: skip
        return rows


def test_there_and_back(full: Path, new_address: NewAddress) -> None:
    there = new_address()
    copied = copy_gallery(full, there)
    assert (copied.templates, copied.quarantined, copied.thumbnails) == (3, 1, 2)
    copy_gallery(there, full.with_name("back"))
    assert contents(there) == contents(full.with_name("back")) == contents(full)
    with pytest.raises(GalleryError, match="exists"):
        copy_gallery(full, there)
    assert contents(there) == contents(full)


def test_a_large_copy_opens_from_its_snapshot(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    as_if_large(monkeypatch)
    new = full.with_name("new")
    copy_gallery(full, new)
    assert snapshot_path(new).exists()
    assert {one.name for one in full.parent.iterdir()} == {
        full.name,
        "new",
        snapshot_path(new).name,
    }
    monkeypatch.setattr(following, "write_snapshot", None)
    assert contents(new) == contents(full)
