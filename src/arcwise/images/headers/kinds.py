"""Which kind of image a file is, and its header, read before a single pixel is decoded.

A decoder trusts the file: it allocates what the header asks for, and gives back half an image
when the file stops half-way. Reading the header first costs microseconds and answers both.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from arcwise.images.headers.bitmaps import read_bmp, read_tiff
from arcwise.images.headers.header import Header, HeaderError
from arcwise.images.headers.heif import heif_kind, read_heif
from arcwise.images.headers.netpbm import read_netpbm
from arcwise.images.headers.segments import read_gif, read_jpeg, read_png, read_webp

_READERS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], Header]], ...] = (
    (re.compile(rb"\xff\xd8\xff"), read_jpeg),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), read_png),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), read_webp),
    (re.compile(rb"BM"), read_bmp),
    (re.compile(rb"GIF8[79]a"), read_gif),
    (re.compile(rb"II[*+]\0(?!....CR)|MM\0[*+]", re.DOTALL), read_tiff),
    (re.compile(rb"P[1-6][\s#]"), read_netpbm),
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
"""Endings of images of kinds that are not read, and what these are called."""

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
    """Return the header of a complete image file.

    Raises:
        HeaderError: not an image, cut short, or of a kind that cannot be read.
    """
    try:
        for magic, read in _READERS:
            if magic.match(data):
                return read(data)
        if heif_kind(data):
            return read_heif(data)
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
        return f"not an image but zeros (an interrupted download?); {ACCEPTED} expected"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        return f"not an image but text ({head[:24].decode()!r}…); {ACCEPTED} expected"
    return f"not an image (it begins with {head[:4].hex(' ')}); {ACCEPTED} expected"
