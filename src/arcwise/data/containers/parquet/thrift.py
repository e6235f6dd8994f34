"""Thrift's compact protocol, as Parquet's footers and page headers are written in it.

pyarrow ends the process where a damaged footer is asked for its columns; this reader does not.
Layout: apache/thrift `doc/specs/thrift-compact-protocol.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Struct = dict[int, Any]
"""Field number → value: a number, bytes, a list or a Struct."""

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_WHOLE = (4, 5, 6)  # of 16, 32 and 64 bits
_DEEPEST = 32


class Malformed(ValueError):
    """The bytes are no such struct, or end inside it."""


def read_struct(data: bytes) -> tuple[Struct, int]:
    """Return the struct at the beginning of some bytes, and how long it is.

    Raises:
        Malformed: there is none.
    """
    reader = _Reader(data)
    try:
        return reader.struct(0), reader.place
    except IndexError:
        raise Malformed("it ends too early") from None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0
        self.readers: dict[int, Callable[[int], Any]] = {
            **dict.fromkeys((_TRUE, _FALSE, _BYTE), lambda _: self.byte()),
            **dict.fromkeys(_WHOLE, lambda _: self.signed()),
            _DOUBLE: lambda _: self.some(8),
            _BINARY: lambda _: self.some(self.varint()),
            **dict.fromkeys((_LIST, _SET), self.several),
            _MAP: self.pairs,
            _STRUCT: self.struct,
        }

    def byte(self) -> int:
        self.place += 1
        return self.data[self.place - 1]

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise Malformed("a number is too long")

    def signed(self) -> int:
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def some(self, length: int) -> bytes:
        if length > len(self.data) - self.place:
            raise Malformed("it ends too early")
        self.place += length
        return self.data[self.place - length : self.place]

    def struct(self, depth: int) -> Struct:
        if depth > _DEEPEST:
            raise Malformed("structs are nested too deep")
        fields: Struct = {}
        number = 0
        while head := self.byte():
            kind, delta = head & 15, head >> 4
            number = number + delta if delta else self.signed()
            fields[number] = kind == _TRUE if kind <= _FALSE else self.value(kind, depth)
        return fields

    def value(self, kind: int, depth: int) -> Any:
        if kind not in self.readers:
            raise Malformed(f"there is no type {kind}")
        return self.readers[kind](depth + 1)

    def several(self, depth: int) -> list[Any]:
        head = self.byte()
        count = head >> 4 if head >> 4 < 15 else self.varint()
        if count > len(self.data):
            raise Malformed("a list is too long")
        return [self.value(head & 15, depth) for _ in range(count)]

    def pairs(self, depth: int) -> None:
        """Passes over a map; Parquet has none."""
        count = self.varint()
        kinds = self.byte() if count else 0
        for _ in range(min(count, len(self.data))):
            self.value(kinds >> 4, depth)
            self.value(kinds & 15, depth)
