"""A snapshot opens a gallery without reading it, and is never believed more than the gallery."""

from __future__ import annotations

import random
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

from arcwise.gallery import NewTemplate, open_gallery, snapshot, sql
from arcwise.gallery.snapshot import snapshot_path
from tests.gallery.conftest import as_if_large

DIM = 24


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    as_if_large(monkeypatch)


@pytest.fixture
def filled(path: Path, unit) -> Path:
    """A closed gallery of 300 templates with a snapshot; one is renamed, one in quarantine."""
    with open_gallery(path, create=True, dim=DIM) as gallery:
        gallery.enrol(
            [(f"p{row % 90} é", v, {"row": row % 3}) for row, v in enumerate(unit(300, DIM))]
        )
        gallery.remove("p7 é")
        gallery.assign([3], "renamed")
        gallery.quarantine([5], "blurred")
    assert snapshot_path(path).is_file()
    return path


def answers(path: Path, unit, mode: str = "r") -> tuple[object, ...]:
    with open_gallery(path, mode=mode) as gallery:
        return (
            gallery.search(unit(20, DIM, seed=1), 9),
            gallery.above(unit(20, DIM, seed=2), 0.2, where="row != 1"),
            gallery.templates(),
            gallery.quarantined(),
            gallery.counts(),
            gallery.size(),
        )


def without_snapshot(path: Path, unit) -> tuple[object, ...]:
    copy = path.with_name("copy.gallery")
    shutil.copy(path, copy)
    try:
        return answers(copy, unit)
    finally:
        copy.unlink()


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many templates were read from the file."""
    found: list[int] = []
    read_rows = sql.read_rows

    def counted(*args, **options):
        for rows in read_rows(*args, **options):
            found.append(len(rows.templates))
            yield rows

    monkeypatch.setattr(sql, "read_rows", counted)
    return found


def test_opens_without_reading_the_templates(filled: Path, unit, rows_read: list[int]) -> None:
    found = answers(filled, unit)
    assert sum(rows_read) == 1  # the one in quarantine, which is shown
    assert found == without_snapshot(filled, unit)


def test_what_happened_since_is_taken_in(filled: Path, unit, monkeypatch, rows_read) -> None:
    monkeypatch.setattr("arcwise.gallery.following.SNAPSHOT_FROM", 10**9)
    before = snapshot_path(filled).read_bytes()
    with open_gallery(filled) as gallery:
        gallery.enrol([("new", unit(2, DIM, seed=9)[0]), ("p1 é", unit(2, DIM, seed=9)[1])])
        gallery.assign([9, 10], "renamed")
        gallery.release([5])
        gallery.annotate(12, {"row": 5})
    assert snapshot_path(filled).read_bytes() == before
    rows_read.clear()
    found = answers(filled, unit)
    assert sum(rows_read) == 2 + 4
    assert found == without_snapshot(filled, unit)


def test_a_removal_takes_the_snapshot_with_it(filled: Path, unit) -> None:
    vector = unit(300, DIM)[20].tobytes()
    assert vector in snapshot_path(filled).read_bytes()
    with open_gallery(filled) as gallery:
        gallery.remove("p20 é")
        assert not snapshot_path(filled).exists()
    assert vector not in snapshot_path(filled).read_bytes()  # a new one
    assert answers(filled, unit) == without_snapshot(filled, unit)
    with open_gallery(filled) as gallery:
        gallery.assign([22], "renamed")
        gallery.purge()
        assert not snapshot_path(filled).exists()


def test_a_removal_that_was_cut_short_is_finished(filled: Path, unit, monkeypatch) -> None:
    """The process was killed between the commit and the deletion."""
    monkeypatch.setattr("arcwise.gallery.following.SNAPSHOT_FROM", 10**9)
    kept = snapshot_path(filled).read_bytes()
    with open_gallery(filled) as gallery:
        gallery.remove("p20 é")
    snapshot_path(filled).write_bytes(kept)
    assert answers(filled, unit) == without_snapshot(filled, unit)
    assert snapshot_path(filled).exists()  # a reader changes nothing
    assert answers(filled, unit, "rw") == without_snapshot(filled, unit)
    assert not snapshot_path(filled).exists()


def test_one_of_another_gallery_is_passed_over(filled: Path, unit, path: Path) -> None:
    other = path.with_name("other.gallery")
    with open_gallery(other, create=True, dim=DIM) as gallery:
        gallery.enrol([(f"q{row}", v) for row, v in enumerate(unit(300, DIM, seed=5))])
    expected = answers(other, unit)
    shutil.copy(snapshot_path(filled), snapshot_path(other))
    assert answers(other, unit) == expected
    with open_gallery(other):
        assert not snapshot_path(other).exists()


def test_no_damage_changes_an_answer(filled: Path, unit) -> None:
    """A hundred changed bytes, and the file cut at fifty places."""
    expected = without_snapshot(filled, unit)
    place = snapshot_path(filled)
    whole = place.read_bytes()
    described = whole.rstrip(b"\0")
    draw, warned = random.Random(0), 0
    for number in range(150):
        if number < 100:
            changed = bytearray(whole)
            changed[draw.randrange(len(described))] ^= draw.randrange(1, 256)
        else:
            changed = whole[: draw.randrange(len(described))]
        place.write_bytes(changed)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert answers(filled, unit) == expected
        warned += len(caught)
        assert all("is damaged" in str(one.message) for one in caught)
    assert warned > 100


def test_a_full_disk_leaves_the_gallery_whole(path: Path, unit, monkeypatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("arcwise.gallery.following.write_snapshot", full)
    with pytest.warns(UserWarning, match="could not be written"):  # noqa: SIM117
        with open_gallery(path, create=True, dim=DIM) as gallery:
            gallery.enrol([(f"p{row}", v) for row, v in enumerate(unit(30, DIM))])
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    with open_gallery(path, mode="r") as gallery:
        assert len(gallery) == 30


def test_thumbnails_stay_in_the_gallery(path: Path, unit) -> None:
    with open_gallery(path, create=True, dim=DIM) as gallery:
        gallery.enrol(
            [NewTemplate(f"p{n}", v, thumbnail=b"picture") for n, v in enumerate(unit(3, DIM))]
        )
    assert b"picture" not in snapshot_path(path).read_bytes()
    with open_gallery(path) as gallery:
        assert gallery.thumbnail(2) == b"picture"


def test_arrays_come_back_with_room(tmp_path: Path) -> None:
    arrays = {"vectors": np.ones((80, 3), np.float32), "texts": np.arange(5), "none": np.empty(0)}
    snapshot.write_snapshot(tmp_path / "s", "a", {"more": ["é" * 90_000]}, arrays)
    found = snapshot.read_snapshot(tmp_path / "s", "a")
    assert found is not None
    assert found.about == {"more": ["é" * 90_000]}
    assert len(found.arrays["vectors"]) == 90
    assert (found.arrays["vectors"][:80] == 1).all()
    assert found.arrays["texts"].tolist() == [0, 1, 2, 3, 4]
    assert found.arrays["none"].size == 0
    found.arrays["vectors"][85] = 7
    again = snapshot.read_snapshot(tmp_path / "s", "a")
    assert again is not None
    assert not again.arrays["vectors"][80:].any()
    assert snapshot.read_snapshot(tmp_path / "s", "b") is None
    assert snapshot.read_snapshot(tmp_path / "t", "a") is None
