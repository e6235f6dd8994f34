"""What a picture file says of itself, read before a single pixel is decoded.

A decoder trusts the file: it allocates what the header asks for, and gives back half a picture
when the file stops half-way. Reading the header first costs microseconds and answers both.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from arcwise.images.headers import bmp, gif, jpeg, png, pnm, tiff, webp
from arcwise.images.headers.header import Header, HeaderError

__all__ = ["ACCEPTED", "Header", "HeaderError", "read_header"]

ACCEPTED = "JPEG, PNG, WebP, BMP, GIF, TIFF or PNM"

_FOREIGN = {
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"mif1": "HEIF",
    b"avif": "AVIF",
    b"avis": "AVIF",
}


def read_header(data: bytes) -> Header:
    """The header of a complete picture file.

    Raises:
        HeaderError: not a picture, cut short, or of a kind that cannot be read.
    """
    try:
        return _reader(data)(data)
    except (IndexError, struct.error):
        raise HeaderError("cut short inside its header") from None


def _reader(data: bytes) -> Callable[[bytes], Header]:
    if data[:3] == b"\xff\xd8\xff":
        return jpeg.read
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return png.read
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return webp.read
    if data[:2] == b"BM":
        return bmp.read
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return gif.read
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return tiff.read
    if data[:1] == b"P" and data[1:2] in b"123456" and data[2:3].isspace():
        return pnm.read
    raise HeaderError(_not_a_picture(data))


def _not_a_picture(data: bytes) -> str:
    if data[4:8] == b"ftyp" and data[8:12] in _FOREIGN:
        return f"{_FOREIGN[data[8:12]]}, which cannot be read here; convert it to JPEG or PNG"
    head = data[:64]
    if not any(head):
        return f"not a picture but zeros (an interrupted download?); {ACCEPTED} expected"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        return f"not a picture but text ({head[:24].decode()!r}…); {ACCEPTED} expected"
    return f"not a picture (it begins with {head[:4].hex(' ')}); {ACCEPTED} expected"
