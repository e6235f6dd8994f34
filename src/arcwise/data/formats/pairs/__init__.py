"""Pairs to verify, read from a CSV or from text, and written as either."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv as pacsv

from arcwise.data.formats.csv_text import parse_csv
from arcwise.data.formats.file_kinds import spelled_in_any_case
from arcwise.data.formats.pairs import row_names as pair_names
from arcwise.data.formats.pairs.lfw import lfw_text, parse_pairs_text
from arcwise.data.formats.pairs.row_names import with_row_names
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.files import read_file

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_SAME, _OTHER = ("1", "true", "True"), ("0", "false", "False")  # words as other tools write them

OWN_PAIRS = spelled_in_any_case("pairs.csv", "pairs.txt")
"""A file of this name in a folder or archive states the pairs of its data set."""


def read_pairs_table(path: Path) -> pa.Table:
    """Return the pairs in a CSV: `a` and `b` (text), `same` (bool), perhaps `fold`.

    `fold` is int64 where all are whole numbers, otherwise text. Other columns are text.

    Raises:
        ArcwiseError: it cannot be read, lacks a column, or a row is not a pair; the row is named.
    """
    return _parse_table(_read(path), str(path))


def read_lfw_pairs(path: Path, manifest: Manifest) -> pa.Table:
    """Return the pairs in a text file, as of `parse_pairs_text`.

    Raises:
        ArcwiseError: it cannot be read, or a line is not a pair of the manifest; the line is named.
    """
    return parse_pairs_text(_read(path), str(path), manifest)


def read_pairs(path: Path, manifest: Manifest) -> pa.Table:
    """Return the pairs in a file: text as LFW has it if it ends in .txt, else a CSV.

    Raises:
        ArcwiseError: what `read_lfw_pairs` or `read_pairs_table` say.
    """
    if path.suffix.lower() == ".txt":
        return read_lfw_pairs(path, manifest)
    return with_row_names(read_pairs_table(path), manifest)


def write_pairs_table(pairs: pa.Table, path: Path) -> None:
    """Write a CSV of pairs; `same` is 1 or 0."""
    place = pairs.column_names.index("same")
    pacsv.write_csv(pairs.set_column(place, "same", pairs["same"].cast(pa.int8())), path)


def write_lfw_pairs(pairs: pa.Table, manifest: Manifest, path: Path) -> None:
    """Write LFW's `pairs.txt`.

    Raises:
        ArcwiseError: LFW's list has no form for these pairs; see `lfw_text`.
    """
    text = lfw_text(pairs, manifest, str(path))
    path.write_text(text, encoding="utf-8", newline="\n")


def with_pairs(manifest: Manifest, name: str, data: bytes) -> Manifest:
    """Return the manifest with the pairs that a file in its folder states, or a note why not.

    Args:
        manifest: of the folder or archive.
        name: of the file, one of `OWN_PAIRS`.
        data: its content.
    """
    try:
        if name.lower().endswith(".csv"):
            pairs = with_row_names(_parse_table(data, name), manifest)
            _check_names(pairs, name, manifest)
        else:
            pairs = parse_pairs_text(data, name, manifest)
    except ArcwiseError as problem:
        return replace(manifest, notes=(*manifest.notes, f"its pairs are not used: {problem}"))
    ignored = tuple(one for one in manifest.ignored if one != name)
    understood = f"{manifest.understood}; {pairs.num_rows:,} pairs in {name}"
    return replace(manifest, pairs=pairs, ignored=ignored, understood=understood)


def with_pairs_beside(manifest: Manifest, path: Path) -> Manifest:
    """Return the manifest with the pairs in `train.pairs.csv` beside `train.tar`, if there are any.

    A manifest that has pairs keeps them.
    """
    pairs = path.with_suffix(".pairs.csv")
    if manifest.pairs is not None or not pairs.is_file():
        return manifest
    return with_pairs(manifest, pairs.name, read_file(pairs))


def _read(path: Path) -> bytes:
    try:
        return read_file(path)
    except OSError as problem:
        raise ArcwiseError(f"{path}: cannot be read ({problem.strerror})") from None


def _parse_table(data: bytes, title: str) -> pa.Table:
    table = parse_csv(data, title)
    lacking = sorted({"a", "b", "same"} - set(table.column_names))
    if lacking or not table.num_rows:
        fault = f"no column {', '.join(lacking)}" if lacking else "no pair in it"
        raise ArcwiseError(
            f"{title}: {fault}; expected a, b and same (1 or 0), and perhaps fold, a line a pair"
        )
    for side in "ab":
        row = pc.index(table[side], "").as_py()
        if row >= 0:
            raise ArcwiseError(f"{title}: row {row + 1}: {side} is empty; expected a name")
    same = table["same"]
    row = pc.index(pc.is_in(same, pa.array([*_SAME, *_OTHER])), False).as_py()
    if row >= 0:
        raise ArcwiseError(
            f"{title}: row {row + 1}: same is {same[row].as_py()!r}; expected 1 or 0"
        )
    table = table.set_column(
        table.column_names.index("same"), "same", pc.is_in(same, pa.array(_SAME))
    )
    if "fold" not in table.column_names:
        return table
    try:
        folds = table["fold"].cast(pa.int64())
    except pa.ArrowInvalid:
        return table
    return table.set_column(table.column_names.index("fold"), "fold", folds)


def _check_names(pairs: pa.Table, title: str, manifest: Manifest) -> None:
    """Raise an error unless both sides of every pair are rows of the manifest."""
    names = pair_names.row_names(manifest)
    for side in "ab":
        column = pairs[side].cast(names.type)
        row = pc.index(pc.is_in(column, names), False).as_py()
        if row >= 0:
            raise ArcwiseError(
                f"{title}: row {row + 1}: {column[row].as_py()!r} is no image of {manifest.name}"
            )
