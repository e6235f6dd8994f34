"""PNM (PGM, PPM, PBM): three numbers in text, then the rows.

PGM and PPM are decoded here, whatever number they call white; OpenCV knows only 255 and 65535.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

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


def read_netpbm(data: bytes) -> Header:
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


_DECODED = re.compile(rb"P[2356]\s|P[2356]#")
_NUMBERS = re.compile(rb"[\d\s]*")
_DEEP = 65535


def is_netpbm(data: bytes) -> bool:
    """Whether a file is a PGM or PPM, plain or binary."""
    return _DECODED.match(data) is not None


def decode_netpbm(data: bytes) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB: each number times `255 / maximum`, rounded; plain and binary alike.

    Of a maximum of 65535 the upper byte is taken, as of every other image of 16 bits.

    Raises:
        HeaderError: numbers are missing, no numbers, or above the maximum.
    """
    found = announced(data)
    shape = (found.height, found.width, found.channels)
    count = found.height * found.width * found.channels
    numbers = _plain(data, found.start, count) if found.plain else _binary(data, found, count)
    highest = int(numbers.max())
    if highest > found.maximum:
        raise HeaderError(f"damaged: a PNM whose maximum is {found.maximum} holds {highest}")
    if found.maximum == _DEEP:
        levels = np.arange(_DEEP + 1) >> 8
    else:
        levels = np.floor(np.arange(found.maximum + 1) * 255.0 / found.maximum + 0.5)
    pixels = levels.astype(np.uint8)[numbers.reshape(shape)]
    return pixels if found.channels == 3 else pixels.repeat(3, axis=2)


def _plain(data: bytes, start: int, count: int) -> NDArray[np.int64]:
    """Numbers that are written out, with blanks and comments between."""
    text = _COMMENT.sub(b"", data[start:]) if data.find(b"#", start) >= 0 else data[start:]
    numbers = _NUMBERS.match(text)
    assert numbers is not None, "it may be empty"
    found = np.fromstring(numbers[0], np.int64, sep=" ")
    if len(found) >= count:
        return found[:count]
    odd = text[numbers.end() : numbers.end() + 1]
    if odd:
        raise HeaderError(f"damaged: a PNM with {odd!r} among its numbers")
    raise HeaderError(f"cut short: a PNM with {len(found):,} of its {count:,} numbers")


def _binary(data: bytes, found: Netpbm, count: int) -> NDArray[np.unsignedinteger]:
    """Bytes, or pairs of them with the upper one first."""
    kind = np.dtype(np.uint8 if found.maximum < 256 else ">u2")
    start = found.start
    spare = len(data) - start - count * kind.itemsize
    if spare == 1 and data[start - 1 : start + 1] == b"\r\n":  # one end of a line in two bytes
        start += 1
    return np.frombuffer(data, kind, count, start)
