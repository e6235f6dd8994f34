"""Qualities are stored with their templates, sound and erased like these."""

from __future__ import annotations

import sqlite3

import numpy as np
import pytest

from arcwise.errors import GalleryError
from arcwise.gallery import open_gallery, sql
from arcwise.gallery.contract import DamagedGallery

DIM = 4


def vectors(count, seed=0):
    rows = np.random.default_rng(seed).normal(size=(count, DIM))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def version(path):
    connection = sqlite3.connect(path)
    try:
        return connection.execute("PRAGMA user_version").fetchone()[0]
    finally:
        connection.close()


def qualities(path):
    with open_gallery(path, mode="r") as gallery:
        gallery.check()
        return {one.identity: one.quality for one in gallery.templates()}


def test_a_file_without_qualities_is_of_the_first_version(path):
    with open_gallery(path, create=True, dim=DIM) as gallery:
        gallery.enrol([("ann", vectors(1)[0]), ("bob", vectors(1, 1)[0], {"a": 1}, None)])
    assert version(path) == 1
    assert qualities(path) == {"ann": None, "bob": None}


def test_an_older_file_takes_qualities(path):
    a, b, c = vectors(3)
    with open_gallery(path, create=True, dim=DIM) as gallery:
        gallery.enrol([("ann", a)])
    assert version(path) == 1
    with open_gallery(path) as gallery, open_gallery(path, mode="r") as other:
        assert len(other) == 1
        gallery.enrol([("bob", b, None, 0.25), ("cid", c)])
        assert [one.quality for one in other.templates()] == [None, 0.25, None]  # it follows
    assert version(path) == sql.WITH_QUALITY
    assert qualities(path) == {"ann": None, "bob": 0.25, "cid": None}


def test_removal_erases_the_quality_too(path, monkeypatch):
    marked = 0.12345678901234567
    rows = vectors(40)
    with open_gallery(path, create=True, dim=DIM) as gallery:
        gallery.enrol([(f"p{n}", row, None, marked + n) for n, row in enumerate(rows)])
        gallery.remove("p0")
    assert np.float64(marked).tobytes() not in path.read_bytes()
    assert np.float64(marked + 1).tobytes() in path.read_bytes()
    monkeypatch.setattr(sql, "_COMPACT_FROM", 20)
    with open_gallery(path) as gallery:
        for number in range(1, 25):
            gallery.remove(f"p{number}")
    assert qualities(path) == {f"p{n}": marked + n for n in range(25, 40)}


def test_a_changed_quality_is_damage(path):
    with open_gallery(path, create=True, dim=DIM) as gallery:
        gallery.enrol([("ann", vectors(1)[0], None, 0.5), ("bob", vectors(1, 1)[0], None, 0.75)])
    for statement in (
        "UPDATE templates SET quality = x'000000000000F03F' WHERE id = 2",
        "UPDATE templates SET quality = NULL WHERE id = 2",
        "UPDATE templates SET quality = x'00' WHERE id = 2",
    ):
        connection = sqlite3.connect(path)
        before = connection.execute("SELECT quality FROM templates WHERE id = 2").fetchone()
        with connection:
            connection.execute(statement)
        with pytest.raises(DamagedGallery) as caught:
            open_gallery(path)
        assert caught.value.templates == (2,)
        with connection:
            connection.execute("UPDATE templates SET quality = ? WHERE id = 2", before)
        connection.close()
    assert qualities(path) == {"ann": 0.5, "bob": 0.75}


@pytest.mark.parametrize("quality", [-0.1, float("nan"), float("inf"), "good"])
def test_what_is_no_quality(path, quality):
    with open_gallery(path, create=True, dim=DIM) as gallery:
        with pytest.raises(GalleryError, match="quality"):
            gallery.enrol([("ann", vectors(1)[0], None, quality)])
        assert len(gallery) == 0
    assert version(path) == 1
