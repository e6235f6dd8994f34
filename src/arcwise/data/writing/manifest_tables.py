"""What describes copied pictures: their rows and pairs, under the names that they have now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv as pacsv

from arcwise.data.manifest import Manifest
from arcwise.data.names import MANIFEST, PAIRS

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_NAMING = ("template", "image", "name")  # what pairs call a row: by the first of these it has


def rows_renamed(manifest: Manifest, rows: Sequence[int], images: Sequence[str]) -> pa.Table:
    """The table of these rows, their pictures called so."""
    table = manifest.table.take(pa.array(rows, pa.int64()))
    column = table.column_names.index("image")
    return table.set_column(column, "image", pa.array(images, pa.string()))


def pairs_renamed(
    manifest: Manifest, rows: Sequence[int], images: Sequence[str]
) -> pa.Table | None:
    """The pairs whose two sides are among these rows, by what they are called now.

    Pairs name a row by its template or a column `name` where there is one, which stay as they
    are, or by its picture, which does not.

    Args:
        manifest: the source, with its pairs.
        rows: of the source, that were copied.
        images: what each of them is called now.

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
    """Name and content of what lies beside the pictures in a folder or archive.

    `manifest.csv`, and `pairs.csv` where the source states pairs.
    """
    yield MANIFEST, as_csv(rows_renamed(manifest, rows, images))
    if (pairs := pairs_renamed(manifest, rows, images)) is not None:
        yield PAIRS, as_csv(pairs)


def pairs_path(target: Path) -> Path:
    """Where the pairs of a data set that is one file, or several, lie: beside it."""
    return target.with_suffix(".pairs.csv")


def as_csv(table: pa.Table) -> bytes:
    """The table as text: lists as numbers with blanks between, true and false as 1 and 0."""
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
