"""A CSV or Parquet table that names the images (or holds the vectors)."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute

from arcwise.data.formats.csv_text import parse_csv
from arcwise.data.formats.manifest_columns import validated
from arcwise.data.formats.parquet_table import ParquetTable, parse_parquet, read_parquet
from arcwise.data.manifest import Manifest
from arcwise.data.picture import picture_exists
from arcwise.errors import ArcwiseError
from arcwise.files import read_file

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

TABLES = frozenset((".csv", ".parquet"))

_PROBES = 16
_ODD = r"\\|^\s|\s$"
_ODD_REF = re.compile(_ODD)


def read_table(
    path: Path,
    *,
    image_column: str | None = None,
    identity_column: str | None = None,
    identities: bool = True,
    images: Path | None = None,
    name: str | None = None,
) -> Manifest:
    """The manifest of a table on disk; its images start from the table's folder.

    A Parquet table may hold the pictures themselves: see `arcwise.data.formats.parquet_table`.
    """
    if path.suffix.lower() == ".csv":
        try:
            found = ParquetTable(parse_csv(read_file(path), str(path)))
        except OSError as problem:
            raise ArcwiseError(f"{path}: {problem.strerror}") from None
    else:
        found = read_parquet(path, image_column)
    if found.inside and images is not None:
        raise ArcwiseError(f"{path}: its pictures are inside; leave out --images {images}")
    if found.named:
        image_column = None
        if identity_column is None and "identity" not in found.table.column_names:
            identity_column = _classes_of(found)
    manifest = _manifest(
        found.table,
        str(path),
        root=path.parent if images is None else images,
        name=name or path.stem,
        image_column=image_column,
        identity_column=identity_column,
        identities=identities,
    )
    return replace(
        manifest,
        understood=manifest.understood + (", which holds its pictures" if found.inside else ""),
        notes=(*found.notes, *manifest.notes),
    )


def _classes_of(found: ParquetTable) -> str | None:
    """The column of identities where none has that name: `label`, or the only one of classes."""
    if "label" in found.table.column_names:
        return "label"
    return found.classes[0] if len(found.classes) == 1 else None


def read_table_bytes(
    data: bytes, title: str, *, root: Path, name: str, identities: bool = True
) -> Manifest:
    """The manifest of a table that lies inside an archive; its images start from the archive."""
    table = parse_csv(data, title) if title.endswith(".csv") else parse_parquet(data, title)
    return _manifest(table, title, root=root, name=name, identities=identities)


def _manifest(
    table: pa.Table,
    title: str,
    *,
    root: Path,
    name: str,
    image_column: str | None = None,
    identity_column: str | None = None,
    identities: bool = True,
) -> Manifest:
    table = validated(
        table,
        title,
        image_column=image_column,
        identity_column=identity_column,
        identities=identities,
    )
    if "image" in table.column_names:
        table = reachable(table, root, title)
    return Manifest(table, root, name, understood=f"the table {Path(title).name}")


def reachable(table: pa.Table, root: Path, title: str) -> pa.Table:
    """The table, when at least one of a few images is where it says; a wrong folder fails early.

    Single missing pictures are for `check` to list, and for a batch job to count.
    """
    table = _slashed(table, root)
    refs = table.column("image")
    probes = [refs[row].as_py() for row in range(0, len(refs), -(-len(refs) // _PROBES))]
    if any(picture_exists(root, ref) for ref in probes):
        return table
    raise ArcwiseError(
        f"{title}: row 1: image {probes[0]!r} is not in {root}, nor are {len(probes) - 1} others "
        f"tried; if they start elsewhere, name that folder or .zip with --images{_hint(root)}"
    )


def _slashed(table: pa.Table, root: Path) -> pa.Table:
    """The table, its images with forward slashes and without blanks around them.

    But for files that are called so.
    """
    refs = table.column("image")
    if not pc.any(pc.match_substring_regex(refs, _ODD)).as_py():
        return table
    slashed = [
        ref if not _ODD_REF.search(ref) or picture_exists(root, ref) else _plain(ref)
        for ref in refs.to_pylist()
    ]
    place = table.column_names.index("image")
    return table.set_column(place, "image", pa.array(slashed, pa.string()))


def _plain(ref: str) -> str:
    return ref.strip().replace("\\", "/")


def _hint(root: Path) -> str:
    archives = sorted(root.glob("*.zip")) if root.is_dir() else []
    return f" (beside it lies {archives[0].name})" if archives else ""
