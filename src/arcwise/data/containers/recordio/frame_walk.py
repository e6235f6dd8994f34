"""The records of a `.rec` without its `.idx`, and those that an `.idx` does not name.

They are found by walking from frame to frame.
"""

from __future__ import annotations

import struct
from array import array
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arcwise.data.containers.recordio.frames import (
    END,
    LONGEST,
    MAGIC,
    MAGIC_BYTES,
    MIDDLE,
    START,
    WHOLE,
    Damaged,
    Read,
    magics,
    part_at,
)
from arcwise.data.containers.recordio.image_header import IR_HEADER
from arcwise.data.containers.recordio.offsets import RecordIndex, index_of

_FRONT = struct.Struct("<IIIfQ")  # magic, flag and length; the image's flag, label, id
_BLOCK = 2**12
_LENGTH_AND_LABELS = struct.Struct("<II")

MOST = 2**20
"""The most images that are counted in gaps."""


class Scanned(NamedTuple):
    """The records in a file.

    Attributes:
        index: every record whose beginning was found, also those that cannot be read.
        damaged: where those begin that do not lead to the next one.
        doubled: an id that two of them have, so that the keys are not the ids; None for none.
    """

    index: RecordIndex
    damaged: list[int]
    doubled: int | None = None


def scan(read: Read, size: int) -> Scanned:
    """Return the records of a file; after a damaged one the walk goes on at the next that begins.

    Their keys are the ids in their headers, where all known writers put them; when two are
    alike, the keys count the records from 0.

    Args:
        read: of the file; asked in ascending order, but for damage.
        size: the file's.
    """
    offsets, ids = array("q"), array("Q")
    damaged: list[int] = []
    position = 0
    while position < size:
        front = read(position, _FRONT.size)
        magic, word, _, _, key = _FRONT.unpack(front.ljust(_FRONT.size, b"\0"))
        after = position + 8 + -(-word // 4) * 4
        if magic != MAGIC or word > LONGEST or after > size:  # not simply a whole record
            try:
                after = end_of_record(read, size, position)
            except Damaged:
                after = _end_but_for_magic(read, size, position, word)
                expected = (ids[-1] + 1) % 2**64 if ids else key
                begins = MAGIC_BYTES.startswith(front[:4]) and word >> 29 not in (MIDDLE, END)
                if not (after or begins or key == expected):
                    damaged.append(offsets[-1])  # it has another length than it says
                    position = _next_start(read, size, offsets[-1] + 4)
                    continue
                damaged.append(position)
                after = after or _next_start(read, size, position + 4)
                key = key if len(front) == _FRONT.size else expected
        offsets.append(position)
        ids.append(key)
        position = after
    return _scanned(np.asarray(ids), np.array(offsets, np.int64), damaged)


def end_of_record(read: Read, size: int, position: int) -> int:
    """Return the end of the record that begins at a position.

    Raises:
        Damaged: none begins there.
    """
    inside = False
    while True:
        flag, length = part_at(read, size, position, inside=inside)
        position += 8 + -(-length // 4) * 4
        if flag in (WHOLE, END):
            return position
        inside = True


def _end_but_for_magic(read: Read, size: int, position: int, word: int) -> int:
    """Return the end of a whole record of which only the magic is damaged; 0 if that is not so."""
    after = position + 8 + -(-(word & LONGEST) // 4) * 4
    sound = word >> 29 == WHOLE and (after == size or _flag(read, after) in (WHOLE, START))
    return after if sound else 0


def _flag(read: Read, position: int) -> int:
    """Return the flag of the part that begins at a position; -1 where none does."""
    head = read(position, 8)
    return head[7] >> 5 if len(head) == 8 and head.startswith(MAGIC_BYTES) else -1


def _next_start(read: Read, size: int, position: int) -> int:
    """Return the position of the next whole record; the end of the file if there is none."""
    length = _BLOCK
    while position < size:
        for offset in magics(read(position, length)):
            try:
                end = end_of_record(read, size, position + offset)
            except Damaged:
                continue
            if _flag(read, end) not in (MIDDLE, END):  # else it is a part of a damaged one
                return position + offset
        position += length
        length = min(2 * length, 256 * _BLOCK)
    return size


def _scanned(ids: NDArray[np.uint64], offsets: NDArray[np.int64], damaged: list[int]) -> Scanned:
    doubled = None
    if len(ids) and ids.max() < 2**63:
        index = index_of(ids.view(np.int64), offsets)
        if index is not None:
            return Scanned(index, damaged)
        ordered = np.sort(ids)
        doubled = int(ordered[1:][ordered[1:] == ordered[:-1]][0])
    return Scanned(RecordIndex(range(len(offsets)), offsets), damaged, doubled)


def images_between(read: Read, size: int, gaps: NDArray[np.int64]) -> int:
    """Return how many records with an image lie between two positions each; of `MOST` no more.

    Args:
        read: of the file.
        size: the file's.
        gaps: (M, 2) position behind a record, position of the next one in the index.
    """
    count = 0
    for start, end in np.unique(gaps, axis=0).tolist():
        position = start
        while position < end and count < MOST:
            try:
                after = end_of_record(read, size, position)
            except Damaged:
                break
            length, labels = _LENGTH_AND_LABELS.unpack(read(position + 4, 8).ljust(8, b"\0"))
            parted = length >> 29 > 0
            count += parted or length > IR_HEADER.size + 4 * labels
            position = after
    return count
