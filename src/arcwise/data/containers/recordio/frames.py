"""RecordIO's frame around a record: magic, length, and the parts of a record that holds the magic.

`magic u32, (flag << 29 | length) u32, payload, zeros up to a multiple of 4`, little-endian. A
payload that holds the magic at a multiple of 4 is cut there into parts (flags 1, 2 …, 3; whole
records have 0) and the magic left out; so at a multiple of 4, the magic always is a frame's.
Layout: dmlc-core `recordio.h` and `recordio.cc`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

MAGIC = 0xCED7230A
MAGIC_BYTES = MAGIC.to_bytes(4, "little")
LONGEST = 2**29 - 1
"""Bytes a record may have: its length has 29 bits."""

WHOLE, START, MIDDLE, END = range(4)
HEAD = struct.Struct("<II")

Read = Callable[[int, int], bytes]
"""(position, length) → those bytes of the file; fewer where it ends."""


class Damaged(ValueError):
    """A record cannot be read; says why, without its name."""


def frame(payload: bytes) -> bytes:
    """Return the record as it lies in the file.

    Raises:
        Damaged: it is longer than RecordIO can say.
    """
    if len(payload) > LONGEST:
        raise Damaged(f"{len(payload):,} bytes; a RecordIO record holds at most {LONGEST:,}")
    padding = bytes(-len(payload) % 4)
    cuts = magics(payload)
    if not cuts:
        return b"".join((HEAD.pack(MAGIC, len(payload)), payload, padding))
    written = []
    bounds = [-4, *cuts, len(payload)]
    for number, (cut, stop) in enumerate(pairwise(bounds)):
        flag = START if number == 0 else END if number == len(cuts) else MIDDLE
        part = payload[cut + 4 : stop]
        written += [HEAD.pack(MAGIC, flag << 29 | len(part)), part]
    return b"".join((*written, padding))


class Unframed(NamedTuple):
    """A record as it was read.

    Attributes:
        payload: the parts, joined.
        parts: how many there were.
        end: where the next record begins.
    """

    payload: bytes
    parts: int
    end: int


def unframe(read: Read, size: int, offset: int) -> Unframed:
    """Return the record that begins at a position.

    Args:
        read: of the file.
        size: the file's; no length is believed that leads beyond it.
        offset: where the record begins.

    Raises:
        Damaged: no whole record begins there.
    """
    parts: list[bytes] = []
    position, total = offset, 0
    while True:
        flag, length = part_at(read, size, position, inside=bool(parts))
        padded = length + (-length % 4)
        total += length + 4
        if total > LONGEST + 4:
            raise Damaged(f"its parts have more than {LONGEST:,} bytes")
        data = read(position + 8, padded)
        position += 8 + padded
        if len(data) < padded:
            raise Damaged("the file ends inside it")
        if padded != length:
            if any(data[length:]):
                raise Damaged(f"says it has {length:,} bytes, but no zeros follow them")
            data = data[:length]
        if flag == WHOLE:
            return Unframed(data, 1, position)
        parts.append(data)
        if flag == END:
            return Unframed(MAGIC_BYTES.join(parts), len(parts), position)


def part_at(read: Read, size: int, position: int, *, inside: bool = False) -> tuple[int, int]:
    """Return the flag and the length of the part that begins at a position.

    Args:
        read: of the file.
        size: the file's.
        position: where the part begins.
        inside: whether a part of the same record came before it.

    Raises:
        Damaged: no such part begins there, or it leads beyond the file.
    """
    head = read(position, 8)
    if len(head) < 8:
        raise Damaged(f"the file ends before it, at {size:,} bytes; it was cut short")
    magic, word = HEAD.unpack(head)
    flag, length = word >> 29, word & LONGEST
    if magic != MAGIC:
        raise Damaged(f"begins with {head[:4].hex(' ')} instead of {MAGIC_BYTES.hex(' ')}")
    if flag not in ((MIDDLE, END) if inside else (WHOLE, START)):
        raise Damaged(f"its part at byte {position:,} has the flag {flag}, which does not fit here")
    if flag in (START, MIDDLE) and length % 4:
        raise Damaged(f"its part at byte {position:,} has {length} bytes, no multiple of 4")
    if position + 8 + length > size:
        raise Damaged(f"says it has {length:,} bytes; the file ends after {size - position - 8:,}")
    return flag, length


def magics(payload: bytes) -> list[int]:
    """Return the places of the magic at a multiple of 4; there are none within a part."""
    places, place = [], payload.find(MAGIC_BYTES)
    while place >= 0:
        if place % 4 == 0:
            places.append(place)
        place = payload.find(MAGIC_BYTES, place + 1)
    return places
