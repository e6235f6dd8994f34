"""Members that lie in a `.zip` and are not in its directory: nobody who reads it sees them."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from zipfile import ZipInfo

from arcwise.data.containers.positioned import PositionedFile

LOCAL = struct.Struct("<4s2HH4x3I2H")
"""The header before a member: PKWARE, APPNOTE.TXT, 4.3.7."""

_MARK = b"PK\3\4"
_USUAL = 90  # bytes that writers put between a member and the next: extra fields, sizes
_AHEAD = 2**20


def unnamed(file: PositionedFile, members: Sequence[ZipInfo], directory: int) -> list[str]:
    """The names of members that no entry of the directory leads to.

    Args:
        file: the archive.
        members: of its directory.
        directory: where that begins.
    """
    found: list[str] = []
    after = 0
    for info in sorted(members, key=lambda one: one.header_offset):
        found += _inside(file, after, info.header_offset)
        after = max(after, info.header_offset + LOCAL.size + len(info.filename))
        after = max(after, info.header_offset + LOCAL.size + info.compress_size)
    return found + list(_inside(file, after, directory))


def _inside(file: PositionedFile, start: int, end: int) -> Iterator[str]:
    """The names of members between two positions; a directory or a stub there has none."""
    if end - start <= _USUAL:
        return
    position = start
    while position < end:
        block = file.read_at(position, min(_AHEAD, end - position))
        place = block.find(_MARK)
        if place < 0:
            position += max(len(block) - len(_MARK) + 1, 1)
            continue
        position += place
        header = file.read_at(position, LOCAL.size)
        if len(header) < LOCAL.size:
            return
        size, name_length, extra = (LOCAL.unpack(header)[index] for index in (5, 7, 8))
        name = file.read_at(position + LOCAL.size, name_length)
        position += LOCAL.size + name_length + extra
        if name and position <= end:
            if not name.endswith(b"/"):
                yield name.decode("utf-8", "backslashreplace")
            position += size if position + size <= end else 0
