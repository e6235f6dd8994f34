"""One gallery in the place of another: nothing that was acknowledged goes to the wrong file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from arcwise.errors import GalleryError
from arcwise.gallery import Gallery, GalleryAbout, GallerySize, following, open_gallery, swap

Unit = Callable[..., np.ndarray]


class Two(NamedTuple):
    """An old gallery with one template, and a new one with two."""

    old: Path
    new: Path
    kept: Path

    def swap(self) -> None:
        swap(self.old, self.new, self.kept, states=(state(self.old), state(self.new)))


@pytest.fixture
def two(path: Path, unit: Unit) -> Two:
    new = path.with_name("new.gallery")
    for name, count in ((path, 1), (new, 2)):
        with open_gallery(name, create=True, dim=16) as store:
            store.enrol([(f"p{row}", vector) for row, vector in enumerate(unit(count))])
    return Two(path, new, path.with_name("kept.gallery"))


def size(path: Path) -> GallerySize:
    with open_gallery(path, mode="r") as store:
        return store.size()


def state(path: Path) -> GalleryAbout:
    with open_gallery(path, mode="r") as store:
        return store.about()


def journal(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA journal_mode").fetchone()[0]


def test_each_is_whole_and_alone(two: Two) -> None:
    two.swap()
    assert (size(two.old).templates, size(two.kept).templates) == (2, 1)
    assert sorted(os.listdir(two.old.parent)) == ["kept.gallery", "shop.gallery"]
    assert journal(two.old) == "wal"
    open_gallery(two.kept).close()
    assert journal(two.kept) == "wal"


def test_it_keeps_the_rights_of_the_file(two: Two) -> None:
    two.old.chmod(0o640)
    two.swap()
    assert two.old.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("which", ["old", "new"])
def test_refused_where_one_is_open(two: Two, which: str) -> None:
    states = state(two.old), state(two.new)
    with open_gallery(getattr(two, which), mode="r"), pytest.raises(GalleryError, match="open"):
        swap(two.old, two.new, two.kept, states=states)
    assert (size(two.old).templates, size(two.new).templates) == (1, 2)
    assert not two.kept.exists()
    two.swap()


@pytest.mark.parametrize(
    "change",
    [
        lambda store, vector: (store.remove("p0"), store.enrol([("another", vector)])),
        lambda store, vector: store.quarantine([1], "blurred"),
        lambda store, vector: store.annotate(1, {"shelf": 3}),
        lambda store, vector: store.assign([1], "another"),
    ],
)
def test_refused_after_a_change(
    two: Two, unit: Unit, change: Callable[[Gallery, np.ndarray], object]
) -> None:
    states = state(two.old), state(two.new)
    with open_gallery(two.old) as store:
        change(store, unit(1)[0])
    with pytest.raises(GalleryError, match="changed"):
        swap(two.old, two.new, two.kept, states=states)
    assert journal(two.old) == journal(two.new) == "wal"


def test_templates_in_quarantine_are_no_change(two: Two) -> None:
    for path, one in ((two.old, 1), (two.new, 2)):
        with open_gallery(path) as store:
            store.quarantine([one], "blurred")
    two.swap()
    with open_gallery(two.old, mode="r") as store:
        assert [(one.template, why) for one, why in store.quarantined()] == [(2, "blurred")]


def test_a_failed_renaming_leaves_both(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*paths: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(GalleryError, match="No space"):
        two.swap()
    assert (size(two.old).templates, size(two.new).templates) == (1, 2)
    assert not two.kept.exists()


def test_a_file_replaced_while_it_is_opened(
    two: Two, unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that waited for the swap has the old file open, and must not write into it."""
    connect = following.connect

    def late(path: Path, *, writable: bool) -> sqlite3.Connection:
        connection = connect(path, writable=writable)
        os.replace(two.new, two.old)
        return connection

    monkeypatch.setattr(following, "connect", late)
    with pytest.raises(GalleryError, match="replaced"):
        open_gallery(two.old).enrol([("late", unit(1)[0])])
