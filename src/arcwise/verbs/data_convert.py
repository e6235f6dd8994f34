"""One form of data set → another."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from arcwise.data.manifest import Manifest, open_manifest
from arcwise.data.names import MANIFEST, member_paths
from arcwise.data.parallel import Progress
from arcwise.data.reading import each_picture
from arcwise.data.writing import Target, add_manifest, new_folder, new_zip, write_table
from arcwise.errors import ArcwiseError, ImageError

_TABLES = (".csv", ".parquet")
_COPIES = {".zip": new_zip, "": new_folder}
_SHOWN = 10


@dataclass(frozen=True)
class Converted:
    """What was written; it prints itself.

    Attributes:
        path: where.
        images: how many.
        identities: of how many.
        left_out: the pictures that cannot be decoded, each with its reason.
    """

    path: Path
    images: int
    identities: int
    left_out: tuple[ImageError, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.path}: {self.images:,} images of {self.identities:,} identities"]
        if self.left_out:
            lines.append(f"  left out, they cannot be decoded ({len(self.left_out):,})")
            lines += [f"    {error}" for error in self.left_out[:_SHOWN]]
        if len(self.left_out) > _SHOWN:
            lines.append(f"    ... and {len(self.left_out) - _SHOWN:,} more")
        return "\n".join(lines)


def convert(
    source: Manifest | str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    progress: Progress | None = None,
) -> Converted:
    """The data set in another form, which the ending of the destination names.

    `.csv` and `.parquet` are tables that point at the pictures where they are; a `.zip` and a
    folder hold copies of the files, byte for byte, and a `manifest.csv` with every column. Names
    of files and folders are made safe; the manifest keeps the identities as they are. The
    destination appears when it is whole.

    Args:
        source: a manifest, or anything `open_manifest` takes.
        destination: must not exist; ends in .zip, .csv or .parquet, or is a folder.
        progress: called with the pictures done and their total.

    Raises:
        ArcwiseError: the destination exists, its form is unknown, or no picture can be used.
    """
    manifest = open_manifest(source, identities=False)
    target = Path(destination)
    form = "" if os.fspath(destination).endswith(("/", os.sep)) else target.suffix.lower()
    if form not in (*_TABLES, *_COPIES):
        raise ArcwiseError(
            f"{target}: cannot write {form}; end the name in .zip, .csv or .parquet, or in / for "
            "a folder"
        )
    if form in _TABLES:
        return _write_table(manifest, target, progress)
    if not manifest.has_images:
        raise ArcwiseError(f"{manifest.name} holds vectors, not pictures; write .parquet or .csv")
    with _COPIES[form](target) as files:
        return _write_copies(manifest, target, files, progress)


def _write_copies(
    manifest: Manifest, target: Path, files: Target, progress: Progress | None
) -> Converted:
    paths = member_paths(manifest, taken=[MANIFEST])
    rows, left_out = [], []
    for found in each_picture(manifest, lambda row, data, _: (row, data), progress=progress):
        if isinstance(found, ImageError):
            left_out.append(found)
        else:
            row, data = found
            files.add(paths[row], data)
            rows.append(row)
    kept = _some(manifest, rows, left_out)
    add_manifest(files, kept.table, [paths[row] for row in rows])
    return _summary(kept, target, left_out)


def _write_table(manifest: Manifest, target: Path, progress: Progress | None) -> Converted:
    left_out: list[ImageError] = []
    kept = manifest
    with write_table(target) as write:  # refuses before the work, not after it
        if manifest.has_images:
            looked = list(each_picture(manifest, lambda row, *_: row, progress=progress))
            left_out = [one for one in looked if isinstance(one, ImageError)]
            kept = _some(manifest, [one for one in looked if isinstance(one, int)], left_out)
            places = [_place(kept, image, target) for image in kept.images]
            column = kept.table.column_names.index("image")
            table = kept.table.set_column(column, "image", pa.array(places, pa.string()))
            write(table)
        else:
            write(kept.table)
    return _summary(kept, target, left_out)


def _place(manifest: Manifest, image: str, target: Path) -> str:
    """Where a picture is, seen from the table: below it if it is, otherwise from the root."""
    place = Path(os.path.abspath(os.path.join(manifest.root, image)))
    folder = Path(os.path.abspath(target)).parent
    return (place.relative_to(folder) if place.is_relative_to(folder) else place).as_posix()


def _some(manifest: Manifest, rows: list[int], left_out: list[ImageError]) -> Manifest:
    if not rows:
        raise ArcwiseError(f"{manifest.name}: no picture can be decoded; the first: {left_out[0]}")
    return manifest.select(rows)


def _summary(kept: Manifest, target: Path, left_out: list[ImageError]) -> Converted:
    identities = set(filter(None, kept.column("identity") or ()))
    return Converted(target, len(kept), len(identities), tuple(left_out))
