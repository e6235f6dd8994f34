"""Archives that others read, and that go on after any interruption as if there had been none."""

from __future__ import annotations

import zlib
from pathlib import Path
from zipfile import ZipFile

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.writing import zipped
from arcwise.data.writing.zipped import StoredZip, ZipWriter

PICTURES = [b"\xff\xd8" + bytes([number]) * (13 * number) for number in range(5)]


def manifest(images: list[str]) -> Manifest:
    count = len(images)
    table = {"image": images, "identity": ["a", "ä"] * (count // 2) + ["a"] * (count % 2)}
    return Manifest(pa.table(table), Path(), "set")


def write(folder: Path, source: Manifest, skip: int | None = None) -> bytes:
    """The archive of PICTURES, one of them left out; gone on with if there is one."""
    writer = ZipWriter(folder, "out.zip", source)
    rows = [row for row in range(len(source)) if row != skip]
    start = writer.resume()
    for row in rows:
        if row >= start:
            writer.add(row, PICTURES[row])
    assert writer.finish(rows) == ["out.zip"]
    return (folder / "out.zip").read_bytes()


@pytest.mark.parametrize(
    "images", [[f"{n}.jpg" for n in range(5)], [f"x.rec/{n}" for n in range(5)]]
)
@pytest.mark.parametrize("skip", [None, 0, 2, 4])
def test_cut_anywhere_it_becomes_the_same_archive(
    tmp_path: Path, images: list[str], skip: int | None
) -> None:
    source = manifest(images)
    whole = write(tmp_path, source, skip)
    for length in range(0, len(whole) + 1, 7):
        (tmp_path / "out.zip").write_bytes(whole[:length])
        assert write(tmp_path, source, skip) == whole


def test_it_is_a_data_set(tmp_path: Path) -> None:
    write(tmp_path, manifest(["x.rec/1", "b.png", "c", "1.jpg", "C.jpg"]), skip=1)
    written = open_manifest(tmp_path / "out.zip")
    assert written.images == ["a/000000001.jpg", "a/c.jpg", "ä/1.jpg", "a/C-2.jpg"]
    assert written.identities == ["a", "a", "ä", "a"]
    assert [written.read(row) for row in range(4)] == [PICTURES[row] for row in (0, 2, 3, 4)]


def test_close_keeps_what_was_added(tmp_path: Path) -> None:
    source = manifest(["1.jpg", "2.jpg", "3.jpg"])
    writer = ZipWriter(tmp_path, "out.zip", source)
    assert writer.resume() == 0
    writer.add(0, b"one")
    writer.add(1, b"two")
    writer.close()
    again = ZipWriter(tmp_path, "out.zip", source)
    assert again.resume() == 2
    again.close()


@settings(deadline=None)
@given(st.dictionaries(st.text("aä\u6587/.", min_size=1, max_size=9), st.binary(max_size=99)))
def test_others_read_it(
    tmp_path_factory: pytest.TempPathFactory, members: dict[str, bytes]
) -> None:
    path = tmp_path_factory.mktemp("zip") / "any.zip"
    archive = StoredZip(path)
    for name, data in members.items():
        archive.add(name, data)
    archive.finish()
    with ZipFile(path) as file:
        assert file.testzip() is None
        assert {info.filename: file.read(info) for info in file.infolist()} == members
        for info in file.infolist():
            assert zlib.crc32(members[info.filename]) == info.CRC
            assert info.date_time == (1980, 1, 1, 0, 0, 0)


def test_far_members_and_many_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = 70_000
    archive = StoredZip(tmp_path / "many.zip")
    for number in range(many):
        archive.add(str(number), b"")
    archive.finish()
    with ZipFile(tmp_path / "many.zip") as file:
        assert len(file.infolist()) == many
    gap = 5 * 2**30  # a hole in the file: no room is taken
    archive = StoredZip(tmp_path / "far.zip")
    archive.add("near", b"1")
    monkeypatch.setattr(archive, "_end", archive._end + gap)
    archive._file.seek(archive._end)
    archive.add("far", b"22")
    archive.finish()
    with ZipFile(tmp_path / "far.zip") as file:
        assert file.getinfo("far").header_offset > gap
        assert (file.read("near"), file.read("far")) == (b"1", b"22")


def test_a_member_of_4_gib_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipped, "_MOST", 3)
    archive = StoredZip(tmp_path / "one.zip")
    with pytest.raises(ValueError, match=r"big: 3 bytes; expected an image below 4 GiB"):
        archive.add("big", b"123")
    archive.close()
