"""The positions of the records in a `.rec`: 8 bytes a record, 16 where the keys have gaps."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from arcwise.errors import ArcwiseError

_BLOCK = 2**19  # bytes of text in memory
_LONGEST = 50  # bytes of a line
_LARGEST = 2**63 - 1  # what numpy makes of anything beyond it as well
_LINE = re.compile(rb"(\d+)\t(\d+)")


@dataclass(frozen=True, eq=False)
class RecordIndex:
    """The records by key.

    Attributes:
        keys: ascending; a range when nothing is missing between the first and the last.
        offsets: (N,) int64, where the record of each key begins.
    """

    keys: range | NDArray[np.int64]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets)

    def some_keys(self, start: int = 0, stop: int | None = None) -> NDArray[np.int64]:
        """Return the keys from a position up to another."""
        some = self.keys[start:stop]
        return np.arange(some.start, some.stop) if isinstance(some, range) else some

    def rows(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row of each key in this index; -1 for those that are not in it."""
        if isinstance(self.keys, range):
            rows = keys - self.keys.start
            return np.where((rows >= 0) & (rows < len(self)), rows, -1)
        rows = np.searchsorted(self.keys, keys).clip(max=len(self) - 1)
        return np.where(self.keys[rows] == keys, rows, -1)

    def __contains__(self, key: int) -> bool:
        return self.offset(key) >= 0

    def offset(self, key: int) -> int:
        """Return where the record of a key begins; -1 where there is none."""
        if isinstance(self.keys, range):
            row = key - self.keys.start
            return int(self.offsets[row]) if 0 <= row < len(self.offsets) else -1
        row = int(np.searchsorted(self.keys, key))
        is_there = row < len(self) and self.keys[row] == key
        return int(self.offsets[row]) if is_there else -1


def index_of(keys: NDArray[np.int64], offsets: NDArray[np.int64]) -> RecordIndex | None:
    """Return the index of records in any order; None when two have the same key."""
    if (keys[1:] <= keys[:-1]).any():
        order = np.argsort(keys)
        keys, offsets = keys[order], offsets[order]
        if (keys[1:] == keys[:-1]).any():
            return None
    if len(keys) and keys[-1] - keys[0] == len(keys) - 1:
        return RecordIndex(range(int(keys[0]), int(keys[-1]) + 1), offsets)
    return RecordIndex(keys, offsets)


def read_index(path: Path) -> RecordIndex:
    """Return the index in an `.idx` file: a line `key TAB offset` for each record, in any order.

    Raises:
        ArcwiseError: a line is not that, or a key comes twice; the message has its number.
    """
    count, lowest, highest = 0, 2**63 - 1, 0
    for keys, _ in _blocks(path):
        count += len(keys)
        lowest, highest = min(lowest, int(keys.min())), max(highest, int(keys.max()))
    if not count:
        raise ArcwiseError(f"{path}: empty; remove it, and the .rec itself is looked through")
    if highest - lowest == count - 1:  # nearly always: no key is stored, nothing is sorted
        by_key = np.full(count, -1, np.int64)
        for keys, offsets in _blocks(path):
            by_key[keys - lowest] = offsets
        if (by_key < 0).any():
            raise _doubled(path)
        return RecordIndex(range(lowest, highest + 1), by_key)
    every_key, every_offset = np.empty(count, np.int64), np.empty(count, np.int64)
    filled = 0
    for keys, offsets in _blocks(path):
        every_key[filled : filled + len(keys)] = keys
        every_offset[filled : filled + len(keys)] = offsets
        filled += len(keys)
    index = index_of(every_key, every_offset)
    if index is None:
        raise _doubled(path)
    return index


def line_of(path: Path, key: int) -> int:
    """Return the number of the line that has a key; 0 where none has."""
    lines = _lines(path)
    return next((number for number, line in lines if int(line.split(b"\t")[0]) == key), 0)


def _blocks(path: Path) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the keys and the offsets, a block of lines at a time."""
    rest = b""
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            whole, newline, rest = (rest + block).rpartition(b"\n")
            if len(rest) > _LONGEST:
                raise _malformed(path)
            yield from _parsed(whole + newline, path)
    yield from _parsed(rest + b"\n" if rest.strip() else b"", path)


def _parsed(text: bytes, path: Path) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    if not text:
        return
    letters = np.frombuffer(text, np.uint8)
    marks = letters[(letters == ord("\t")) | (letters == ord("\n"))]
    alternate = (marks[::2] == ord("\t")).all() and (marks[1::2] == ord("\n")).all()
    if not alternate or text.translate(None, b"0123456789\t\r\n"):
        raise _malformed(path)
    numbers = np.fromstring(text, np.int64, sep=" ")  # any white space separates
    if len(numbers) != len(marks):
        raise _malformed(path)
    keys, offsets = numbers.reshape(-1, 2).T
    if numbers.max() == _LARGEST or (offsets % 4).any():
        raise _malformed(path)
    yield keys, offsets


def _malformed(path: Path) -> ArcwiseError:
    for number, line in _lines(path):
        match = _LINE.fullmatch(line)
        if not match or max(map(int, match.groups())) >= _LARGEST or int(match[2]) % 4:
            shown = line[:40].decode("utf-8", "backslashreplace")
            return ArcwiseError(
                f"{path}: line {number} is {shown!r}; expected a key, a tab, and where the record "
                "begins (a multiple of 4)"
            )
    return ArcwiseError(f"{path}: not lines of a key, a tab and a number")


def _doubled(path: Path) -> ArcwiseError:
    seen: dict[bytes, int] = {}
    for number, line in _lines(path):
        key = line.split(b"\t")[0]
        if key in seen:
            first = seen[key]
            return ArcwiseError(
                f"{path}: line {number} has the key {int(key)} of line {first} again; remove the "
                "file, and the .rec itself is looked through"
            )
        seen[key] = number
    return ArcwiseError(f"{path}: a key comes twice; remove it")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with open(path, "rb") as file:
        number = 0
        while line := file.readline(4 * _LONGEST):
            number += 1
            yield number, line.strip(b"\r\n")
