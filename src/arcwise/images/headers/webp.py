"""WebP: a RIFF file; the announced length says whether it is whole."""

from __future__ import annotations

from struct import unpack_from

from arcwise.images.headers.exif import orientation_of
from arcwise.images.headers.header import Header, HeaderError


def read(data: bytes) -> Header:
    """The header of a WebP file that is as long as it says (first frame, when it moves)."""
    announced = unpack_from("<I", data, 4)[0] + 8
    if announced > len(data):
        raise HeaderError(f"cut short: a WebP with {len(data)} of its {announced} bytes")
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = unpack_from("<HH", data, 26)
        return Header(width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        (bits,) = unpack_from("<I", data, 21)
        return Header((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, alpha=bool(bits >> 28 & 1))
    if kind == b"VP8X":
        flags = data[20]
        width = int.from_bytes(data[24:27], "little") + 1
        height = int.from_bytes(data[27:30], "little") + 1
        orientation = orientation_of(_chunk(data, b"EXIF")) if flags & 0x08 else 1
        return Header(width, height, bool(flags & 0x10), orientation)
    raise HeaderError(f"damaged: a WebP with an unknown first chunk {kind!r}")


def _chunk(data: bytes, wanted: bytes) -> bytes:
    position = 12
    while position + 8 <= len(data):
        kind, length = unpack_from("<4sI", data, position)
        if kind == wanted:
            return data[position + 8 : position + 8 + length]
        position += 8 + length + (length & 1)
    return b""
