"""The tables that describe copied images: rows and pairs, with the new names of the images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv as pacsv

from arcwise.data.file_names import MANIFEST, PAIRS
from arcwise.data.manifest import Manifest

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_NAMING = ("template", "image", "name")  # pairs name a row by the first of these columns


def rows_renamed(manifest: Manifest, rows: Sequence[int], images: Sequence[str]) -> pa.Table:
    """Return the table of these rows with new names of the images."""
    table = manifest.table.take(pa.array(rows, pa.int64()))
    column = table.column_names.index("image")
    return table.set_column(column, "image", pa.array(images, pa.string()))


def pairs_renamed(
    manifest: Manifest, rows: Sequence[int], images: Sequence[str]
) -> pa.Table | None:
    """Return the pairs whose two sides are among these rows, with new names of the images.

    Pairs name a row by its template or a column `name` where there is one, which do not change,
    or by its image.

    Args:
        manifest: the source, with its pairs.
        rows: of the source that were copied.
        images: the new name of each.

    Returns:
        The pairs, or None where the source states none.
    """
    if manifest.pairs is None:
        return None
    column = next(name for name in _NAMING if name in manifest.table.column_names)
    old = manifest.table.column(column).take(pa.array(rows, pa.int64())).combine_chunks()
    new = pa.array(images, pa.string()) if column == "image" else old
    pairs = manifest.pairs
    for side in ("a", "b"):
        place = pc.index_in(pairs.column(side), value_set=old)
        pairs = pairs.set_column(pairs.column_names.index(side), side, new.take(place))
    return pairs.filter(pc.and_(pc.is_valid(pairs["a"]), pc.is_valid(pairs["b"])))


def tables_inside(
    manifest: Manifest, rows: Sequence[int], images: Sequence[str]
) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the tables in a folder or archive of images.

    `manifest.csv`, and `pairs.csv` where the source states pairs.
    """
    yield MANIFEST, as_csv(rows_renamed(manifest, rows, images))
    if (pairs := pairs_renamed(manifest, rows, images)) is not None:
        yield PAIRS, as_csv(pairs)


def pairs_path(target: Path) -> Path:
    """Return the path of the pairs of a data set that is no folder, next to it."""
    return target.with_suffix(".pairs.csv")


def as_csv(table: pa.Table) -> bytes:
    """Return the table as CSV: lists as numbers with blanks between, true and false as 1 and 0."""
    for index, field in enumerate(table.schema):
        column = table.column(index)
        if pa.types.is_nested(field.type):
            texts = [None if row is None else " ".join(map(str, row)) for row in column.to_pylist()]
            table = table.set_column(index, field.name, pa.array(texts, pa.string()))
        elif pa.types.is_boolean(field.type):
            table = table.set_column(index, field.name, column.cast(pa.int8()))
    sink = pa.BufferOutputStream()
    pacsv.write_csv(table, sink)
    return sink.getvalue().to_pybytes()
