"""Parquet tables, which may hold the pictures themselves: all but their bytes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from arcwise.data.containers.parquet import open_table, picture_column
from arcwise.errors import ArcwiseError

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them


def read_parquet(path: Path, image_column: str | None = None) -> tuple[pa.Table, bool]:
    """The table in a Parquet file, and whether it holds its pictures.

    If it does, `image` names them: `file/row`, or `file/row/base name of path`. Whole numbers
    that stand for classes (ClassLabel of Hugging Face) become the classes' names.

    Raises:
        ArcwiseError: it is no Parquet file, or cannot be read.
    """
    try:
        with open_table(path) as file:
            column = picture_column(file.schema_arrow, path)
            if column is None or image_column not in (None, column.name):
                return file.read(), False
            return _without_bytes(file, column, path.name), True
    except (pa.ArrowException, OSError) as problem:
        raise _not_whole(path, problem) from None


def parse_parquet(data: bytes, title: str) -> pa.Table:
    """The table in the bytes of a Parquet file.

    Raises:
        ArcwiseError: it is no Parquet file, or damaged.
    """
    try:
        with pq.ParquetFile(io.BytesIO(data)) as file:
            return file.read()
    except (pa.ArrowException, OSError) as problem:
        raise _not_whole(title, problem) from None


def _not_whole(title: str | Path, problem: BaseException) -> ArcwiseError:
    if isinstance(problem, OSError) and problem.strerror:
        return ArcwiseError(f"{title}: {problem.strerror}")
    line = str(problem).partition("\n")[0] or type(problem).__name__
    return ArcwiseError(f"{title}: not a whole Parquet file ({line})")


def _without_bytes(file: pq.ParquetFile, column: pa.Field, name: str) -> pa.Table:
    schema = file.schema_arrow
    others = [field for field in schema.names if field != column.name]
    struct = pa.types.is_struct(column.type)
    has_path = struct and column.type.get_field_index("path") >= 0
    wanted = [*others, f"{column.name}.path"] if has_path else others
    table = file.read(wanted, use_threads=False)
    rows = pa.array(np.arange(file.metadata.num_rows)).cast(pa.string())
    images = pc.binary_join_element_wise(name, rows, "/")
    if has_path:
        paths = pc.struct_field(table.column(column.name), "path").combine_chunks()
        bases = pc.replace_substring_regex(paths.cast(pa.string()), r"^.*[/\\]", "")
        named = pc.binary_join_element_wise(images, bases, "/")
        images = pc.if_else(pc.fill_null(pc.not_equal(bases, ""), False), named, images)
    columns = {"image": images} | {one: table.column(one) for one in others}
    for label, classes in _classes(schema).items():
        if label in others and pa.types.is_integer(columns[label].type):
            known = pc.and_(
                pc.greater_equal(columns[label], 0), pc.less(columns[label], len(classes))
            )
            columns[label] = pa.array(classes, pa.string()).take(
                pc.if_else(known, columns[label], None)
            )
    return pa.table(columns)


def _classes(schema: pa.Schema) -> dict[str, list[str]]:
    """The names of the classes of each column that the schema says to hold classes."""
    try:
        told = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = told["info"]["features"].items()
        return {
            name: [str(one) for one in feature["names"]]
            for name, feature in features
            if feature.get("_type") == "ClassLabel"
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
