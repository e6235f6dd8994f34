"""JPEG: size from the frame header, completeness from the end marker."""

from __future__ import annotations

from struct import unpack_from

from arcwise.images.headers.header import Header, HeaderError

_END = b"\xff\xd9"
_SCAN = 0xDA
_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))  # markers without a length
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def read(data: bytes) -> Header:
    """The header of a JPEG file whose data reach its end marker.

    Segments are skipped by their length, so the end marker of a thumbnail inside EXIF is not
    taken for the picture's. Inside a scan a 0xff byte is always escaped: there, the first end
    marker is the real one, and a plain search finds it.
    """
    position, size = 2, None
    while True:
        if data[position] != 0xFF:
            raise HeaderError("damaged: a JPEG segment does not begin where it should")
        marker = data[position + 1]
        if marker == 0xFF:  # padding
            position += 1
            continue
        if marker in _ALONE:
            position += 2
            continue
        if marker == 0xD9:
            raise HeaderError("a JPEG that ends before its picture begins")
        if marker in _FRAMES:
            size = unpack_from(">HH", data, position + 5)
        elif marker == _SCAN:
            break
        position += 2 + unpack_from(">H", data, position + 2)[0]
    if size is None:
        raise HeaderError("damaged: a JPEG without a frame header")
    if data.find(_END, position) < 0:
        raise HeaderError("cut short: a JPEG without its end marker")
    return Header(width=size[1], height=size[0])
