"""What a picture file says of itself, read before a single pixel is decoded.

A decoder trusts the file: it allocates what the header asks for, and gives back half a picture
when the file stops half-way. Reading the header first costs microseconds and answers both.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from arcwise.images.headers import bmp, gif, heif, jpeg, png, pnm, tiff, webp
from arcwise.images.headers.header import Header, HeaderError

__all__ = ["ACCEPTED", "RAW", "UNREAD", "Header", "HeaderError", "read_header"]

_READERS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], Header]], ...] = (
    (re.compile(rb"\xff\xd8\xff"), jpeg.read),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), png.read),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), webp.read),
    (re.compile(rb"BM"), bmp.read),
    (re.compile(rb"GIF8[79]a"), gif.read),
    (re.compile(rb"II[*+]\0(?!....CR)|MM\0[*+]", re.DOTALL), tiff.read),
    (re.compile(rb"P[1-6][\s#]"), pnm.read),
)

ACCEPTED = "JPEG, PNG, WebP, BMP, GIF, TIFF or PNM"

RAW = "camera raw"
UNREAD = {
    f".{ending}": kind
    for kind, endings in {
        RAW: "cr2 cr3 crw nef nrw arw sr2 srf dng orf rw2 raf pef srw x3f erf mef mos iiq 3fr",
        "JPEG XL": "jxl",
        "JPEG 2000": "jp2 j2k jpx jpf j2c",
        "Photoshop": "psd psb",
        "OpenEXR": "exr",
        "Radiance HDR": "hdr",
        "SVG": "svg svgz",
    }.items()
    for ending in endings.split()
}
"""Endings of pictures of kinds that are not read, and what these are called."""

_FOREIGN = (
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "), "JPEG XL"),
    (re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"), "JPEG 2000"),
    (re.compile(rb"....ftypcrx |II\*\0....CR|FUJIFILMCCD-RAW|IIR[OS]|IIU\0|FOVb", re.DOTALL), RAW),
    (re.compile(rb"....ftyp", re.DOTALL), "a film (MP4 or MOV)"),
    (re.compile(rb"8BPS"), "Photoshop"),
    (re.compile(rb"\x76\x2f\x31\x01"), "OpenEXR"),
    (re.compile(rb"#\?RADIANCE"), "Radiance HDR"),
    (re.compile(rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<svg", re.DOTALL), "SVG"),
    (re.compile(rb"%PDF"), "PDF"),
    (re.compile(rb"\x00\x00\x01\x00"), "an icon (ICO)"),
)

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
        if heif.kind(data):
            return heif.read(data)
    except (IndexError, struct.error):
        raise HeaderError("cut short inside its header") from None
    raise HeaderError(_not_a_picture(data))


def _not_a_picture(data: bytes) -> str:
    foreign = next((kind for magic, kind in _FOREIGN if magic.match(data)), None)
    if foreign:
        return f"{foreign}, which cannot be read here; convert it to JPEG or PNG"
    if kind := _OF_NUMBERS.match(data):
        return f"{_NETPBM[kind[1]]}; save it as PNG"
    head = data[:64]
    if not any(head):
        return f"not a picture but zeros (an interrupted download?); {ACCEPTED} expected"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        return f"not a picture but text ({head[:24].decode()!r}…); {ACCEPTED} expected"
    return f"not a picture (it begins with {head[:4].hex(' ')}); {ACCEPTED} expected"
