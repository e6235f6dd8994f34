"""MXNet RecordIO: `train.rec`, images by key, with `train.idx` beside it or without."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from arcwise.data.containers.positioned import PositionedFile, buffered
from arcwise.data.containers.recordio.frame_walk import MOST, images_between, scan
from arcwise.data.containers.recordio.frames import (
    Damaged,
    Read,
    Unframed,
    magics,
    part_at,
    unframe,
)
from arcwise.data.containers.recordio.image_header import (
    Labels,
    RecordHeader,
    plain_record,
    read_labels,
    unpack,
)
from arcwise.data.containers.recordio.offsets import line_of, read_index
from arcwise.errors import ArcwiseError, ImageError

BLOCK = 2**22
"""Bytes read at once by those who read a file from front to back."""

_PROBES = 16
_MANY = 4  # of so many records one is not where it should be: more than damage does


class RecordContainer:
    """A `.rec` that is read in place.

    Attributes:
        index: where its records begin.
        notes: what the user has to know about it, a line each.
    """

    def __init__(self, path: str) -> None:
        self._name = Path(path).name
        self._file = PositionedFile(path)
        idx = Path(path).with_suffix(".idx")
        self._idx = idx if idx.is_file() else None
        if self._idx is not None:
            self.index = read_index(idx)
            self.notes = tuple(self._misfits(idx))
        else:
            self.index, damaged, doubled = scan(buffered(self._file, BLOCK), self._file.size)
            self.notes = (f"{idx.name} is missing; {self._name} itself was looked through",)
            if doubled is not None:
                self.notes += (
                    f"{self._name}: records have the same id, {doubled} the first; they are "
                    "counted from 0 instead, in the order of the file",
                )
            if len(damaged) >= len(self.index):  # nothing that could be read
                raise ArcwiseError(f"{path}: no whole record in it; not RecordIO, or damaged")
            if damaged:
                self.notes += (
                    f"{self._name}: {len(damaged):,} damaged places, the first at byte "
                    f"{damaged[0]:,}; what lies there cannot be read",
                )

    def __contains__(self, member: str) -> bool:
        return self._key(member) in self.index

    def read(self, member: str, ref: str) -> bytes:
        """Return the image file in the record whose key is the member's name."""
        return self._record(self._key(member), ref, self._file.read_at)[1]

    def record(self, key: int) -> tuple[RecordHeader, bytes]:
        """Return the header and the image file of one record.

        Raises:
            ImageError: there is none, or it is damaged.
        """
        return self._record(key, f"{self._name}/{key}", self._file.read_at)

    def labels(self, keys: NDArray[np.int64]) -> Labels:
        """Return the labels of the records of these keys, which must be there."""
        return read_labels(self._file, self.index.offsets[self.index.rows(keys)])

    def after(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the position of the record behind each of these in the file, or the file's end."""
        behind = self._starts.searchsorted(self.index.offsets[self.index.rows(keys)], "right")
        inside = behind < len(self._starts)
        return np.where(inside, self._starts[np.where(inside, behind, 0)], self._file.size)

    def unnamed(self, gaps: NDArray[np.int64]) -> tuple[str, ...]:
        """Return a note on images that the index does not name; none where none was noticed.

        Those before the first record and behind the last one are always noticed.

        Args:
            gaps: (M, 2) from the end of a record to where the next one begins; read.
        """
        if self._idx is None:
            return ()
        last = self.index.some_keys()[[self.index.offsets.argmax()]]
        end = int(self.labels(last).end[0])
        outside = [(0, self._starts[0]), (end if end >= 0 else self._file.size, self._file.size)]
        every = np.concatenate([np.array(outside, np.int64), gaps])
        count = images_between(self._file.read_at, self._file.size, every)
        if not count:
            return ()
        many = f"at least {count:,}" if count >= MOST else f"{count:,}"
        return (
            f"{self._idx.name} names {len(self.index):,} records of {self._name}; {many} more "
            f"images lie in it and are not read: remove {self._idx.name}, and "
            f"{self._name} itself is looked through",
        )

    def each(
        self, keys: Iterable[int] | None = None
    ) -> Iterator[tuple[int, RecordHeader, bytes] | ImageError]:
        """Yield (key, header, image file) of record after record, or why one cannot be read.

        The file is read in large blocks wherever the next record lies behind the last one.

        Args:
            keys: which, in this order; all, in the order of the file, when not given.
        """
        through_blocks = buffered(self._file, BLOCK)
        if keys is None:
            keys = self.index.some_keys()[np.argsort(self.index.offsets, kind="stable")]
        last = None
        for key in map(int, keys):
            offset = self.index.offset(key)
            near = last is None or 0 <= offset - last <= BLOCK
            last = offset
            try:
                read = through_blocks if near else self._file.read_at
                yield key, *self._record(key, f"{self._name}/{key}", read)
            except ImageError as error:
                yield error

    def _record(self, key: int, ref: str, read: Read) -> tuple[RecordHeader, bytes]:
        offset = self.index.offset(key)
        if offset < 0:
            first, last = self.index.keys[0], self.index.keys[-1]
            raise ImageError(
                ref, f"{self._name} has no such record; its keys are {first} to {last}"
            )
        end = self.index.offset(key + 1)
        if 0 < end - offset <= BLOCK and (plain := plain_record(read(offset, end - offset))):
            return plain
        try:
            record = unframe(read, self._file.size, offset)
            if end != record.end:
                self._check_end(record)
            return unpack(record.payload)
        except Damaged as problem:
            reason = f"record {key}, at byte {offset:,} of {self._name}, is damaged: {problem}"
            raise ImageError(ref, reason) from None

    def _check_end(self, record: Unframed) -> None:
        """Raise Damaged unless the record may end where it does: its length may be wrong."""
        if len(magics(record.payload)) >= record.parts:
            raise Damaged("another record begins before its end")
        if record.end == self._file.size:
            return
        try:
            part_at(self._file.read_at, self._file.size, record.end)
        except Damaged:
            if not (self.index.offsets == record.end).any():
                raise Damaged("no other record begins at its end") from None

    def _misfits(self, idx: Path) -> Iterator[str]:
        """Yield notes on how the index fits the file.

        Raises:
            ArcwiseError: none of several records is where it says; it is another file's.
        """
        size, offsets = self._file.size, self.index.offsets
        rows = np.linspace(0, len(offsets) - 1, min(len(offsets), _PROBES)).astype(np.int64)
        problems = [self._problem(int(offset)) for offset in offsets[rows]]
        if all(problems):
            key = int(self.index.keys[0])
            raise ArcwiseError(
                f"{idx}: line {line_of(idx, key)}: record {key} at byte {offsets[0]:,} of "
                f"{self._name} {problems[0]}; the two do not belong together: remove the .idx, "
                "and the .rec itself is looked through"
            )
        inside = [bool(one) for one, row in zip(problems, rows, strict=True) if offsets[row] < size]
        if sum(inside) * _MANY >= len(inside) > 0:
            yield (
                f"{sum(inside)} of {len(inside)} records looked at are not where {idx.name} "
                f"says; if it is of another file remove it: {self._name} itself is looked through"
            )
        if doubled := int((self._starts[1:] == self._starts[:-1]).sum()):
            yield (
                f"{idx.name} leads {doubled:,} keys to the record of another one; each is a "
                "image of its own here"
            )
        if beyond := int((offsets >= size).sum()):
            yield (
                f"{self._name} was cut short at {size:,} bytes: {beyond:,} records that "
                f"{idx.name} names are missing"
            )

    def _problem(self, offset: int) -> str:
        try:
            part_at(self._file.read_at, self._file.size, offset)
        except Damaged as problem:
            return str(problem)
        return ""

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        """Where records begin, in the order of the file."""
        offsets = self.index.offsets
        return offsets if (offsets[1:] >= offsets[:-1]).all() else np.sort(offsets)

    @staticmethod
    def _key(member: str) -> int:
        return int(member) if member.isdecimal() and member.isascii() and len(member) < 19 else -1


open_container = RecordContainer
