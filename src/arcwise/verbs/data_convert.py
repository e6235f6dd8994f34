"""Data convert: one form of a data set becomes another."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from arcwise.data.formats.manifest_columns import nobody_in
from arcwise.data.formats.opening import open_manifest
from arcwise.data.formats.pairs import read_pairs
from arcwise.data.formats.pairs.consistency import check_agreement, self_pair_notes, self_pairs
from arcwise.data.manifest import Manifest
from arcwise.data.parallel import Progress
from arcwise.data.writing.copying import WRITERS, Copied, copy_images, point_at_images
from arcwise.data.writing.manifest_tables import pairs_renamed
from arcwise.errors import ArcwiseError, ImageError
from arcwise.files import os_error_reason

_SHOWN = 10


@dataclass(frozen=True)
class Converted:
    """What was written; it prints itself.

    Attributes:
        path: where.
        images: how many.
        identities: of how many identities.
        pairs: pairs to verify that it states.
        resumed_at: the row that an earlier attempt had reached.
        copied: bytes of images copied since then.
        seconds: the time that took.
        left_out: the images that cannot be read, each with its reason.
        notes: what the source, and what was written, have to say about themselves.
    """

    path: Path
    images: int
    identities: int
    pairs: int = 0
    resumed_at: int = 0
    copied: int = 0
    seconds: float = 0.0
    left_out: tuple[ImageError, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.images:,} images of {self.identities:,} identities"]
        if self.pairs:
            lines[0] += f", {self.pairs:,} pairs to verify"
        if self.copied:
            amount, seconds = self.copied / 1e6, max(self.seconds, 1e-9)
            lines.append(f"  {amount:,.1f} MB in {seconds:,.1f} s, {amount / seconds:,.0f} MB/s")
        lines += [f"  note: {note}" for note in self.notes]
        if self.left_out:
            lines.append(f"  left out, they cannot be read ({len(self.left_out):,})")
            lines += [f"    {error}" for error in self.left_out[:_SHOWN]]
        if len(self.left_out) > _SHOWN:
            lines.append(f"    ... and {len(self.left_out) - _SHOWN:,} more")
        return "\n".join(lines)


def convert(
    source: Manifest | str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    pairs: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    say: Callable[[str], object] = lambda line: None,
) -> Converted:
    """Write the data set in another form, which the ending of the destination names.

    Images are copied byte for byte and never decoded: a damaged one is copied as it is, and
    `data check` finds it. One that cannot be read at all is left out and listed. Two forms copy
    nothing: `.csv`, which points at the images where they are, and the `.parquet` of vectors
    without images.

    The destination appears when it is whole. Until then all is in `.<name>.partial` next to it.
    After an interruption of any kind the same call goes on from there.

    Args:
        source: a manifest, or anything `open_manifest` takes.
        destination: must not exist; ends in .zip, .rec, .tar, .parquet, .bin or .csv, or in / for
            a folder.
        pairs: a file of pairs to verify (pairs.csv, pairs.txt), instead of the source's own.
        progress: called with the images done and their total.
        say: called with what happens, a line at a time.

    Raises:
        ArcwiseError: the destination exists, its form is unknown or cannot hold the source, no
            image can be read, or the identities contradict the pairs.
    """
    target = Path(destination)
    form = "" if os.fspath(destination).endswith(("/", os.sep)) else target.suffix.lower()
    if form not in (*WRITERS, ".csv"):
        raise ArcwiseError(
            f"{target}: cannot write {form}; end the name in .zip, .rec, .tar, .parquet, .bin or "
            ".csv, or in / for a folder"
        )
    manifest = open_manifest(source, identities=False)
    _check_folder_names(manifest)
    if pairs is not None:
        manifest = replace(manifest, pairs=read_pairs(Path(pairs), manifest))
    if manifest.pairs is not None:
        title = manifest.name if pairs is None else os.fspath(pairs)
        check_agreement(manifest.pairs, manifest, title)
        note = self_pair_notes(manifest.pairs, self_pairs(manifest.pairs, manifest))
        manifest = replace(manifest, notes=(*manifest.notes, *note))
    if form == ".csv" or (form == ".parquet" and not manifest.has_images):
        return _summary(manifest, target, point_at_images(manifest, target), 0.0)
    if not manifest.has_images:
        raise ArcwiseError(f"{manifest.name} holds vectors, not images; write .parquet or .csv")
    began = time.monotonic()
    try:
        done = copy_images(manifest, target, form, progress=progress, say=say)
    except OSError as problem:
        raise ArcwiseError(
            f"{target} cannot be written: {os_error_reason(problem)}; make room and give the same "
            "command again, which goes on from what is whole"
        ) from problem
    return _summary(manifest, target, done, time.monotonic() - began)


def _check_folder_names(manifest: Manifest) -> None:
    """Refuse a folder whose name stands for "no identity" in every other form."""
    if "identity" not in manifest.table.column_names:
        return
    names = [one for one in nobody_in(manifest.table.column("identity")).to_pylist() if one]
    if names := [one for one in names if one.strip()]:
        raise ArcwiseError(
            f"{manifest.name}: the folder {names[0]!r} is named like no identity, and would be "
            "read as none; rename it"
        )


def _summary(manifest: Manifest, target: Path, done: Copied, seconds: float) -> Converted:
    rows = done.rows
    identities = manifest.column("identity") or ()
    pairs = manifest.pairs
    if pairs is not None and manifest.has_images:
        images = pa.array(rows).cast(pa.string()).to_pylist()  # any names: they are counted
        pairs = pairs_renamed(manifest, rows, images)
    return Converted(
        target,
        len(rows),
        len({identities[row] for row in rows if identities and identities[row]}),
        0 if pairs is None else len(pairs),
        done.resumed_at,
        done.copied,
        seconds,
        tuple(done.left_out),
        (*manifest.notes, *done.notes),
    )
