"""The rows that a Parquet file's footer states, compared with those that lie in the file.

Layout: apache/parquet-format `parquet.thrift`; the numbers below are its fields'.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from arcwise.data.containers.parquet.thrift import Malformed, Struct, read_struct
from arcwise.data.containers.positioned import PositionedFile

_TAIL = 8  # the footer's length, and PAR1
_HEADS = (2**12, 2**16, 2**22)  # bytes in which a page's header is looked for
_COLUMNS, _ROWS = 1, 3  # of a row group
_PATH, _VALUES, _BYTES, _DATA, _DICTIONARY, _STATISTICS = 3, 5, 7, 9, 11, 12  # of a column
_BLOOM, _INDEX_FIELDS = (14, 15), ((4, 5), (6, 7))  # where, how long
_NULLS = 3
_DATA_PAGES = (5, 8)  # headers of the two kinds


@dataclass(frozen=True)
class _Chunk:
    """A column's part of a row group."""

    path: str
    values: int
    start: int
    length: int
    nulls: int | None


class Footer:
    """The footer of a Parquet file.

    Raises:
        Malformed: it is none.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = PositionedFile(os.fspath(path))
        tail = self._file.read_at(self._file.size - _TAIL, _TAIL)
        self._end = self._file.size - _TAIL - int.from_bytes(tail[:4], "little")
        if len(tail) < _TAIL or self._end < 0:
            raise Malformed("the file is too short")
        try:
            fields = read_struct(self._file.read_at(self._end, self._file.size - self._end))[0]
            groups: list[Struct] = fields.get(4, [])
            columns = [group[_COLUMNS] for group in groups]
            self._chunks = [list(map(_chunk, some)) for some in columns]
            self._indexes = [place for some in columns for one in some for place in _indexes(one)]
            self._counts = [int(group[_ROWS]) for group in groups]
            self.rows = int(fields[_ROWS])
            self._flat = _flat(fields[2])
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as problem:
            raise Malformed(f"a field is missing or of another type: {problem}") from None
        for one in (chunk for some in self._chunks for chunk in some):
            if not 0 <= one.start <= one.start + one.length <= self._end:
                raise Malformed(f"the column {one.path} lies outside the file")

    def contradiction(self) -> str | None:
        """Return how the footer contradicts itself or the file; None where all agrees."""
        if sum(self._counts) != self.rows:
            held = sum(self._counts)
            return f"its footer names {self.rows:,} rows, and its row groups {held:,}"
        for number, (count, chunks) in enumerate(zip(self._counts, self._chunks, strict=True)):
            flat = [one for one in chunks if one.path in self._flat]
            for one in flat:
                if one.values != count:
                    return (
                        f"its footer names {count:,} rows of row group {number}, and {one.values:,}"
                        f" values of its column {one.path}"
                    )
            if flat:
                least = min(flat, key=lambda one: one.length)
                held = sum(self._values(least.start, least.start + least.length))
                if held > count:
                    return (
                        f"its footer names {count:,} rows of row group {number}, where {held:,} lie"
                    )
        return None

    def without(self, column: str) -> bool:
        """Return whether the footer states that a column holds only nulls."""
        chunks = [one for chunks in self._chunks for one in chunks if one.path == column]
        return bool(chunks) and all(one.nulls == one.values for one in chunks)

    @cached_property
    def unnamed(self) -> int:
        """About how many rows lie in the file that the footer does not name."""
        named = [*self._indexes, (self._end, self._end)]
        named += [(one.start, one.start + one.length) for some in self._chunks for one in some]
        values, after = 0, 4
        for start, end in sorted(named):
            if start > after:
                values += sum(self._values(after, start))
            after = max(after, end)
        columns = max(len(self._chunks[0]) if self._chunks else len(self._flat), 1)
        return -(-values // columns)

    def _values(self, start: int, end: int) -> Iterator[int]:
        """Yield how many values the pages between two positions hold, page by page."""
        position = start
        while position < end:
            for length in _HEADS:
                try:
                    header, size = read_struct(self._file.read_at(position, length))
                    break
                except Malformed:
                    continue
            else:
                return
            payload = header.get(3)
            if not isinstance(payload, int) or payload < 0:
                return
            position += size + payload
            if position > end:
                return
            for one in _DATA_PAGES:
                if isinstance(header.get(one), dict) and isinstance(header[one].get(1), int):
                    yield header[one][1]


def _chunk(column: dict[int, Any]) -> _Chunk:
    about = column[3]
    first = [one for one in (about.get(_DICTIONARY), about[_DATA]) if one]
    path = ".".join(part.decode("utf-8", "replace") for part in about[_PATH])
    nulls = about.get(_STATISTICS, {}).get(_NULLS)
    return _Chunk(path, int(about[_VALUES]), int(min(first)), int(about[_BYTES]), nulls)


def _indexes(column: Struct) -> Iterator[tuple[int, int]]:
    """Yield the positions of the indexes and the filter of a column's chunk."""
    for fields, where, length in (*((column, *one) for one in _INDEX_FIELDS), (column[3], *_BLOOM)):
        if where in fields:
            yield int(fields[where]), int(fields[where]) + int(fields.get(length, 0))


def _flat(schema: list[Struct]) -> set[str]:
    """Return the columns that have exactly one value a row."""
    flat: set[str] = set()
    elements = iter(schema)

    def walk(count: int, above: str, repeated: bool) -> None:
        for _ in range(count):
            element = next(elements)
            name = above + element[4].decode("utf-8", "replace")
            several = repeated or element.get(3) == 2
            if children := element.get(5):
                walk(children, f"{name}.", several)
            elif not several:
                flat.add(name)

    try:
        walk(next(elements).get(5, 0), "", False)
    except (StopIteration, RecursionError):
        raise Malformed("its schema is cut short") from None
    return flat
