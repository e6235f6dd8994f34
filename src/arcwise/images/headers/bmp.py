"""BMP: the size of its rows says how long it must be."""

from __future__ import annotations

from struct import unpack_from

from arcwise.images.headers.header import Header, HeaderError

_PLAIN = (0, 3, 6)  # no compression; with colour masks


def read(data: bytes) -> Header:
    """The header of a BMP file that holds all its rows."""
    offset, header_size = unpack_from("<II", data, 10)
    if header_size == 12:
        width, height, _, bits = unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        width, height, _, bits, compression = unpack_from("<iiHHI", data, 18)
    height = abs(height)  # negative: rows from the top
    if width <= 0 or not height:
        raise HeaderError(f"damaged: a BMP of {width} x {height} pixels")
    if compression in _PLAIN:
        expected = offset + (width * bits + 31) // 32 * 4 * height
        if expected > len(data):
            raise HeaderError(f"cut short: a BMP with {len(data)} of its {expected} bytes")
    return Header(width, height)
