"""The columns of a manifest in any table: named, converted to their types, and checked."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from arcwise.data.formats.file_kinds import split_of
from arcwise.errors import ArcwiseError, closest_name, suggestion

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

NOBODY = frozenset(
    word
    for words in (
        "-1 nan NaN NAN -nan -NaN None none NONE",
        "null NULL NA N/A n/a #N/A #NA <NA> NaT",
    )
    for word in words.split()
)
"""What tables and labels write where there is no identity: -1, and what pandas calls missing."""

_BLANK = r"^[\s\pZ\x{200B}\x{FEFF}]*$"
_MINUS_ONE = r"^-0*1(\.0*)?$"
TEXT = ("image", "identity", "split", "domain", "template", "media")
"""Columns of names, also where these are written in digits."""

_COUNTED = "; rows are counted from 1 below the header"

_NUMBERS = ("age", "quality")
_LISTS = {"landmarks": (10, 136), "box": (4,)}  # how many numbers
_ALIASES = {
    "image": (
        *("path", "file", "filename", "file_name", "image_path", "img", "picture"),
        "unnamed: 0",
    ),
    "identity": ("label", "class", "person", "subject", "name", "item", "product", "id"),
}


def validated(
    table: pa.Table,
    title: str,
    *,
    image_column: str | None = None,
    identity_column: str | None = None,
    identities: bool = True,
) -> pa.Table:
    """Return the table with the columns of a manifest, checked.

    An identity that names nobody (`-1`, `nan`, `None`, blanks, …) becomes empty; a split gets the
    name that it has in a manifest (`Train` is train).

    Raises:
        ArcwiseError: naming the table, the row (counted from 1 below the header), the column,
            and what to do.
    """
    table = _renamed(table, title, "image", image_column)
    table = _renamed(table, title, "identity", identity_column)
    names = table.column_names
    if "image" not in names and "vector" not in names:
        raise _missing(title, "image", names, "nor 'vector', which embeddings have, ")
    if "identity" not in names and identities:
        raise _missing(title, "identity", names)
    if not table.num_rows:
        raise ArcwiseError(f"{title}: has a header and no rows; expected one row an image")
    for name in names:
        if convert := _converter(name):
            column = convert(table.column(name), title, name)
            table = table.set_column(names.index(name), name, column)
    if "image" in names:
        _all_filled(table.column("image"), title, "image")
    if "split" in names:
        table = table.set_column(names.index("split"), "split", _splits(table.column("split")))
    return with_nobody_empty(table, title, identities=identities)


def with_nobody_empty(table: pa.Table, title: str, *, identities: bool) -> pa.Table:
    """Return the table with an empty `identity` wherever it names nobody.

    Args:
        table: with a column of text `identity`, or without.
        title: of the data set, for an error.
        identities: whether every row must have one.

    Raises:
        ArcwiseError: a row must have one and has none; the first is named, and how many there are.
    """
    if "identity" not in table.column_names:
        return table
    column = table.column("identity")
    absent = nobody_in(column)
    if not len(absent):
        return table
    wrong = pc.is_in(column, absent)
    if identities:
        row = pc.index(wrong, True).as_py()
        word = (column[row].as_py() or "").strip()
        state = f"{word!r}, which names nobody" if word in NOBODY or word[:1] == "-" else "empty"
        raise ArcwiseError(
            f"{title}: row {row + 1}: identity is {state} ({pc.sum(wrong).as_py():,} such rows); "
            "fill it in, or leave the row out (arcwise data convert to a .csv makes a list to edit)"
        )
    column = pc.if_else(pc.and_(wrong, column.is_valid()), pa.scalar("", column.type), column)
    return table.set_column(table.column_names.index("identity"), "identity", column)


def nobody_in(identities: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return the texts, each once, that a table takes for no identity; a null is one of them."""
    distinct = pc.unique(identities)  # millions of rows have far fewer identities
    texts = pc.utf8_trim_whitespace(distinct)
    blank = pc.match_substring_regex(distinct, _BLANK)
    number = pc.match_substring_regex(texts, _MINUS_ONE)
    word = pc.is_in(texts, pa.array(sorted(NOBODY), texts.type))
    return distinct.filter(pc.fill_null(pc.or_(pc.or_(blank, number), word), True))


def _splits(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the column with every split as a manifest calls it."""
    words = column.combine_chunks().dictionary_encode("encode")
    splits = [one and (split_of(one) or one.strip()) for one in words.dictionary.to_pylist()]
    return pa.chunked_array([pa.array(splits, pa.string()).take(words.indices)])


def _converter(name: str) -> Callable[[pa.ChunkedArray, str, str], pa.ChunkedArray] | None:
    if name in TEXT:
        return _text
    if name in _NUMBERS:
        return _number
    if name in _LISTS or name == "vector":
        return _list
    return None


def _renamed(table: pa.Table, title: str, name: str, given: str | None) -> pa.Table:
    if given is None or given == name:
        return table
    if given not in table.column_names:
        raise _missing(title, given, table.column_names)
    if name in table.column_names:
        raise ArcwiseError(
            f"{title}: has a column {name!r} besides {given!r}; rename one of the two"
        )
    return table.rename_columns([name if one == given else one for one in table.column_names])


def _missing(title: str, name: str, names: list[str], others: str = "") -> ArcwiseError:
    message = f"{title}: no column {name!r} {others}among {', '.join(names)}"
    if name in _ALIASES:
        synonyms = (one for one in names if one.lower() in (name, *_ALIASES[name]))
        if closest := next(synonyms, None) or closest_name(name, names):
            quoted = repr(closest) if " " in closest else closest
            message += f"; if {closest!r} is it, say --{name}-column {quoted}"
    elif hint := suggestion(name, names):
        message += f"; {hint}"
    return ArcwiseError(message)


def _text(column: pa.ChunkedArray, title: str, name: str) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_string(kind):
        return column
    texts = pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    if texts or pa.types.is_integer(kind) or pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_floating(kind) and name != "image":  # pandas, where some are missing
        finite = pc.if_else(pc.is_finite(column), column, pa.scalar(None, kind))
        whole = pc.and_(pc.equal(finite, pc.round(finite)), pc.less(pc.abs(finite), 2.0**53))
        if pc.all(whole).as_py() is not False:
            return finite.cast(pa.int64()).cast(pa.string())
    raise ArcwiseError(f"{title}: column {name!r} holds {kind}; expected text or whole numbers")


def _number(column: pa.ChunkedArray, title: str, name: str) -> pa.ChunkedArray:
    if pa.types.is_string(column.type):
        column = pc.if_else(pc.equal(pc.utf8_trim_whitespace(column), ""), None, column)
    try:
        return column.cast(pa.float64())
    except pa.ArrowException:
        row = _first(column, _is_no_number)
        raise ArcwiseError(
            f"{title}: row {row + 1}: {name} is {column[row].as_py()!r}; expected a number"
            f"{_COUNTED}"
        ) from None


def _is_no_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return value is not None
    return False


def _list(column: pa.ChunkedArray, title: str, name: str) -> pa.ChunkedArray:
    """Return a column of lists of one length; text is split at blanks, commas or semicolons."""
    if pa.types.is_string(column.type):
        column = pa.chunked_array([_split(column, title, name)])
    kind = column.type
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if lists and name == "landmarks" and pa.types.is_list(kind.value_type):  # points: [[x, y], …]
        rows = [_flattened(one) for one in column.to_pylist()]
        return _list(pa.chunked_array([pa.array(rows, pa.list_(pa.float32()))]), title, name)
    if not lists and not pa.types.is_fixed_size_list(kind):
        raise ArcwiseError(f"{title}: column {name!r} holds {kind}; expected a list of numbers")
    lengths = pc.list_value_length(column)
    longest = pc.max(lengths).as_py()
    allowed = _LISTS.get(name, (longest,))
    length = longest if longest in allowed else allowed[0]
    if _holds_text(kind):
        raise ArcwiseError(
            f"{title}: column {name!r} holds lists of text; expected numbers: convert them to "
            "float32"
        )
    allowed_null = name in _LISTS  # an image may have no landmarks; a row without a vector is none
    wrong = pc.fill_null(pc.not_equal(lengths, length or 1), not allowed_null)
    if (
        name == "landmarks"
        and pc.any(pc.is_in(lengths, pa.array(_LISTS[name], pa.int32()))).as_py()
    ):
        return _as_they_are(column, title)
    if pc.any(wrong).as_py():
        row = pc.index(wrong, True).as_py()
        got = lengths[row].as_py() or "no"
        expected = length if longest in allowed else " or ".join(map(str, allowed))
        raise ArcwiseError(
            f"{title}: row {row + 1}: {name} has {got} numbers; expected {expected}{_COUNTED}"
        )
    try:
        column = column.cast(pa.list_(pa.float32(), length))
    except pa.ArrowException:
        raise ArcwiseError(f"{title}: column {name!r} holds {kind}; expected numbers") from None
    for chunk in column.chunks:
        values = chunk.drop_null().flatten()
        if values.null_count or not np.isfinite(values.to_numpy(zero_copy_only=False)).all():
            raise _not_finite(column, title, name)
    return column


def _holds_text(kind: pa.DataType) -> bool:
    value = kind.value_type
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(one(value) for one in texts)


def _not_finite(column: pa.ChunkedArray, title: str, name: str) -> ArcwiseError:
    rows = [
        row
        for row, one in enumerate(column.to_pylist(), 1)
        if one is not None and not all(x is not None and math.isfinite(x) for x in one)
    ]
    others = f" and {len(rows) - 1:,} others" if len(rows) > 1 else ""
    return ArcwiseError(
        f"{title}: row {rows[0]}{others}: {name} holds a NaN, an infinity or a gap; leave such "
        f"rows out{_COUNTED}"
    )


def _flattened(points: list[list[float] | None] | None) -> list[float] | None:
    return None if points is None else [number for point in points for number in point or ()]


def _as_they_are(column: pa.ChunkedArray, title: str) -> pa.ChunkedArray:
    """Return lists of any number of landmarks: `check` says which of them cannot be."""
    try:
        column = column.cast(pa.list_(pa.float32()))
    except pa.ArrowException:
        raise ArcwiseError(
            f"{title}: column 'landmarks' holds {column.type}; expected numbers"
        ) from None
    lengths = pc.drop_null(pc.list_value_length(column)).unique()
    if len(lengths) > 1:
        return column
    return column.cast(pa.list_(pa.float32(), lengths[0].as_py()))


def _split(column: pa.ChunkedArray, title: str, name: str) -> pa.Array:
    rows = []
    for row, text in enumerate(column.to_pylist()):
        words = re.split(r"[\s,;]+", (text or "").strip(" []()\t"))
        try:
            rows.append([float(word) for word in words] if words != [""] else None)
        except ValueError:
            raise ArcwiseError(
                f"{title}: row {row + 1}: {name} is {text!r}; expected numbers with blanks between"
                f"{_COUNTED}"
            ) from None
    return pa.array(rows, pa.list_(pa.float32()))


def _all_filled(column: pa.ChunkedArray, title: str, name: str) -> None:
    empty = pc.fill_null(pc.match_substring_regex(column, _BLANK), True)
    count = pc.sum(empty).as_py()
    if count:
        row = pc.index(empty, True).as_py() + 1
        raise ArcwiseError(
            f"{title}: row {row}: {name} is empty ({count} such rows); fill it in, or leave the "
            f"row out{_COUNTED}"
        )


def _first(column: pa.ChunkedArray, wrong: Callable[[object], bool]) -> int:
    return next(row for row, value in enumerate(column.to_pylist()) if wrong(value))
