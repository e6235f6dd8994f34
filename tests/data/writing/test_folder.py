"""Folders that go on after any interruption as if there had been none."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.writing.folder import FolderWriter, NewFolder

PICTURES = [b"\x89PNG" + bytes([number]) * (13 * number) for number in range(5)]
IMAGES = (
    ["1.png", "2.png", "3.png", "4.png", "5.png"],
    [f"x.rec/{number}" for number in range(5)],
    ["x.rec/1", "1.png", "000000001.png", "b.jpg", "b.png"],
)


def manifest(images: list[str]) -> Manifest:
    columns = {"image": images, "identity": ["a", "a", "a", "b/c", "b/c"]}
    return Manifest(pa.table(columns), Path(), "set")


def files(root: Path) -> dict[str, bytes]:
    paths = [path for path in root.rglob("*") if path.is_file()]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.parametrize("images", IMAGES)
@pytest.mark.parametrize("skip", [None, 0, 2, 4])
def test_interrupted_anywhere_it_becomes_the_same_folder(
    tmp_path: Path, images: list[str], skip: int | None
) -> None:
    source = manifest(images)
    rows = [row for row in range(5) if row != skip]
    for stop in range(6):
        for cut in (0, 1, 3):  # bytes that the last file lacks
            folder = tmp_path / f"{stop}{cut}"
            folder.mkdir()
            writer = FolderWriter(folder, "out", source)
            assert writer.resume() == 0
            for row in rows[:stop]:
                writer.add(row, PICTURES[row])
            writer.close()
            if stop and cut:
                last = max((folder / "out").rglob("*.*"), key=lambda path: path.stat().st_mtime_ns)
                last.write_bytes(last.read_bytes()[:-cut])
            if stop == 5:
                (folder / "out" / "manifest.csv").write_text("cut sho")
            writer = FolderWriter(folder, "out", source)
            start = writer.resume()
            assert start == (rows[min(stop, len(rows)) - 1] if stop else 0)
            for row in rows:
                if row >= start:
                    writer.add(row, PICTURES[row])
            assert writer.finish(rows) == ["out"]
            assert files(folder) == files(tmp_path / "00")
    manifest_read = open_manifest(tmp_path / "00" / "out")
    assert [manifest_read.read(row) for row in range(len(rows))] == [PICTURES[row] for row in rows]


def test_nothing_is_written_over(tmp_path: Path) -> None:
    folder = NewFolder(tmp_path / "new")
    folder.add("a/b.png", b"1")
    with pytest.raises(FileExistsError):
        folder.add("a/b.png", b"2")
    assert (tmp_path / "new/a/b.png").read_bytes() == b"1"
