"""The table in a Parquet file, without the bytes of images that it may hold."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq

from arcwise.data.containers.parquet import holds_images, image_column_of, open_table
from arcwise.data.containers.parquet.footer import Footer
from arcwise.data.containers.parquet.thrift import Malformed
from arcwise.errors import ArcwiseError

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them


class ParquetTable(NamedTuple):
    """The table in a Parquet file.

    Attributes:
        table: all its columns; of images, `image` is what they are called.
        holds_images: whether the file holds its images.
        made_image: whether `image` was made here, and is not a column of the file.
        classes: the columns that the schema says to hold classes (ClassLabel of Hugging Face).
        notes: what the user has to know.
    """

    table: pa.Table
    holds_images: bool = False
    made_image: bool = False
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_parquet(path: Path, image_column: str | None = None) -> ParquetTable:
    """Return the table in a Parquet file.

    If it holds its images, `image` names them: `file/row`, or `file/row/base name of path`. Of a
    column of images that holds only their paths, `image` is these. Whole numbers that stand for
    classes become the classes' names.

    Raises:
        ArcwiseError: it is no Parquet file, or cannot be read.
    """
    try:
        with open_table(path) as file:
            footer = _footer(path)
            schema = file.schema_arrow
            column = image_column_of(schema, path, image_column)
            if column is None:
                table, has_bytes, notes = file.read(use_threads=False), False, ()
            else:
                table, has_bytes, notes = _without_image_bytes(file, footer, column, path.name)
            table = _with_classes(table, classes := _classes(schema))
            columns = tuple(one for one in classes if one in table.column_names)
            if footer is not None and footer.unnamed:
                notes += (
                    f"{path.name}: its footer names {footer.rows:,} rows; about {footer.unnamed:,} "
                    "more lie in the file and are not read: write it anew",
                )
            return ParquetTable(table, has_bytes, column is not None, columns, notes)
    except (pa.ArrowException, OSError) as problem:
        raise _not_whole(path, problem) from None


def parse_parquet(data: bytes, title: str) -> pa.Table:
    """Return the table in the bytes of a Parquet file.

    Raises:
        ArcwiseError: it is no Parquet file, or damaged.
    """
    try:
        with pq.ParquetFile(io.BytesIO(data)) as file:
            return file.read()
    except (pa.ArrowException, OSError) as problem:
        raise _not_whole(title, problem) from None


def _footer(path: Path) -> Footer | None:
    """Return the footer of a file; None where it is not understood.

    Raises:
        ArcwiseError: it contradicts itself, or what lies in the file.
    """
    try:
        footer = Footer(path)
    except Malformed:
        return None
    if (reason := footer.contradiction()) is not None:
        raise ArcwiseError(f"{path}: damaged, {reason}: write it anew")
    return footer


def _not_whole(title: str | Path, problem: BaseException) -> ArcwiseError:
    if isinstance(problem, OSError) and problem.strerror:
        return ArcwiseError(f"{title}: {problem.strerror}")
    line = str(problem).partition("\n")[0] or type(problem).__name__
    return ArcwiseError(f"{title}: not a whole Parquet file ({line})")


def _without_image_bytes(
    file: pq.ParquetFile, footer: Footer | None, column: pa.Field, name: str
) -> tuple[pa.Table, bool, tuple[str, ...]]:
    """Return the table with names for its images, whether the file holds them, and notes."""
    schema = file.schema_arrow
    image_columns = [one.name for one in schema if holds_images(one)]
    others = [one for one in schema.names if one != column.name and one not in image_columns]
    struct = pa.types.is_struct(column.type)
    has_path = struct and column.type.get_field_index("path") >= 0
    columns = [*others, f"{column.name}.path"] if has_path else others
    table = file.read(columns, use_threads=False)
    rows = pa.array(np.arange(file.metadata.num_rows)).cast(pa.string())
    images, notes, has_bytes = pc.binary_join_element_wise(name, rows, "/"), (), True
    if has_path:
        paths = pc.struct_field(table.column(column.name), "path").combine_chunks()
        paths = paths.cast(pa.string())
        there = pc.fill_null(pc.not_equal(paths, ""), False)
        if footer is not None and footer.without(f"{column.name}.bytes"):
            images, has_bytes = pc.if_else(there, paths, images), False
        else:
            bases = pc.replace_substring_regex(paths, r"^.*[/\\]", "")
            named = pc.binary_join_element_wise(images, bases, "/")
            images = pc.if_else(pc.fill_null(pc.not_equal(bases, ""), False), named, images)
            notes += _repeated_path_notes(paths.filter(there), name)
    named_columns = {"image": images} | {one: table.column(one) for one in others}
    if left_out := [one for one in image_columns if one != column.name]:
        notes += (
            f"{name}: the columns {', '.join(left_out)} hold images too; only those of "
            f"{column.name} are read",
        )
    return pa.table(named_columns), has_bytes, notes


def _repeated_path_notes(paths: pa.Array, name: str) -> tuple[str, ...]:
    """Return a note where several rows have one path."""
    counts = pc.value_counts(paths)
    often = counts.filter(pc.greater(counts.field("counts"), 1))
    if not len(often):
        return ()
    return (
        f"{name}: {len(paths) - len(counts):,} rows have the path of an earlier one, the first is "
        f"{often.field('values')[0].as_py()!r}; each is an image of its own, read by its row",
    )


def _with_classes(table: pa.Table, classes: dict[str, list[str]]) -> pa.Table:
    """Return the table with the names of classes for their numbers; null for a number of none."""
    for label, names in classes.items():
        if label not in table.column_names or not pa.types.is_integer(table[label].type):
            continue
        codes = table[label]
        named = pc.and_(pc.greater_equal(codes, 0), pc.less(codes, len(names)))
        words = pa.array(names, pa.string()).take(pc.if_else(named, codes, None))
        table = table.set_column(table.column_names.index(label), label, words)
    return table


def _classes(schema: pa.Schema) -> dict[str, list[str]]:
    """Return the names of the classes of each column that the schema says to hold classes."""
    try:
        metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = metadata["info"]["features"].items()
        return {
            name: [str(one) for one in feature["names"]]
            for name, feature in features
            if feature.get("_type") == "ClassLabel"
        }
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
