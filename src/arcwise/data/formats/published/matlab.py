"""Values in a MATLAB file of level 5 (`.mat`): numbers, text, cells and structs.

scipy's reader ends the whole process on some damaged files; this one knows less, and raises.
Layout: MathWorks, "MAT-File Format", chapter 1.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from arcwise.errors import ArcwiseError

MOST = 2**26
"""Bytes that a variable may unpack to; the annotations of a data set have far fewer."""

_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"}
_NUMBERS |= {12: "i8", 13: "u8"}
_TEXT = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16"}
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR, _NUMERIC = 1, 2, 4, range(6, 16)
_DEEPEST = 8


class _Element(NamedTuple):
    kind: int
    body: bytes


def read_variables(data: bytes, title: str) -> dict[str, Any]:
    """Return the variables of a file by name.

    A matrix of numbers is a flat array, text a `str`, a cell array a list of values, a struct
    array a list of records (dict). The shape of a matrix is not kept.

    Raises:
        ArcwiseError: it is no file of this kind, is damaged, or holds anything else.
    """
    if data[:4] == b"\x89HDF" or data[124:126] == b"\x00\x02":
        raise ArcwiseError(f"{title}: is a MATLAB file of version 7.3; save it with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise ArcwiseError(f"{title}: not a MATLAB file of level 5, or cut off in its header")
    try:
        found: dict[str, Any] = {}
        for element in _elements(data[128:], order):
            if element.kind == _COMPRESSED:
                element = next(_elements(_unpacked(element.body), order))  # noqa: PLW2901
            if element.kind != _MATRIX:
                raise _Damaged(f"an element of type {element.kind} where a variable belongs")
            name, value = _matrix(element.body, order, _DEEPEST)
            found[name] = value
        return found
    except (_Damaged, StopIteration) as problem:
        reason = str(problem) or "it ends too early"
        raise ArcwiseError(f"{title}: not a whole MATLAB file ({reason}); get it anew") from None


class _Damaged(Exception):
    """What is wrong, without the name of the file."""


def _elements(data: bytes, order: str) -> Iterator[_Element]:
    """Yield the elements of a stretch of the file, one after the other."""
    place = 0
    while place < len(data):
        if len(data) - place < 8:
            raise _Damaged("it ends too early")
        kind, length = struct.unpack_from(f"{order}II", data, place)
        start = place + 8
        if kind >> 16:  # a small one: both in the first four bytes, and the data behind them
            kind, length, start = kind & 0xFFFF, kind >> 16, place + 4
            if length > 4:
                raise _Damaged(f"a small element of {length} bytes")
        if length > len(data) - start:
            raise _Damaged(f"an element of {length:,} bytes where {len(data) - start:,} are left")
        yield _Element(kind, data[start : start + length])
        place = start + length
        if kind != _COMPRESSED:
            place += -place % 8


def _unpacked(body: bytes) -> bytes:
    packed = zlib.decompressobj()
    try:
        data = packed.decompress(body, MOST)
    except zlib.error:
        raise _Damaged("a compressed variable is damaged") from None
    if not packed.eof:
        raise _Damaged(f"a compressed variable is cut off, or has over {MOST:,} bytes")
    return data


def _matrix(body: bytes, order: str, depth: int) -> tuple[str, Any]:
    """Return the name and value of one variable, or of one element of a cell or struct."""
    if not body:
        return "", np.empty(0)
    if not depth:
        raise _Damaged("cells within cells, too deep")
    parts = _elements(body, order)
    flags = _numbers(next(parts), order)
    sizes = _numbers(next(parts), order)
    name = next(parts).body.decode("latin-1")
    if not len(flags) or len(sizes) < 2 or (sizes < 0).any():
        raise _Damaged("a variable without a size")
    kind, count = int(flags[0]) & 0xFF, math.prod(int(size) for size in sizes)
    if kind in _NUMERIC:
        values = _numbers(next(parts), order) if count else np.empty(0)
        if len(values) != count:
            raise _Damaged(f"{len(values)} numbers where {count:,} belong")
        return name, values
    if kind == _CHAR:
        if count and sizes[0] != 1:
            raise _Damaged("text of several lines")
        return name, _text(next(parts), order) if count else ""
    if kind not in (_CELL, _STRUCT):
        raise _Damaged(f"a variable of class {kind}; expected numbers, text, cells or structs")
    fields = _fields(parts, order) if kind == _STRUCT else [""]
    expected = count * len(fields)
    if expected > len(body) // 8:
        raise _Damaged(f"{expected:,} values where there is no room for them")
    values = [_value(part, order, depth - 1) for part in parts]
    if len(values) != expected:
        raise _Damaged(f"{len(values)} values where {expected:,} belong")
    if kind == _CELL:
        return name, values
    starts = range(0, expected, len(fields))
    return name, [dict(zip(fields, values[at : at + len(fields)], strict=True)) for at in starts]


def _fields(parts: Iterator[_Element], order: str) -> list[str]:
    """Return the names of a struct's fields: a width, and the names filled up with zeros to it."""
    widths, names = _numbers(next(parts), order), next(parts).body
    width = int(widths[0]) if len(widths) == 1 else 0
    if width < 1 or not names or len(names) % width:
        raise _Damaged("a struct without names")
    cut = [names[at : at + width] for at in range(0, len(names), width)]
    return [one.split(b"\0")[0].decode("latin-1") for one in cut]


def _value(part: _Element, order: str, depth: int) -> Any:
    if part.kind != _MATRIX:
        raise _Damaged(f"an element of type {part.kind} where a value belongs")
    return _matrix(part.body, order, depth)[1]


def _numbers(element: _Element, order: str) -> np.ndarray:
    kind = _NUMBERS.get(element.kind)
    if kind is None or len(element.body) % int(kind[1]):
        raise _Damaged(f"an element of type {element.kind} where numbers belong")
    return np.frombuffer(element.body, f"{order}{kind}")


def _text(element: _Element, order: str) -> str:
    coding = _TEXT.get(element.kind)
    if coding is None:
        raise _Damaged(f"an element of type {element.kind} where text belongs")
    if coding == "utf-16":
        coding += "-le" if order == "<" else "-be"
    try:
        return element.body.decode(coding)
    except UnicodeDecodeError:
        raise _Damaged("text that is none") from None
