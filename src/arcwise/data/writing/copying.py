"""A data set in another form: its images copied, or a table that points at them.

Copies are resumed after an interruption.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.parallel import Progress
from arcwise.data.picture import picture_exists
from arcwise.data.reading import containers, each_file
from arcwise.data.writing import write_table
from arcwise.data.writing.folder import FolderWriter
from arcwise.data.writing.manifest_tables import as_csv, pairs_path, pairs_renamed, rows_renamed
from arcwise.data.writing.pack import PackWriter
from arcwise.data.writing.parquet import ParquetWriter
from arcwise.data.writing.records import RecordWriter
from arcwise.data.writing.shards import ShardWriter
from arcwise.data.writing.work_folder import WorkFolder, open_work_folder, work_path
from arcwise.data.writing.zipped import ZipWriter
from arcwise.errors import ArcwiseError, ImageError
from arcwise.files import refuse_existing


class Writer(Protocol):
    """Takes the pictures of a manifest in the order of its rows, into files of a work folder.

    What was added, the last megabytes perhaps excepted, is found again by `resume` after any
    interruption but a lost power supply. Two ways to the end give the same bytes.

    Attributes:
        notes: what the user has to know of what `finish` wrote, a line each.
    """

    notes: tuple[str, ...]

    def resume(self) -> int:
        """The row after the last one that is whole in the work folder; the rest is cut off."""
        ...

    def add(self, row: int, data: bytes) -> None:
        """Appends the picture of one row; rows come in order, some may be left out."""
        ...

    def finish(self, rows: Sequence[int]) -> list[str]:
        """Writes what describes the pictures, and closes.

        Args:
            rows: all rows that were added, of this attempt and of earlier ones.

        Returns:
            The names of the files in the work folder, in the order in which they go to their
            place; the one that readers open comes last.
        """
        ...

    def close(self) -> None:
        """Lets go of the files without finishing; what was added is on disk."""
        ...


_STEP = 256  # pictures between two moves of the progress bar
_PAIRS_INSIDE = ("", ".zip", ".bin")
WRITERS: dict[str, Callable[[Path, str, Manifest], Writer]] = {
    "": FolderWriter,
    ".zip": ZipWriter,
    ".rec": RecordWriter,
    ".tar": ShardWriter,
    ".parquet": ParquetWriter,
    ".bin": PackWriter,
}
"""Ending of a destination → what copies images into one."""

_BESIDE = {
    ".rec": ("{}.idx", "{}.lst", "{}.manifest.parquet", "property"),
    ".tar": ("{}.index.parquet", "{}-000000.tar"),
}
"""What a form puts beside its destination, or instead of it."""


class Copied(NamedTuple):
    """What was copied.

    Attributes:
        rows: whose pictures are there now.
        left_out: the pictures that cannot be read.
        resumed_at: the row that an earlier attempt had come to.
        copied: bytes of pictures since then.
        notes: what the user has to know of what was written.
    """

    rows: list[int]
    left_out: list[ImageError]
    resumed_at: int = 0
    copied: int = 0
    notes: tuple[str, ...] = ()


def copy_images(
    manifest: Manifest,
    target: Path,
    form: str,
    *,
    progress: Progress | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> Copied:
    """Copies into a destination that appears when it is whole; see `verbs.data_convert.convert`.

    Args:
        manifest: with images.
        target: must not exist.
        form: its ending; that of a folder is empty.
        progress: called with the pictures done and their total.
        say: told what happens, a line at a time.

    Raises:
        ArcwiseError: something is in the way, or no picture can be read.
    """
    if not work_path(target).exists():  # with it, all may be written and in its place
        refuse_existing(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    about = {"source": manifest.name, "fingerprint": _fingerprint(manifest), "form": form}
    total = start = len(manifest)
    copied, notes = 0, ()
    with open_work_folder(target, about) as work:
        if not work.whole():
            refuse_existing(target, *_beside(target, form))
            writer = WRITERS[form](work.files, target.name, manifest)
            try:
                start = writer.resume()
                if start:
                    say(f"resuming at picture {min(start + 1, total):,} of {total:,}")
                work.left_out(before=start)
                copied = _add(manifest, writer, work, start, progress)
                rows = _rows(manifest, work)
                names = writer.finish(rows)
                notes = writer.notes
            finally:
                writer.close()
            if manifest.pairs is not None and form not in _PAIRS_INSIDE:
                names = [*_pairs_beside(manifest, target, work, rows, names), *names]
            work.declare_whole(names)
        rows, left_out = _rows(manifest, work), work.left_out(before=total)
        work.move(target.parent)
    return Copied(rows, list(left_out.values()), start, copied, notes)


def _add(
    manifest: Manifest, writer: Writer, work: WorkFolder, start: int, progress: Progress | None
) -> int:
    """The bytes of the pictures that were added, from a row to the last."""
    copied, total = 0, len(manifest)
    for row, found in each_file(manifest, start):
        if isinstance(found, ImageError):
            work.leave_out(row, found)
        else:
            writer.add(row, found)
            copied += len(found)
        if progress is not None and ((row + 1) % _STEP == 0 or row + 1 == total):
            progress(row + 1, total)
    return copied


def _rows(manifest: Manifest, work: WorkFolder) -> list[int]:
    """The rows that were not left out."""
    left_out = work.left_out(before=len(manifest))
    if len(left_out) == len(manifest):
        work.drop()
        raise none_readable(manifest, left_out[0])
    return np.delete(np.arange(len(manifest)), list(left_out)).tolist()


def none_readable(manifest: Manifest, first: ImageError) -> ArcwiseError:
    """What is said when nothing is left to write."""
    return ArcwiseError(f"{manifest.name}: no picture can be read; the first: {first}")


def _pairs_beside(
    manifest: Manifest, target: Path, work: WorkFolder, rows: list[int], names: list[str]
) -> list[str]:
    """The name of the file of pairs for beside the destination, if it is not among the names."""
    path = pairs_path(work.files / target.name)
    if path.name in names:
        return []
    written = open_manifest(work.files / target.name, identities=False)
    path.write_bytes(as_csv(pairs_renamed(manifest, rows, written.images)))
    return [path.name]


def _beside(target: Path, form: str) -> list[Path]:
    """What must not be there already, besides the destination."""
    names = [name.format(target.stem) for name in _BESIDE.get(form, ())]
    pairs = [] if form in _PAIRS_INSIDE else [pairs_path(target)]
    return [*map(target.with_name, names), *pairs]


def _fingerprint(manifest: Manifest) -> str:
    """What the copy depends on: the table, the pairs, and the containers as they are now."""
    digest = hashlib.sha256(manifest.fingerprint().encode())
    if manifest.pairs is not None:
        digest.update(as_csv(manifest.pairs))
    for path in containers(manifest):
        status = os.stat(path)
        digest.update(f"{path.name}:{status.st_size}:{status.st_mtime_ns}".encode())
    return digest.hexdigest()


def point_at_images(manifest: Manifest, target: Path) -> Copied:
    """Writes a `.csv` or `.parquet` table, and the pairs beside it where there are any.

    Pictures that are not there are left out.

    Raises:
        ArcwiseError: something is in the way, or no picture is there.
    """
    rows, left_out = list(range(len(manifest))), []
    table, pairs = manifest.table, manifest.pairs
    refuse_existing(target, *([] if pairs is None else [pairs_path(target)]))
    with write_table(target) as write:
        if manifest.has_images:
            refs = manifest.images
            rows = [row for row, ref in enumerate(refs) if picture_exists(manifest.root, ref)]
            there = set(rows)
            left_out = [
                ImageError(ref, "no such picture")
                for row, ref in enumerate(refs)
                if row not in there
            ]
            if not rows:
                raise none_readable(manifest, left_out[0])
            images = [_place(manifest, refs[row], target) for row in rows]
            table = rows_renamed(manifest, rows, images)
            pairs = pairs_renamed(manifest, rows, images)
        write(table)
        if pairs is not None:
            pairs_path(target).write_bytes(as_csv(pairs))
    return Copied(rows, left_out)


def _place(manifest: Manifest, image: str, target: Path) -> str:
    """Where a picture is, seen from the table: below it if it is, otherwise from the root."""
    place = Path(os.path.abspath(os.path.join(manifest.root, image)))
    folder = Path(os.path.abspath(target)).parent
    return (place.relative_to(folder) if place.is_relative_to(folder) else place).as_posix()
