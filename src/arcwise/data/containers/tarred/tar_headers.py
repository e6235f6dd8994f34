"""The members of a tar file by their headers (ustar, GNU and pax), and its damaged stretches.

Every header block has a checksum, so a flipped byte in one is noticed, and reading goes on at the
next block whose checksum fits. The standard library's tarfile passes the tests here but one, and
takes five times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple
from zlib import adler32

BLOCK = 512
"""Headers and payloads start at multiples of this many bytes."""

Read = Callable[[int, int], bytes]
"""(position, length) → the bytes there, fewer where the file ends."""

_AHEAD = 2**20  # bytes looked through at once for the next header
_LONGEST_NAME = 2**16
_NO_PAYLOAD = b"123456"  # links, devices, folders, pipes
_FILES = b"07\0"
_LONG_NAME, _LONG_LINK, _OF_ALL, _OF_NEXT = b"L", b"K", b"g", b"x"


class Member(NamedTuple):
    """One entry of an archive.

    Attributes:
        name: without a leading `./`; bytes that are no UTF-8 are escaped as surrogates.
        start: position of its first header.
        data: position of its payload.
        size: bytes of payload.
        is_file: whether it is an ordinary file; links, devices and folders are not.
    """

    name: str
    start: int
    data: int
    size: int
    is_file: bool

    @property
    def end(self) -> int:
        """The position of the next header."""
        return self.data + -(-self.size // BLOCK) * BLOCK


class Lost(NamedTuple):
    """A stretch that is no member; an empty one, where the file stops without its end mark."""

    start: int
    end: int


class _Header(NamedTuple):
    name: bytes
    size: int
    kind: bytes


def scan(read: Read, end: int) -> Iterator[Member | Lost]:
    """Everything in an archive of `end` bytes, in order; payloads are skipped.

    Zeros between members are skipped too, so that archives that were joined are read whole.
    """
    position, ended = 0, False
    while position < end:
        member = member_at(read, position, end)
        if member is not None:
            yield member
            position, ended = member.end, False
            continue
        after = _past_zeros(read, position, end)
        if after > position:
            position, ended = after, True
            continue
        after = _next_header(read, position + BLOCK, end)
        yield Lost(position, after)
        position = after
    if not ended:
        yield Lost(end, end)


def member_at(read: Read, start: int, end: int) -> Member | None:
    """Return the member whose headers start at a position; None where there is no whole one."""
    position, name, size = start, None, None
    while (header := _parse(read(position, BLOCK))) is not None:
        position += BLOCK
        kind = header.kind
        if kind not in (_LONG_NAME, _LONG_LINK, _OF_ALL, _OF_NEXT):
            size = header.size if size is None else size
            text = (header.name if name is None else name).decode("utf-8", "surrogateescape")
            payload = 0 if kind in _NO_PAYLOAD else size
            is_file = kind in _FILES and not text.endswith("/")
            return Member(text.removeprefix("./"), start, position, payload, is_file)
        if header.size > end - position:
            return None
        if kind in (_LONG_NAME, _OF_NEXT):
            if header.size > _LONGEST_NAME:
                return None
            data = read(position, header.size)
            if kind == _LONG_NAME:
                name = data.rstrip(b"\0")
            else:
                try:
                    name, size = _extended(data, name, size)
                except ValueError:
                    return None
        position += -(-header.size // BLOCK) * BLOCK
    return None


def _parse(block: bytes) -> _Header | None:
    """Return the content of a header block, or None where its checksum does not fit."""
    try:
        stated = _number(block[148:156])
        size = _number(block[124:136])
    except ValueError:
        return None
    # The low half of Adler-32 is 1 + the sum of the bytes; the checksum's own count as blanks.
    counted = (adler32(block) & 0xFFFF) - 1 - sum(block[148:156]) + 8 * ord(" ")
    if len(block) < BLOCK or size < 0 or (counted - stated) % 65521:
        return None
    name = block[:100].partition(b"\0")[0]
    if block[257:263] == b"ustar\0" and block[345]:
        name = block[345:500].partition(b"\0")[0] + b"/" + name
    return _Header(name, size, block[156:157])


def _number(field: bytes) -> int:
    """Octal digits; or binary with the top bit set, as GNU tar writes what is too large."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b"\0 ")
    if digits and not digits.isdigit():
        raise ValueError("not octal")
    return int(digits or b"0", 8)


def _extended(data: bytes, name: bytes | None, size: int | None) -> tuple[bytes | None, int | None]:
    """Return the name and size in pax records (`23 path=folder/x.jpg` and a line feed)."""
    position = 0
    while position < len(data) and data[position]:
        length, _, record = data[position : position + 20].partition(b" ")
        if not length.isdigit():
            raise ValueError("not a pax record")
        end = position + int(length)
        record = data[position + len(length) + 1 : end]
        key, equals, value = record.partition(b"=")
        if not equals or not value.endswith(b"\n") or end > len(data):
            raise ValueError("not a pax record")
        if key == b"path":
            name = value[:-1]
        elif key == b"size":
            if not value[:-1].isdigit():
                raise ValueError("not a size")
            size = int(value)
        position = end
    return name, size


def _past_zeros(read: Read, position: int, end: int) -> int:
    """Return the first block at or after a position that is not all zeros."""
    while position < end:
        chunk = read(position, _AHEAD)
        rest = len(chunk.lstrip(b"\0"))
        position += (len(chunk) - rest) // BLOCK * BLOCK if rest else max(len(chunk), BLOCK)
        if rest:
            break
    return min(position, end)


def _next_header(read: Read, position: int, end: int) -> int:
    """Return the first block at or after a position that is a header."""
    while position < end:
        chunk = read(position, _AHEAD)
        for place in range(0, len(chunk), BLOCK):
            if _parse(chunk[place : place + BLOCK]) is not None:
                return position + place
        position += max(len(chunk), BLOCK)
    return end
