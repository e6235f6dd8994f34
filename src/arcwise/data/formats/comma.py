"""Text with commas → a table of strings; every malformed row is an error with its number."""

from __future__ import annotations

import csv
import io

import pyarrow as pa
import pyarrow.csv as pacsv

from arcwise.errors import ArcwiseError

_DELIMITERS = ",;\t"


def parse_csv(data: bytes, title: str) -> pa.Table:
    """The table in a CSV file, all columns as text (`007` stays `007`).

    Commas, semicolons or tabs separate, whichever the header line holds most of.

    Raises:
        ArcwiseError: empty, not UTF-8, a header with blanks or doubles, or a row of another
            length than the header.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    if not data.strip():
        raise ArcwiseError(f"{title}: empty; expected a header line and one row an image")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ArcwiseError(f"{title}: is UTF-16 text; save it as CSV UTF-8")
    _check_text(data, title)
    line = data.split(b"\n", 1)[0].rstrip(b"\r")
    delimiter = max(_DELIMITERS, key=lambda mark: line.count(mark.encode()))
    names = _header(line, delimiter, title)
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
    if ragged:
        first = ragged[0]
        number = "" if first.number is None else f" {first.number - 1}"
        raise ArcwiseError(
            f"{title}: row{number} has {first.actual_columns} columns where the header has "
            f"{first.expected_columns} ({first.text[:60]!r}); {len(ragged)} such rows; put a "
            "value with a comma in it into double quotes"
        )
    return table


def _header(line: bytes, delimiter: str, title: str) -> list[str]:
    text = line.decode()
    names = [name.strip() for name in next(csv.reader([text], delimiter=delimiter))]
    for name in names:
        if not name:
            raise ArcwiseError(f"{title}: the header has a column without a name ({text[:80]!r})")
        if names.count(name) > 1:
            raise ArcwiseError(f"{title}: the header has the column {name!r} more than once")
    return names


def _check_text(data: bytes, title: str) -> None:
    """Before pyarrow looks: its report of a row of the wrong length must be text."""
    try:
        data.decode()
    except UnicodeDecodeError as wrong:
        line = data.count(b"\n", 0, wrong.start) + 1
        raise ArcwiseError(
            f"{title}: line {line} is not UTF-8 (byte {data[wrong.start]:#04x}); it is perhaps "
            "Latin-1 or Windows text: save it as CSV UTF-8"
        ) from None
