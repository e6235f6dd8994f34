"""PNG: the chunks, one after another, each with its checksum, up to the end chunk."""

from __future__ import annotations

from struct import unpack_from
from zlib import crc32

from arcwise.images.headers.exif import orientation_of
from arcwise.images.headers.header import Header, HeaderError

_WITH_ALPHA = (4, 6)  # colour types: grey + alpha, RGB + alpha

_MOST_CHUNKS = 200_000  # a hostile file could hold millions of empty ones


def read(data: bytes) -> Header:
    """The header of a PNG file whose chunks are all there and undamaged."""
    if data[12:16] != b"IHDR":
        raise HeaderError("damaged: a PNG whose first chunk is not its header")
    width, height = unpack_from(">II", data, 16)
    alpha, orientation, pixels = data[25] in _WITH_ALPHA, 1, False
    position, view = 8, memoryview(data)
    for _ in range(_MOST_CHUNKS):
        length, kind = unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise HeaderError(f"cut short: a PNG that stops at byte {len(data)} of at least {end}")
        if crc32(view[position + 4 : end - 4]) != unpack_from(">I", data, end - 4)[0]:
            raise HeaderError(f"damaged: the checksum of a PNG chunk at byte {position} is wrong")
        if kind == b"tRNS":
            alpha = True
        elif kind == b"eXIf":
            orientation = orientation_of(data[position + 8 : end - 4])
        elif kind == b"IDAT":
            pixels = True
        elif kind == b"IEND":
            break
        position = end
        if position == len(data):
            raise HeaderError("cut short: a PNG without its end chunk")
    else:
        raise HeaderError("damaged: a PNG of endless chunks")
    if not pixels:
        raise HeaderError("damaged: a PNG without pixels")
    return Header(width, height, alpha, orientation)
