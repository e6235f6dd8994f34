"""CSV text → a table of strings. Every malformed row is an error with its number."""

from __future__ import annotations

import csv
import io
import re
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.csv as pacsv

from arcwise.errors import ArcwiseError

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_DELIMITERS = ",;\t|"
_LINE_END = re.compile(rb"\r\n|\r|\n")
_EMPTY_LINES = re.compile(rb"([ \t]*(\r\n|\r|\n))+")
_SEPARATOR = re.compile(rb'"?sep=(.)"?[;,\t]*', re.IGNORECASE)  # a line that Excel writes and obeys
_INDEX = "Unnamed: 0"
"""What an unnamed first column is called (as pandas does), where it holds more than numbers."""


def parse_csv(data: bytes, title: str) -> pa.Table:
    """Return the table in a CSV file, all columns as text (`007` stays `007`).

    The separator is that of the line `sep=;` above the header; without it, the commas, semicolons,
    tabs or bars that the header holds most of. Lines end in any of the three ways. Columns
    and rows with nothing in them are left out, and so is an unnamed first column of whole numbers
    (the index that pandas writes).

    Raises:
        ArcwiseError: empty, not UTF-8, a header with blanks or doubles, or a row of another
            length than the header.
    """
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:2]:
        raise ArcwiseError(f"{title}: is UTF-16 text; save it as CSV UTF-8")
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        raise ArcwiseError(f"{title}: empty; expected a header line and one row an image")
    _check_text(data, title)
    if b"\r" in data and b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    data = data.rstrip(b"\x1a")  # how DOS ended a text
    if empty := _EMPTY_LINES.match(data):
        data = data[empty.end() :]
    line, _, rest = _cut(data)
    separator = _SEPARATOR.fullmatch(line.strip(b" "))
    if separator:
        data, delimiter = rest, separator[1].decode()
        line = _cut(data)[0]
        if not line:
            raise ArcwiseError(f"{title}: empty; expected a header line and one row an image")
    else:
        delimiter = max(_DELIMITERS, key=lambda mark: line.count(mark.encode()))
    names = _header(line, delimiter, title)
    table, ragged = _parsed(data, delimiter, len(names), title)
    if ragged and not len(table) and {one.actual_columns for one in ragged} == {len(names) + 1}:
        longer, none = _parsed(data, delimiter, len(names) + 1, title)
        if all_named := _one_more(longer, names):
            table, names, ragged = longer, all_named, none
    if ragged:
        first = ragged[0]
        number = "" if first.number is None else f" {first.number - 1}"
        raise ArcwiseError(
            f"{title}: row{number} has {first.actual_columns} columns where the header has "
            f"{first.expected_columns} ({first.text[:60]!r}); {len(ragged)} such rows; put a "
            "value with a comma in it into double quotes"
        )
    _check_last_quote(table, data, title)
    return _without_empty(table, names, title)


def _cut(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the first line, its end, and the rest."""
    end = _LINE_END.search(data)
    return (data[: end.start()], end[0], data[end.end() :]) if end else (data, b"", b"")


def _parsed(
    data: bytes, delimiter: str, columns: int, title: str
) -> tuple[pa.Table, list[pacsv.InvalidRow]]:
    """Return the rows below the header, and those of another length."""
    names = [str(place) for place in range(columns)]
    ragged: list[pacsv.InvalidRow] = []
    try:
        table = pacsv.read_csv(
            io.BytesIO(data),
            pacsv.ReadOptions(use_threads=False, column_names=names, skip_rows=1),
            pacsv.ParseOptions(
                delimiter=delimiter,
                newlines_in_values=True,
                invalid_row_handler=lambda row: (ragged.append(row), "skip")[1],
            ),
            pacsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as problem:
        reason = str(problem).splitlines()[0]
        raise ArcwiseError(f"{title}: not a CSV table ({reason})") from None
    return table, ragged


def _header(line: bytes, delimiter: str, title: str) -> list[str]:
    names = [name.strip() for name in next(csv.reader([line.decode()], delimiter=delimiter))]
    for name in filter(None, names):
        if names.count(name) > 1:
            raise ArcwiseError(f"{title}: the header has the column {name!r} more than once")
    return names


def _one_more(table: pa.Table, names: list[str]) -> list[str]:
    """Return names for rows that all have one value more than the header; empty where none fit.

    R writes row numbers before the rest, others a separator behind it.
    """
    if pc.all(pc.equal(table.column(len(names)), "")).as_py():
        return [*names, ""]
    return ["", *names] if _is_index(table.column(0)) else []


def _is_index(column: pa.ChunkedArray) -> bool:
    return bool(pc.all(pc.match_substring_regex(column, r"^\d+$")).as_py())


def _check_last_quote(table: pa.Table, data: bytes, title: str) -> None:
    """Raise an error if the last value is the rest of a file after a quote without its end."""
    if not len(table) or data.count(b'"') % 2 == 0:
        return
    for column in table.columns:
        if "\n" in (text := column[-1].as_py()):
            raise ArcwiseError(
                f"{title}: row {len(table)}: the double quote before {text.splitlines()[0][:40]!r} "
                "is never closed; close it, or take it out"
            )


def _without_empty(table: pa.Table, names: list[str], title: str) -> pa.Table:
    """Return the table with these names, without rows and unnamed columns that hold nothing.

    Raises:
        ArcwiseError: an unnamed column that is not the first holds something.
    """
    blank = [pc.equal(pc.utf8_trim_whitespace(column), "") for column in table.columns]
    nothing = reduce(pc.and_, blank)
    if pc.any(nothing).as_py():
        table = table.filter(pc.invert(nothing))
    kept: dict[str, pa.ChunkedArray] = {}
    for place, (name, column) in enumerate(zip(names, table.columns, strict=True)):
        if name:
            kept[name] = column
            continue
        filled = pc.index(pc.not_equal(pc.utf8_trim_whitespace(column), ""), True).as_py()
        if filled < 0 and len(names) > 1:
            continue
        if place == 0 and _is_index(column):
            continue
        if place or _INDEX in names:
            raise ArcwiseError(
                f"{title}: the header has a column without a name ({', '.join(names)[:80]!r}), and "
                f"row {filled + 1} has {column[filled].as_py()[:40]!r} in it"
            )
        kept[_INDEX] = column
    return pa.table(kept)


def _check_text(data: bytes, title: str) -> None:
    """Raise an error unless all is UTF-8: pyarrow reports rows of a wrong length as text."""
    try:
        data.decode()
    except UnicodeDecodeError as wrong:
        line = data.count(b"\n", 0, wrong.start) + 1
        raise ArcwiseError(
            f"{title}: line {line} is not UTF-8 (byte {data[wrong.start]:#04x}); it is perhaps "
            "Latin-1 or Windows text: save it as CSV UTF-8"
        ) from None
