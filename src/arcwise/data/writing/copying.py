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
from arcwise.data.image_files import image_exists
from arcwise.data.manifest import Manifest
from arcwise.data.parallel import Progress
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
from arcwise.files import atomic_write


class Writer(Protocol):
    """Writes the images of a manifest, in the order of its rows, into files of a work folder.

    After an interruption, `resume` finds what was added, but perhaps for the last megabytes. The
    files come out the same with and without interruptions.

    Attributes:
        notes: what the user has to know of the files, a line each.
    """

    notes: tuple[str, ...]

    def resume(self) -> int:
        """Cut off what is not whole in the work folder; return the row after the last whole one."""
        ...

    def add(self, row: int, data: bytes) -> None:
        """Append the image of one row. Rows come in order; some may be left out."""
        ...

    def finish(self, rows: Sequence[int]) -> list[str]:
        """Write the tables that describe the images, and close.

        Args:
            rows: all rows that were added, of this attempt and of earlier ones.

        Returns:
            The names of the files in the work folder, in the order to move them. The one that
            readers open comes last.
        """
        ...

    def close(self) -> None:
        """Close the files without finishing them; what was added is on disk."""
        ...


WRITERS: dict[str, Callable[[Path, str, Manifest], Writer]] = {
    "": FolderWriter,
    ".zip": ZipWriter,
    ".rec": RecordWriter,
    ".tar": ShardWriter,
    ".parquet": ParquetWriter,
    ".bin": PackWriter,
}
"""Ending of a destination → what copies images into one."""

_COMPANIONS = {
    ".rec": ("{}.idx", "{}.lst", "{}.manifest.parquet", "property"),
    ".tar": ("{}.index.parquet", "{}-000000.tar"),
}
"""Further files that a form writes next to its destination, or instead of it."""

_PAIRS_INSIDE = ("", ".zip", ".bin")
_STEP = 256  # images between two moves of the progress bar


class Copied(NamedTuple):
    """The result of a copy.

    Attributes:
        rows: the rows whose images were written.
        left_out: the images that cannot be read.
        resumed_at: the first row that an earlier attempt had not copied.
        copied: bytes of images from that row on.
        notes: what the user has to know of the files, a line each.
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
    """Copy into a destination that appears when it is whole; see `verbs.data_convert.convert`.

    Args:
        manifest: with images.
        target: must not exist.
        form: its ending; that of a folder is empty.
        progress: called with the images done and their total.
        say: called with a line for the user.

    Raises:
        ArcwiseError: the destination exists, or no image can be read.
    """
    if not work_path(target).exists():  # with it, all files may have been moved already
        _refuse_existing(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    about = {"source": manifest.name, "fingerprint": _fingerprint(manifest), "form": form}
    total = start = len(manifest)
    copied, notes = 0, ()
    with open_work_folder(target, about) as work:
        if not work.whole():
            _refuse_existing(target, *_companions(target, form))
            writer = WRITERS[form](work.files, target.name, manifest)
            try:
                start = writer.resume()
                if start:
                    say(f"resuming at image {min(start + 1, total):,} of {total:,}")
                work.left_out(before=start)
                copied = _add(manifest, writer, work, start, progress)
                rows = _rows(manifest, work)
                names = writer.finish(rows)
                notes = writer.notes
            finally:
                writer.close()
            if manifest.pairs is not None and form not in _PAIRS_INSIDE:
                names = [*_write_pairs(manifest, target, work, rows, names), *names]
            work.declare_whole(names)
        rows, left_out = _rows(manifest, work), work.left_out(before=total)
        work.move(target.parent)
    return Copied(rows, list(left_out.values()), start, copied, notes)


def point_at_images(manifest: Manifest, target: Path) -> Copied:
    """Write a `.csv` or `.parquet` table, and next to it the pairs where there are any.

    Images that do not exist are left out.

    Raises:
        ArcwiseError: one of the files exists, or no image does.
    """
    rows, left_out = list(range(len(manifest))), []
    table, pairs = manifest.table, manifest.pairs
    _refuse_existing(target, *([] if pairs is None else [pairs_path(target)]))
    with write_table(target) as write:
        if manifest.has_images:
            refs = manifest.images
            rows = [row for row, ref in enumerate(refs) if image_exists(manifest.root, ref)]
            existing = set(rows)
            left_out = [
                ImageError(ref, "no such image")
                for row, ref in enumerate(refs)
                if row not in existing
            ]
            if not rows:
                raise _none_readable(manifest, left_out[0])
            images = [_place(manifest, refs[row], target) for row in rows]
            table = rows_renamed(manifest, rows, images)
            pairs = pairs_renamed(manifest, rows, images)
        write(table)
        if pairs is not None:
            with atomic_write(pairs_path(target), overwrite=False) as part:
                part.write_bytes(as_csv(pairs))
    return Copied(rows, left_out)


def _add(
    manifest: Manifest, writer: Writer, work: WorkFolder, start: int, progress: Progress | None
) -> int:
    """Add the images from a row on; return their bytes."""
    copied, total = 0, len(manifest)
    for row, data in each_file(manifest, start):
        if isinstance(data, ImageError):
            work.leave_out(row, data)
        else:
            writer.add(row, data)
            copied += len(data)
        if progress is not None and ((row + 1) % _STEP == 0 or row + 1 == total):
            progress(row + 1, total)
    return copied


def _rows(manifest: Manifest, work: WorkFolder) -> list[int]:
    """Return the rows that were not left out."""
    left_out = work.left_out(before=len(manifest))
    if len(left_out) == len(manifest):
        work.drop()
        raise _none_readable(manifest, left_out[0])
    return np.delete(np.arange(len(manifest)), list(left_out)).tolist()


def _none_readable(manifest: Manifest, first: ImageError) -> ArcwiseError:
    """Return the error of a data set without a readable image."""
    return ArcwiseError(f"{manifest.name}: no image can be read; the first: {first}")


def _write_pairs(
    manifest: Manifest, target: Path, work: WorkFolder, rows: list[int], names: list[str]
) -> list[str]:
    """Write the pairs if no file among `names` has them; return the names of new files."""
    path = pairs_path(work.files / target.name)
    if path.name in names:
        return []
    written = open_manifest(work.files / target.name, identities=False)
    path.write_bytes(as_csv(pairs_renamed(manifest, rows, written.images)))
    return [path.name]


def _companions(target: Path, form: str) -> list[Path]:
    """Return the further paths that the copy will write, next to the destination."""
    names = [name.format(target.stem) for name in _COMPANIONS.get(form, ())]
    pairs = [] if form in _PAIRS_INSIDE else [pairs_path(target)]
    return [*map(target.with_name, names), *pairs]


def _fingerprint(manifest: Manifest) -> str:
    """Return a digest of what the copy depends on: table, pairs, and the containers as they are."""
    digest = hashlib.sha256(manifest.fingerprint().encode())
    if manifest.pairs is not None:
        digest.update(as_csv(manifest.pairs))
    for path in containers(manifest):
        status = os.stat(path)
        digest.update(f"{path.name}:{status.st_size}:{status.st_mtime_ns}".encode())
    return digest.hexdigest()


def _place(manifest: Manifest, image: str, target: Path) -> str:
    """Return the path of an image, relative to the table if it lies below it, else absolute."""
    place = Path(os.path.abspath(os.path.join(manifest.root, image)))
    folder = Path(os.path.abspath(target)).parent
    return (place.relative_to(folder) if place.is_relative_to(folder) else place).as_posix()


def _refuse_existing(*paths: Path) -> None:
    """Raise an ArcwiseError if there is something at one of the paths."""
    for path in paths:
        if os.path.lexists(path):
            raise ArcwiseError(f"{path} exists; name another place, or remove it first")
