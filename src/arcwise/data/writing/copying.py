"""The pictures of a data set, copied into another form; gone on with after an interruption."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.parallel import Progress
from arcwise.data.reading import containers, each_file
from arcwise.data.writing import new_writer, refuse_existing
from arcwise.data.writing.tables import as_csv, pairs_path, pairs_renamed
from arcwise.data.writing.unfinished import Unfinished, work_place
from arcwise.data.writing.writer import Writer
from arcwise.errors import ArcwiseError, ImageError

_STEP = 256  # pictures between two moves of the progress bar
_PAIRS_INSIDE = ("", ".zip", ".bin")
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


def copy_pictures(
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
    if not work_place(target).exists():  # with it, all may be written and in its place
        refuse_existing(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    about = {"source": manifest.name, "fingerprint": _fingerprint(manifest), "form": form}
    total = start = len(manifest)
    copied, notes = 0, ()
    with Unfinished(target, about) as work:
        if not work.whole():
            refuse_existing(target, *_beside(target, form))
            writer = new_writer(form, work.folder, target.name, manifest)
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
    manifest: Manifest, writer: Writer, work: Unfinished, start: int, progress: Progress | None
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


def _rows(manifest: Manifest, work: Unfinished) -> list[int]:
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
    manifest: Manifest, target: Path, work: Unfinished, rows: list[int], names: list[str]
) -> list[str]:
    """The name of the file of pairs for beside the destination, if it is not among the names."""
    path = pairs_path(work.folder / target.name)
    if path.name in names:
        return []
    written = open_manifest(work.folder / target.name, identities=False)
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
