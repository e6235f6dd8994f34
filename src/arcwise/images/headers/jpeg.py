"""JPEG: size from the frame header, completeness from the end marker."""

from __future__ import annotations

import re
from struct import unpack_from

from arcwise.images.headers.header import Header, HeaderError

_END = b"\xff\xd9"
_PADDING = re.compile(rb"\xff+")
_SCAN = 0xDA
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

_MOST_SEGMENTS = 10_000  # a hostile file could hold millions of empty ones


def read(data: bytes) -> Header:
    """The header of a JPEG file whose data reach its end marker.

    Segments are skipped by their length, so the end marker of a thumbnail inside EXIF is not
    taken for the picture's. Inside a scan a 0xff byte is always escaped, so an end marker found
    behind its begin is a real one; it is looked for from the back, where it usually is.
    """
    position, size = 2, None
    for _ in range(_MOST_SEGMENTS):
        if data[position] != 0xFF:
            raise HeaderError("damaged: a JPEG segment does not begin where it should")
        marker = data[position + 1]
        if marker == 0xFF:
            padding = _PADDING.match(data, position)
            assert padding is not None
            position = padding.end() - 1
            marker = data[position + 1]
        if marker == _END[1]:
            raise HeaderError("damaged: a JPEG that ends before its picture begins")
        if marker in _FRAMES:
            size = unpack_from(">HH", data, position + 5)
        elif marker == _SCAN:
            break
        position += 2 + unpack_from(">H", data, position + 2)[0]
    else:
        raise HeaderError("damaged: a JPEG of endless segments")
    if size is None:
        raise HeaderError("damaged: a JPEG without a frame header")
    if data.rfind(_END, position) < 0:
        raise HeaderError("cut short: a JPEG without its end marker")
    return Header(width=size[1], height=size[0])
