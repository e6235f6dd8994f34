"""A table that points at the pictures where they are, or holds vectors: nothing is copied."""

from __future__ import annotations

import os
from pathlib import Path

from arcwise.data.manifest import Manifest
from arcwise.data.picture import picture_exists
from arcwise.data.writing import refuse_existing, write_table
from arcwise.data.writing.copying import Copied, none_readable
from arcwise.data.writing.tables import as_csv, pairs_path, pairs_renamed, rows_renamed
from arcwise.errors import ImageError


def point_at_pictures(manifest: Manifest, target: Path) -> Copied:
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
