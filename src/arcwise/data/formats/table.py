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
from arcwise.data.image_files import image_exists
from arcwise.data.manifest import Manifest
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
    """Return the manifest of a table on disk; its images start from the table's folder.

    A Parquet table may hold the images themselves: see `arcwise.data.formats.parquet_table`.
    """
    if path.suffix.lower() == ".csv":
        try:
            parsed = ParquetTable(parse_csv(read_file(path), str(path)))
        except OSError as problem:
            raise ArcwiseError(f"{path}: {problem.strerror}") from None
    else:
        parsed = read_parquet(path, image_column)
    if parsed.holds_images and images is not None:
        raise ArcwiseError(f"{path}: its images are inside; leave out --images {images}")
    if parsed.made_image:
        image_column = None
        if identity_column is None and "identity" not in parsed.table.column_names:
            identity_column = _classes_of(parsed)
    manifest = _manifest(
        parsed.table,
        str(path),
        root=path.parent if images is None else images,
        name=name or path.stem,
        image_column=image_column,
        identity_column=identity_column,
        identities=identities,
    )
    return replace(
        manifest,
        understood=manifest.understood
        + (", which holds its images" if parsed.holds_images else ""),
        notes=(*parsed.notes, *manifest.notes),
    )


def _classes_of(parsed: ParquetTable) -> str | None:
    """Return the column to take for `identity`: `label`, or the only column of classes."""
    if "label" in parsed.table.column_names:
        return "label"
    return parsed.classes[0] if len(parsed.classes) == 1 else None


def read_table_bytes(
    data: bytes, title: str, *, root: Path, name: str, identities: bool = True
) -> Manifest:
    """Return the manifest of a table inside an archive; its images start from the archive."""
    table = parse_csv(data, title) if title.lower().endswith(".csv") else parse_parquet(data, title)
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
        # Vectors are of use without the images that they are of; who needs these looks for them.
        needed = "vector" not in table.column_names
        table = with_reachable_images(table, root, title) if needed else _slashed(table, root)
    return Manifest(table, root, name, understood=f"the table {Path(title).name}")


def with_reachable_images(table: pa.Table, root: Path, title: str) -> pa.Table:
    """Return the table if at least one of a few images is where it says, else raise an error.

    A wrong folder fails early. Single missing images are for `check` to list, and for a batch job
    to count.
    """
    table = _slashed(table, root)
    refs = table.column("image")
    probes = [refs[row].as_py() for row in range(0, len(refs), -(-len(refs) // _PROBES))]
    if any(image_exists(root, ref) for ref in probes):
        return table
    others = f", nor are {len(probes) - 1} others tried" if len(probes) > 1 else ""
    raise ArcwiseError(
        f"{title}: row 1: image {probes[0]!r} is not in {root}{others}; expected paths from there, "
        "or whole ones; a command that has --images takes another folder or .zip by that"
        f"{_hint(root)}"
    )


def _slashed(table: pa.Table, root: Path) -> pa.Table:
    """Return the table, its images with forward slashes and without blanks around them.

    Files that really have such names keep them.
    """
    refs = table.column("image")
    if not pc.any(pc.match_substring_regex(refs, _ODD)).as_py():
        return table
    slashed = [
        ref if not _ODD_REF.search(ref) or image_exists(root, ref) else _plain(ref)
        for ref in refs.to_pylist()
    ]
    place = table.column_names.index("image")
    return table.set_column(place, "image", pa.array(slashed, pa.string()))


def _plain(ref: str) -> str:
    return ref.strip().replace("\\", "/")


def _hint(root: Path) -> str:
    archives = sorted(root.glob("*.zip")) if root.is_dir() else []
    return f" (beside it lies {archives[0].name})" if archives else ""
