"""A file that is not what was written is refused, never read as if it were, never made anew.

Files are read and changed only while no gallery in this process has them open: closing a file
drops every lock the process holds on it, SQLite's included.
"""

from __future__ import annotations

import random
import sqlite3

import numpy as np
import pytest

from arcwise.errors import GalleryError
from arcwise.gallery import DamagedGallery, NewTemplate, open_gallery

DIM = 64


@pytest.fixture
def filled(path, unit):
    """A closed gallery of 300 templates with some removed, and its vectors."""
    vectors = unit(300, DIM)
    with open_gallery(path, create=True, dim=DIM) as gallery:
        gallery.enrol([(f"p{row % 100}", v, {"row": row}) for row, v in enumerate(vectors)])
        gallery.remove("p7")
    return path, vectors


def flip(path, start, length=1):
    content = bytearray(path.read_bytes())
    for offset in range(start, start + length):
        content[offset] ^= 0x55
    path.write_bytes(content)


def test_one_changed_byte_in_a_vector_names_the_template(filled):
    path, vectors = filled
    flip(path, path.read_bytes().index(vectors[41].tobytes()) + 100)
    with pytest.raises(DamagedGallery, match=r"1 templates, ids 42\): restore it") as caught:
        open_gallery(path)
    assert caught.value.templates == (42,)


def test_the_last_digit_of_a_vector_an_identity_and_metadata_count_too(filled):
    path, vectors = filled
    for wanted in (vectors[41].tobytes(), b'p41{"row":41}'):
        before = path.read_bytes()
        offset = before.index(wanted)
        for start in (offset, offset + 1, offset + len(wanted) - 1):
            flip(path, start)
            with pytest.raises(DamagedGallery, match="ids 42"):
                open_gallery(path)
            path.write_bytes(before)
    open_gallery(path).close()


def test_many_damaged_templates_are_counted_and_the_first_are_named(filled):
    path, vectors = filled
    for row in range(20, 40):
        flip(path, path.read_bytes().index(vectors[row].tobytes()))
    with pytest.raises(DamagedGallery, match=r"20 templates, ids 21, .*, 30 and 10 more"):
        open_gallery(path)


def test_bytes_changed_anywhere_are_found_or_do_not_matter(filled):
    """Two hundred bytes overwritten at random places: an error, or exactly the old answers."""
    path, vectors = filled
    content = path.read_bytes()
    with open_gallery(path) as gallery:
        expected = gallery.search(vectors, k=3)
    rng = random.Random(0)
    refused = 0
    for _ in range(80):
        start = rng.randrange(len(content) - 200)
        path.write_bytes(content[:start] + rng.randbytes(200) + content[start + 200 :])
        try:
            with open_gallery(path) as gallery:
                assert gallery.search(vectors, k=3) == expected
        except GalleryError:
            refused += 1
    assert refused > 30  # the rest hit parts of pages that hold nothing


def test_single_bytes_of_the_first_pages(filled):
    """The header, the schema, the roots of the tables: what SQLite itself relies on."""
    path, vectors = filled
    content = path.read_bytes()
    with open_gallery(path) as gallery:
        expected = gallery.search(vectors[:5], k=3)
    for start in [*range(100), *range(100, 4 * 16384, 997)]:
        changed = bytearray(content)
        changed[start] ^= 0xFF
        path.write_bytes(changed)
        try:
            with open_gallery(path) as gallery:
                assert gallery.search(vectors[:5], k=3) == expected
        except GalleryError:
            pass


@pytest.mark.parametrize("keep", [1, 50, 100, 1000, 16384, 16384 * 3, -16384, -1])
def test_a_truncated_file(filled, keep):
    path, _ = filled
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(GalleryError, match="damaged"):
        open_gallery(path, create=True, dim=DIM)


def test_a_third_of_zeros(filled):
    path, _ = filled
    content = path.read_bytes()
    third = len(content) // 3
    path.write_bytes(content[:third] + bytes(third) + content[2 * third :])
    with pytest.raises(DamagedGallery):
        open_gallery(path)


def test_a_row_lost_without_a_trace_is_missed(filled):
    path, _ = filled
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM templates WHERE id = 42")
    connection.close()
    with pytest.raises(DamagedGallery, match="296 templates found, 297 expected"):
        open_gallery(path)


def test_a_row_that_another_replaces_is_found(filled):
    path, _ = filled
    with sqlite3.connect(path) as connection:
        connection.execute(
            "UPDATE templates SET (crc, identity, metadata, vector) = "
            "(SELECT crc, identity, metadata, vector FROM templates WHERE id = 1) WHERE id = 2"
        )
    connection.close()
    with pytest.raises(DamagedGallery, match="ids 2"):
        open_gallery(path)


def test_the_binding_to_the_model_is_checked_too(filled):
    path, _ = filled
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE about SET fingerprint = 'another'")
    connection.close()
    with pytest.raises(DamagedGallery, match="what it says of itself"):
        open_gallery(path)


def test_damage_that_appears_while_it_is_open_is_found_by_a_check(filled):
    path, vectors = filled
    with open_gallery(path) as gallery:
        other = sqlite3.connect(path)
        with other:
            other.execute("UPDATE templates SET vector = zeroblob(256) WHERE id = 42")
        with pytest.raises(DamagedGallery, match="ids 42"):
            gallery.check()
        with other:
            other.execute("INSERT INTO templates VALUES (999, x'00000001', 'x', '{}', x'00')")
        other.close()
        for _ in range(2):  # and, in a new row, by the next search, every time
            with pytest.raises(DamagedGallery, match="999"):
                gallery.search(vectors[0])


@pytest.mark.parametrize("content", [b"", b"identity,vector\nann,1\n", b"x" * 5000])
def test_other_files_are_refused_and_left_alone(path, content):
    path.write_bytes(content)
    for options in ({}, {"create": True, "dim": DIM}):
        with pytest.raises(GalleryError, match="is not a gallery"):
            open_gallery(path, **options)
    assert path.read_bytes() == content
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_other_databases_and_folders_are_refused(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE templates (id INTEGER PRIMARY KEY)")
    connection.close()
    with pytest.raises(GalleryError, match="is not a gallery"):
        open_gallery(path)
    with pytest.raises(GalleryError, match="is not a file"):
        open_gallery(path.parent)


def test_a_gallery_of_a_later_version_is_refused(filled):
    path, _ = filled
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 4")
    connection.close()
    with pytest.raises(GalleryError, match="version 4; this Arcwise reads versions 1 to 3"):
        open_gallery(path)


def test_a_deleted_file_is_missed_on_opening_and_while_open(filled):
    path, vectors = filled
    gallery = open_gallery(path)
    copy = path.with_name("copy.gallery")
    path.rename(copy)
    for call in (lambda: gallery.enrol([("new", vectors[0])]), lambda: gallery.search(vectors[0])):
        with pytest.raises(GalleryError, match="deleted or replaced while it was open"):
            call()
    with pytest.raises(GalleryError, match="there is no such gallery"):
        open_gallery(path)
    with open_gallery(path, create=True, dim=DIM) as new:
        new.enrol([("new", vectors[0])])
        with pytest.raises(GalleryError, match="deleted or replaced while it was open"):
            gallery.search(vectors[0])
    gallery.close()
    with open_gallery(copy) as moved:
        assert np.isclose(1, moved.search(vectors[0])[0][0].similarity)


@pytest.fixture
def changed(path, unit):
    """A closed gallery with thumbnails, a template that was renamed and one in quarantine."""
    with open_gallery(path, create=True, dim=DIM) as gallery:
        gallery.enrol(
            [
                NewTemplate(f"p{n}", v, thumbnail=b"picture %d" % n)
                for n, v in enumerate(unit(9, DIM))
            ]
        )
        gallery.assign([2], "renamed")
        gallery.quarantine([5], "blurred")
    return path


@pytest.mark.parametrize("wanted", [b"renamed", b"blurred"])
def test_a_changed_byte_in_what_was_amended_is_found(changed, wanted):
    flip(changed, changed.read_bytes().index(wanted) + 1)
    with pytest.raises(DamagedGallery, match="amendments of 1 templates"):
        open_gallery(changed)


def test_a_changed_byte_in_a_thumbnail_is_found_by_whoever_reads_it(changed):
    flip(changed, changed.read_bytes().index(b"picture 3") + 2)
    with open_gallery(changed) as gallery:
        assert gallery.thumbnail(3) == b"picture 2"
        with pytest.raises(DamagedGallery, match="thumbnails of 1"):
            gallery.thumbnail(4)
        with pytest.raises(DamagedGallery, match="thumbnails of 1"):
            gallery.check()


@pytest.mark.parametrize(
    ("statement", "message", "opens"),
    [
        ("DELETE FROM amendments WHERE template = 5", "1 amendments found, 2 expected", False),
        ("DELETE FROM thumbnails WHERE template = 5", "8 thumbnails found, 9 expected", True),
        ("DELETE FROM kept", "what it says of its changes", False),
        ("UPDATE kept SET amendments = 1", "what it says of its changes", False),
        ("UPDATE amendments SET quarantine = NULL", "amendments of 1 templates", False),
    ],
)
def test_a_lost_row_of_the_changes_is_missed(changed, statement, message, opens):
    connection = sqlite3.connect(changed)
    connection.execute(statement)
    connection.commit()
    connection.close()
    if not opens:
        with pytest.raises(DamagedGallery, match=message):
            open_gallery(changed)
        return
    with open_gallery(changed) as gallery, pytest.raises(DamagedGallery, match=message):
        gallery.check()
