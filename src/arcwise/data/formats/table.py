"""A CSV or Parquet table that names the images (or holds the vectors)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from arcwise.data.formats.columns import validated
from arcwise.data.formats.comma import parse_csv
from arcwise.data.formats.inside import ParquetTable, parse_parquet, read_parquet
from arcwise.data.manifest import Manifest
from arcwise.data.picture import picture_exists
from arcwise.errors import ArcwiseError

TABLES = frozenset((".csv", ".parquet"))

_PROBES = 16


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

    A Parquet table may hold the pictures themselves: see `arcwise.data.formats.inside`.
    """
    if path.suffix.lower() == ".csv":
        try:
            found = ParquetTable(parse_csv(path.read_bytes(), str(path)))
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
        table = _reachable(table, root, title)
    return Manifest(table, root, name, understood=f"the table {Path(title).name}")


def _reachable(table: pa.Table, root: Path, title: str) -> pa.Table:
    """The table, when at least one of a few images is where it says; a wrong folder fails early.

    Single missing pictures are for `check` to list, and for a batch job to count.
    """
    refs = table.column("image")
    probes = [refs[row].as_py() for row in range(0, len(refs), -(-len(refs) // _PROBES))]
    if any(picture_exists(root, ref) for ref in probes):
        return table
    if any(picture_exists(root, ref.replace("\\", "/")) for ref in probes):  # made on Windows
        slashed = pa.array([ref.replace("\\", "/") for ref in refs.to_pylist()], pa.string())
        return table.set_column(table.column_names.index("image"), "image", slashed)
    raise ArcwiseError(
        f"{title}: row 1: image {probes[0]!r} is not in {root}, nor are {len(probes) - 1} others "
        f"tried; if they start elsewhere, name that folder or .zip with --images{_hint(root)}"
    )


def _hint(root: Path) -> str:
    archives = sorted(root.glob("*.zip")) if root.is_dir() else []
    return f" (beside it lies {archives[0].name})" if archives else ""
