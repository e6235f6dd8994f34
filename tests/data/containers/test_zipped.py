"""What a zip holds is read, or its reader says what is not: names twice, members without a name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import pytest

from arcwise.data.formats.opening import open_manifest
from arcwise.data.image_files import image_exists, read_image_bytes

Write = Callable[..., Path]
ONE, TWO, THREE = b"\xff\xd8one" * 40, b"\xff\xd8two" * 40, b"\xff\xd8three" * 40


@pytest.fixture
def packed(tmp_path: Path) -> Write:
    """A function: members → a zip; `hidden` ones are left out of its directory."""

    def make(
        members: Sequence[tuple[str, bytes]],
        name: str = "set.zip",
        hidden: Sequence[str] = (),
        compression: int = ZIP_STORED,
    ) -> Path:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a name twice
            with ZipFile(tmp_path / name, "w", compression) as file:
                for member, data in members:
                    info = ZipInfo("x")
                    info.filename, info.compress_type = member, compression
                    file.writestr(info, data)
                file.filelist = [one for one in file.filelist if one.filename not in hidden]
        return tmp_path / name

    return make


@pytest.mark.parametrize("other", ["a/1.jpg", "./a/1.jpg", "a//1.jpg", "/a/1.jpg", "a\\1.jpg"])
def test_the_later_of_two_members_with_one_name_counts_and_is_said(
    packed: Write, other: str
) -> None:
    manifest = open_manifest(packed([(other, ONE), ("b/1.jpg", THREE), ("a/1.jpg", TWO)]))
    assert manifest.images == ["set.zip/a/1.jpg", "set.zip/b/1.jpg"]
    assert manifest.read(0) == TWO
    (note,) = manifest.notes
    assert note.startswith("set.zip: 1 members have the name of a later one")
    assert "1 of them with another content" in note


def test_copies_under_one_name_have_no_other_content(packed: Write) -> None:
    (note,) = open_manifest(packed([("a/1.jpg", ONE), ("a/1.jpg", ONE)])).notes
    assert "0 of them with another content" in note


@pytest.mark.parametrize(
    ("first", "second"), [("a/1.jpg", "a/1.JPG"), ("M\u00fc/1.jpg", "Mu\u0308/1.jpg")]
)
def test_names_that_are_nearly_alike_are_read_each(packed: Write, first: str, second: str) -> None:
    path = packed([(first, ONE), (second, TWO)])
    manifest = open_manifest(path)
    rows = {image: manifest.read(row) for row, image in enumerate(manifest.images)}
    assert rows == {f"set.zip/{first}": ONE, f"set.zip/{second}": TWO}
    assert manifest.notes[0].startswith("set.zip: 1 names differ from another only in case")


@pytest.mark.parametrize(
    ("member", "asked"),
    [
        ("./a/1.jpg", "a/1.jpg"),
        ("a\\1.jpg", "a/1.jpg"),
        ("a/1.jpg", "./a//1.jpg"),
        ("M\u00fc/1.jpg", "Mu\u0308/1.jpg"),
        ("Mu\u0308/1.jpg", "M\u00fc/1.jpg"),
    ],
)
def test_a_name_is_found_however_it_is_written(packed: Write, member: str, asked: str) -> None:
    path = packed([(member, ONE), ("b/1.jpg", TWO)])
    assert len(open_manifest(path)) == 2
    assert image_exists(path.parent, f"set.zip/{asked}")
    assert read_image_bytes(path.parent, f"set.zip/{asked}") == ONE


@pytest.mark.parametrize("compression", [ZIP_STORED, ZIP_DEFLATED])
@pytest.mark.parametrize("hidden", [["a/1.jpg"], ["b/2.jpg"], ["c/3.jpg"], ["a/1.jpg", "b/2.jpg"]])
def test_members_that_the_directory_does_not_name_are_counted(
    packed: Write, hidden: list[str], compression: int
) -> None:
    data = bytes(range(256)) * 4
    members = [(name, ONE + data) for name in ("a/1.jpg", "b/2.jpg", "c/3.jpg")]
    manifest = open_manifest(packed(members, hidden=hidden, compression=compression))
    assert len(manifest) == 3 - len(hidden)
    (note,) = manifest.notes
    assert f"names {len(manifest)} members; {len(hidden)} more lie in the file" in note
    assert hidden[0] in note


def test_two_archives_in_one_file(packed: Write) -> None:
    first, second = packed([("a/1.jpg", ONE)], "1.zip"), packed([("b/1.jpg", TWO)], "2.zip")
    path = first.with_name("both.zip")
    path.write_bytes(first.read_bytes() + second.read_bytes())
    manifest = open_manifest(path)
    assert (manifest.identities, manifest.read(0)) == (["b"], TWO)
    assert "1 more lie in the file" in manifest.notes[0]


def test_a_whole_archive_needs_no_note(packed: Write) -> None:
    manifest = open_manifest(packed([("a/1.jpg", ONE), ("b/1.jpg", TWO), ("b/", b"")]))
    assert (len(manifest), manifest.notes) == (2, ())


def test_images_that_a_table_inside_does_not_name_are_counted(packed: Write) -> None:
    table = b"image,identity\n./a/1.jpg,x\n"
    members = [("manifest.csv", table), ("a/1.jpg", ONE), ("a/2.jpg", TWO), ("notes.txt", b"")]
    manifest = open_manifest(packed(members))
    assert manifest.identities == ["x"]
    assert "does not name 1 images" in manifest.notes[0]
    folder = packed(members).parent / "folder"
    ZipFile(packed(members)).extractall(folder)
    assert "the first is a/2.jpg" in open_manifest(folder).notes[0]
