"""GIF: blocks up to the end of the first frame, the only one that is used."""

from __future__ import annotations

from struct import unpack_from

from arcwise.images.headers.header import Header, HeaderError

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_GRAPHIC_CONTROL = 0xF9


def read(data: bytes) -> Header:
    """The header of a GIF file whose first frame is whole."""
    width, height, flags = unpack_from("<HHB", data, 6)
    position = 13 + _palette(flags)
    alpha = False
    while True:
        kind = data[position]
        if kind == _EXTENSION:
            if data[position + 1] == _GRAPHIC_CONTROL:
                alpha = bool(data[position + 3] & 1)
            position = _after_blocks(data, position + 2)
        elif kind == _IMAGE:
            left, top, columns, rows, flags = unpack_from("<HHHHB", data, position + 1)
            if left + columns > width or top + rows > height:
                raise HeaderError("damaged: a GIF whose first frame is larger than its screen")
            _after_blocks(data, position + 11 + _palette(flags))
            return Header(width, height, alpha)
        elif kind == _TRAILER:
            raise HeaderError("a GIF without a picture")
        else:
            raise HeaderError(f"damaged: a GIF with an unknown block at byte {position}")


def _palette(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _after_blocks(data: bytes, position: int) -> int:
    """The position behind a chain of sub-blocks, which ends in an empty one."""
    while length := _byte(data, position):
        position += 1 + length
    return position + 1


def _byte(data: bytes, position: int) -> int:
    if position >= len(data):
        raise HeaderError("cut short: a GIF that stops inside its first frame")
    return data[position]
