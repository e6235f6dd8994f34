"""PNM (PGM, PPM, PBM): three numbers in text, then the rows."""

from __future__ import annotations

import re
from typing import NamedTuple

from arcwise.images.headers.header import Header, HeaderError

_FIELD = rb"(?:\s|#[^\r\n]*[\r\n])+(\d{1,9})"
_BITMAP = re.compile(rb"P[14]" + _FIELD * 2)
_GREY_OR_COLOUR = re.compile(rb"P[2356]" + _FIELD * 3)
_COMMENT = re.compile(rb"#[^\r\n]*")
_HIGHEST = 65535
_LONGEST = 2**16  # bytes of a header, its comments included


class Netpbm(NamedTuple):
    """What a PNM file announces.

    Attributes:
        plain: whether its numbers are text.
        channels: 1 or 3.
        maximum: the number that is white; 1 for a bitmap.
        start: where its rows begin.
    """

    width: int
    height: int
    plain: bool
    channels: int
    maximum: int
    start: int


def announced(data: bytes) -> Netpbm:
    """The numbers before the rows.

    Raises:
        HeaderError: they are missing, or cannot be.
    """
    kind = data[1:2]
    match = (_BITMAP if kind in b"14" else _GREY_OR_COLOUR).match(data[:_LONGEST])
    if match is None:
        raise HeaderError("damaged or cut short: a PNM without width, height and maximum")
    width, height, *maximum = (int(field) for field in match.groups())
    end = match.end()
    if comment := _COMMENT.match(data, end):  # the byte that ends it is the one before the rows
        end = comment.end()
    if not data[end : end + 1].isspace():
        raise HeaderError("damaged or cut short: a PNM without a blank before its rows")
    if not width or not height:
        raise HeaderError(f"damaged: a PNM of {width} x {height} pixels")
    if maximum and not 1 <= maximum[0] <= _HIGHEST:
        raise HeaderError(f"damaged: a PNM whose maximum is {maximum[0]}; expected 1 to {_HIGHEST}")
    channels = 3 if kind in b"36" else 1
    return Netpbm(width, height, kind in b"123", channels, (*maximum, 1)[0], end + 1)


def read(data: bytes) -> Header:
    """The header of a PNM file; of a binary one, whether all rows are there."""
    found = announced(data)
    if found.plain:
        body = 0  # numbers in text: who decodes them counts them
    elif data[1:2] == b"4":
        body = (found.width + 7) // 8 * found.height
    else:
        depth = 2 if found.maximum > 255 else 1
        body = found.width * found.height * found.channels * depth
    if found.start + body > len(data):
        raise HeaderError(f"cut short: a PNM with {len(data)} of its {found.start + body} bytes")
    return Header(found.width, found.height)
