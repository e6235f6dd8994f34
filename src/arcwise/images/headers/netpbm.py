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
    """Return the numbers before the rows.

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
    """Return the header of a PNM file; refuse a binary one that lacks rows."""
    netpbm = announced(data)
    if netpbm.plain:
        body = 0  # numbers in text: who decodes them counts them
    elif data[1:2] == b"4":
        body = (netpbm.width + 7) // 8 * netpbm.height
    else:
        depth = 2 if netpbm.maximum > 255 else 1
        body = netpbm.width * netpbm.height * netpbm.channels * depth
    if netpbm.start + body > len(data):
        raise HeaderError(f"cut short: a PNM with {len(data)} of its {netpbm.start + body} bytes")
    return Header(netpbm.width, netpbm.height)


_DECODED = re.compile(rb"P[2356]\s|P[2356]#")
_NUMBERS = re.compile(rb"[\d\s]*")
_DEEP = 65535


def is_netpbm(data: bytes) -> bool:
    """Return whether a file is a PGM or PPM, plain or binary."""
    return _DECODED.match(data) is not None


def decode_netpbm(data: bytes) -> NDArray[np.uint8]:
    """Return (H, W, 3) uint8 RGB: each number times `255 / maximum`, rounded.

    Of a maximum of 65535 the upper byte is taken, as of every other image of 16 bits.

    Raises:
        HeaderError: numbers are missing, no numbers, or above the maximum.
    """
    netpbm = announced(data)
    shape = (netpbm.height, netpbm.width, netpbm.channels)
    count = netpbm.height * netpbm.width * netpbm.channels
    numbers = _plain(data, netpbm.start, count) if netpbm.plain else _binary(data, netpbm, count)
    highest = int(numbers.max())
    if highest > netpbm.maximum:
        raise HeaderError(f"damaged: a PNM whose maximum is {netpbm.maximum} holds {highest}")
    if netpbm.maximum == _DEEP:
        levels = np.arange(_DEEP + 1) >> 8
    else:
        levels = np.floor(np.arange(netpbm.maximum + 1) * 255.0 / netpbm.maximum + 0.5)
    pixels = levels.astype(np.uint8)[numbers.reshape(shape)]
    return pixels if netpbm.channels == 3 else pixels.repeat(3, axis=2)


def _plain(data: bytes, start: int, count: int) -> NDArray[np.int64]:
    """Return numbers that are written out, with blanks and comments between."""
    text = _COMMENT.sub(b"", data[start:]) if data.find(b"#", start) >= 0 else data[start:]
    numbers = _NUMBERS.match(text)
    assert numbers is not None, "it may be empty"
    values = np.fromstring(numbers[0], np.int64, sep=" ")
    if len(values) >= count:
        return values[:count]
    odd = text[numbers.end() : numbers.end() + 1]
    if odd:
        raise HeaderError(f"damaged: a PNM with {odd!r} among its numbers")
    raise HeaderError(f"cut short: a PNM with {len(values):,} of its {count:,} numbers")


def _binary(data: bytes, netpbm: Netpbm, count: int) -> NDArray[np.unsignedinteger]:
    """Return bytes, or pairs of them with the upper one first."""
    kind = np.dtype(np.uint8 if netpbm.maximum < 256 else ">u2")
    start = netpbm.start
    spare = len(data) - start - count * kind.itemsize
    if spare == 1 and data[start - 1 : start + 1] == b"\r\n":  # one end of a line in two bytes
        start += 1
    return np.frombuffer(data, kind, count, start)
