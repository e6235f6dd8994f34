"""What a picture file says of itself, read before a single pixel is decoded.

A decoder trusts the file: it allocates what the header asks for, and gives back half a picture
when the file stops half-way. Reading the header first costs microseconds and answers both.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from arcwise.images.headers import bmp, gif, jpeg, png, pnm, tiff, webp
from arcwise.images.headers.header import Header, HeaderError

__all__ = ["ACCEPTED", "Header", "HeaderError", "read_header"]

_READERS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], Header]], ...] = (
    (re.compile(rb"\xff\xd8\xff"), jpeg.read),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), png.read),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), webp.read),
    (re.compile(rb"BM"), bmp.read),
    (re.compile(rb"GIF8[79]a"), gif.read),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), tiff.read),
    (re.compile(rb"P[1-6][\s#]"), pnm.read),
)

ACCEPTED = "JPEG, PNG, WebP, BMP, GIF, TIFF or PNM"

_FOREIGN = {
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"mif1": "HEIF",
    b"avif": "AVIF",
    b"avis": "AVIF",
}

_OF_NUMBERS = re.compile(rb"P([7Ff])\s")
_NETPBM = {
    b"7": "a PAM, which cannot be read here",
    b"F": "a PFM of floating-point numbers, which cannot be read here",
    b"f": "a PFM of floating-point numbers, which cannot be read here",
}


def read_header(data: bytes) -> Header:
    """The header of a complete picture file.

    Raises:
        HeaderError: not a picture, cut short, or of a kind that cannot be read.
    """
    try:
        for magic, read in _READERS:
            if magic.match(data):
                return read(data)
    except (IndexError, struct.error):
        raise HeaderError("cut short inside its header") from None
    raise HeaderError(_not_a_picture(data))


def _not_a_picture(data: bytes) -> str:
    if data[4:8] == b"ftyp" and data[8:12] in _FOREIGN:
        return f"{_FOREIGN[data[8:12]]}, which cannot be read here; convert it to JPEG or PNG"
    if kind := _OF_NUMBERS.match(data):
        return f"{_NETPBM[kind[1]]}; save it as PNG"
    head = data[:64]
    if not any(head):
        return f"not a picture but zeros (an interrupted download?); {ACCEPTED} expected"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        return f"not a picture but text ({head[:24].decode()!r}…); {ACCEPTED} expected"
    return f"not a picture (it begins with {head[:4].hex(' ')}); {ACCEPTED} expected"
