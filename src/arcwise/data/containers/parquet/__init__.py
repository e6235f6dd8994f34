"""A Parquet table with the images in it: `set.parquet/17`, or `set.parquet/17/any name`.

The images' column is a struct of `bytes` and `path`, as Hugging Face data sets have it, or
plain binary. Parquet reads whole row groups; the last ones are kept, so that rows near one
another cost little, and rows far apart a row group each.
"""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from arcwise.errors import ArcwiseError, ImageError

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

KEPT = 64 * 2**20
"""Bytes of row groups that are kept; the last one always is."""


class ParquetContainer:
    """A table whose images are read a row group at a time."""

    def __init__(self, path: str) -> None:
        self._name, self._folder = Path(path).name, Path(path).parent
        self._file = open_table(path)
        column = image_column_of(self._file.schema_arrow, path)
        if column is None:
            raise ArcwiseError(f"{path}: no image in it; expected a column 'image' of bytes")
        struct = pa.types.is_struct(column.type)
        self._leaf = f"{column.name}.bytes" if struct else column.name
        has_path = struct and column.type.get_field_index("path") >= 0
        self._path_leaf = f"{column.name}.path" if has_path else None
        metadata = self._file.metadata
        counts = [metadata.row_group(one).num_rows for one in range(metadata.num_row_groups)]
        if min(counts, default=0) < 0 or sum(counts) != metadata.num_rows:
            raise ArcwiseError(f"{path}: damaged, its row groups do not add up to its rows")
        self._edges = list(accumulate(counts, initial=0))
        self._groups: OrderedDict[int, pa.ChunkedArray] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._edges[-1]

    def __contains__(self, member: str) -> bool:
        return self._row(member) is not None

    def read(self, member: str, ref: str) -> bytes:
        """Return the bytes of one row's image."""
        row = self._row(member)
        if row is None:
            raise ImageError(ref, f"{self._name} has no row {member!r}; it has {len(self):,}")
        group = bisect_right(self._edges, row) - 1
        data = self._group(group, ref)[row - self._edges[group]].as_py()
        return self._read_by_path(group, row - self._edges[group], ref) if data is None else data

    def _read_by_path(self, group: int, row: int, ref: str) -> bytes:
        """Return the bytes of the file that a row without bytes names, relative to the table."""
        path = None
        if self._path_leaf is not None:
            with self._lock:
                table = self._file.read_row_group(group, [self._path_leaf], use_threads=False)
            path = pc.struct_field(table.column(0), "path")[row].as_py()
        if not path:
            raise ImageError(ref, "its row holds no bytes, and no path")
        try:
            return (self._folder / path.replace("\\", "/")).read_bytes()
        except (OSError, ValueError) as problem:
            reason = getattr(problem, "strerror", None) or str(problem)
            raise ImageError(
                ref, f"its row holds no bytes, and its path {path!r} cannot be read ({reason})"
            ) from None

    def _row(self, member: str) -> int | None:
        text = member.partition("/")[0]
        if not (text.isascii() and text.isdecimal() and len(text) < 19):
            return None
        return int(text) if int(text) < len(self) else None

    def _group(self, group: int, ref: str) -> pa.ChunkedArray:
        first, last = self._edges[group : group + 2]
        with self._lock:
            if group in self._groups:
                self._groups.move_to_end(group)
                return self._groups[group]
            try:
                table = self._file.read_row_group(group, [self._leaf], use_threads=False)
                images = table.column(0)
                if pa.types.is_struct(images.type):
                    images = pc.struct_field(images, "bytes")
                if len(images) != last - first:
                    raise OSError(f"{len(images):,} rows")
            except (pa.ArrowException, OSError) as problem:
                line = str(problem).partition("\n")[0]
                raise ImageError(
                    ref, f"{self._name} is damaged in rows {first:,} to {last - 1:,} ({line})"
                ) from None
            self._groups[group] = images
            while len(self._groups) > 1 and sum(x.nbytes for x in self._groups.values()) > KEPT:
                self._groups.popitem(last=False)
            return images


open_container = ParquetContainer


def each(path: str | os.PathLike[str]) -> Iterator[tuple[str, bytes | ImageError]]:
    """Yield (row, bytes) of every image of a table in order, or why it cannot be read.

    Raises:
        ArcwiseError: not a Parquet file, or without images.
    """
    container = ParquetContainer(os.fspath(path))
    name = Path(path).name
    for row in map(str, range(len(container))):
        try:
            yield row, container.read(row, f"{name}/{row}")
        except ImageError as error:
            yield row, error


def open_table(path: str | os.PathLike[str]) -> pq.ParquetFile:
    """Return a Parquet file.

    Raises:
        ArcwiseError: it is none, or damaged.
        OSError: it cannot be read.
    """
    try:
        file = pq.ParquetFile(path)
        _ = file.schema_arrow.names  # a damaged one is found here
        return file
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, UnicodeDecodeError) as problem:
        line = str(problem).partition("\n")[0]
        raise ArcwiseError(f"{path}: not a whole Parquet file ({line})") from None


def image_column_of(
    schema: pa.Schema, title: str | os.PathLike[str], column: str | None = None
) -> pa.Field | None:
    """Return the column that holds images: `image`, or the only struct with `bytes` in it.

    Args:
        schema: of the table.
        title: what the user calls it.
        column: the column that the user names. Where it holds no images, the answer is None.

    Raises:
        ArcwiseError: several do.
    """
    fields = [field for field in schema if holds_images(field)]
    if column is not None and column in schema.names and column not in [one.name for one in fields]:
        return None
    if "image" in schema.names:
        image = schema.field("image")
        if column in (None, "image"):
            return image if holds_images(image) or _is_bytes(image.type) else None
    if len(fields) > 1 or (column is not None and "image" in schema.names):
        names = ", ".join(field.name for field in fields)
        raise ArcwiseError(f"{title}: the columns {names} hold images; call one of them image")
    return fields[0] if fields else None


def holds_images(field: pa.Field) -> bool:
    """Return whether a column holds images as Hugging Face has them: a struct with `bytes`."""
    kind = field.type
    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        return False
    return _is_bytes(kind.field("bytes").type)


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
