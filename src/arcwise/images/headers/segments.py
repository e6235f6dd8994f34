"""JPEG, PNG, GIF and WebP: files of segments, read one after another to their end."""

from __future__ import annotations

import re
from struct import unpack_from
from zlib import crc32

from arcwise.images.headers.header import Header, HeaderError, orientation_of

_JPEG_END = b"\xff\xd9"
_JPEG_PADDING = re.compile(rb"\xff+")
_JPEG_SCAN = 0xDA
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

_MOST_SEGMENTS = 10_000  # a hostile file could hold millions of empty ones


def read_jpeg(data: bytes) -> Header:
    """Return the header of a JPEG file whose data reach its end marker.

    Segments are skipped by their length, so the end marker of a thumbnail inside EXIF is not
    taken for the image's. Inside a scan a 0xff byte is always escaped, so an end marker found
    behind its begin is a real one; it is looked for from the back, where it usually is.
    """
    position, size = 2, None
    for _ in range(_MOST_SEGMENTS):
        if data[position] != 0xFF:
            raise HeaderError("damaged: a JPEG segment does not begin where it should")
        marker = data[position + 1]
        if marker == 0xFF:
            padding = _JPEG_PADDING.match(data, position)
            assert padding is not None
            position = padding.end() - 1
            marker = data[position + 1]
        if marker == _JPEG_END[1]:
            raise HeaderError("damaged: a JPEG that ends before its image begins")
        if marker in _JPEG_FRAMES:
            size = unpack_from(">HH", data, position + 5)
        elif marker == _JPEG_SCAN:
            break
        position += 2 + unpack_from(">H", data, position + 2)[0]
    else:
        raise HeaderError("damaged: a JPEG of endless segments")
    if size is None:
        raise HeaderError("damaged: a JPEG without a frame header")
    if data.rfind(_JPEG_END, position) < 0:
        raise HeaderError("cut short: a JPEG without its end marker")
    return Header(width=size[1], height=size[0])


_PNG_WITH_ALPHA = (4, 6)  # colour types: grey + alpha, RGB + alpha

_MOST_CHUNKS = 200_000  # a hostile file could hold millions of empty ones


def read_png(data: bytes) -> Header:
    """Return the header of a PNG file whose chunks are all there and undamaged."""
    if data[12:16] != b"IHDR":
        raise HeaderError("damaged: a PNG whose first chunk is not its header")
    width, height = unpack_from(">II", data, 16)
    alpha, orientation, pixels = data[25] in _PNG_WITH_ALPHA, 1, False
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


_GIF_EXTENSION, _GIF_IMAGE, _GIF_TRAILER = 0x21, 0x2C, 0x3B
_GIF_CONTROL = 0xF9


def read_gif(data: bytes) -> Header:
    """Return the header of a GIF file whose first frame is whole."""
    width, height, flags = unpack_from("<HHB", data, 6)
    position = 13 + _gif_palette(flags)
    alpha = False
    while True:
        kind = data[position]
        if kind == _GIF_EXTENSION:
            if data[position + 1] == _GIF_CONTROL:
                alpha = bool(data[position + 3] & 1)
            position = _after_gif_blocks(data, position + 2)
        elif kind == _GIF_IMAGE:
            left, top, columns, rows, flags = unpack_from("<HHHHB", data, position + 1)
            if left + columns > width or top + rows > height:
                raise HeaderError("damaged: a GIF whose first frame is larger than its screen")
            _after_gif_blocks(data, position + 11 + _gif_palette(flags))
            return Header(width, height, alpha)
        elif kind == _GIF_TRAILER:
            raise HeaderError("a GIF without an image")
        else:
            raise HeaderError(f"damaged: a GIF with an unknown block at byte {position}")


def _gif_palette(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_gif_blocks(data: bytes, position: int) -> int:
    """Return the position behind a chain of sub-blocks, which ends in an empty one."""
    while length := _gif_byte(data, position):
        position += 1 + length
    return position + 1


def _gif_byte(data: bytes, position: int) -> int:
    if position >= len(data):
        raise HeaderError("cut short: a GIF that stops inside its first frame")
    return data[position]


def read_webp(data: bytes) -> Header:
    """Return the header of a WebP file that is as long as it says (first frame, when it moves)."""
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
        orientation = orientation_of(_webp_chunk(data, b"EXIF")) if flags & 0x08 else 1
        return Header(width, height, bool(flags & 0x10), orientation)
    raise HeaderError(f"damaged: a WebP with an unknown first chunk {kind!r}")


def _webp_chunk(data: bytes, name: bytes) -> bytes:
    position = 12
    while position + 8 <= len(data):
        kind, length = unpack_from("<4sI", data, position)
        if kind == name:
            return data[position + 8 : position + 8 + length]
        position += 8 + length + (length & 1)
    return b""
