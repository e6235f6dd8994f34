"""PGM and PPM → pixels, whatever number they call white; OpenCV knows only 255 and 65535."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from arcwise.images.headers.header import HeaderError
from arcwise.images.headers.pnm import Netpbm, announced

_GREY_OR_COLOUR = re.compile(rb"P[2356]\s|P[2356]#")
_COMMENT = re.compile(rb"#[^\r\n]*")
_NUMBERS = re.compile(rb"[\d\s]*")
_DEEP = 65535


def is_netpbm(data: bytes) -> bool:
    """Whether a file is a PGM or PPM, plain or binary."""
    return _GREY_OR_COLOUR.match(data) is not None


def decode_netpbm(data: bytes) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB: each number times `255 / maximum`, rounded; plain and binary alike.

    Of a maximum of 65535 the upper byte is taken, as of every other picture of 16 bits.

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
