"""PNM (PGM, PPM, PBM): three numbers in text, then the rows."""

from __future__ import annotations

import re

from arcwise.images.headers.header import Header, HeaderError

_FIELD = rb"(?:\s|#[^\n]*\n)+(\d{1,9})"
_BITMAP = re.compile(rb"P[14]" + _FIELD * 2 + rb"\s")
_GREY_OR_COLOUR = re.compile(rb"P[2356]" + _FIELD * 3 + rb"\s")


def read(data: bytes) -> Header:
    """The header of a PNM file; of a binary one, whether all rows are there."""
    kind = data[1:2]
    match = (_BITMAP if kind in b"14" else _GREY_OR_COLOUR).match(data[:4096])
    if match is None:
        raise HeaderError("damaged or cut short: a PNM without width, height and maximum")
    width, height, *maximum = (int(field) for field in match.groups())
    if kind == b"4":
        body = (width + 7) // 8 * height
    elif kind in b"56":
        body = width * height * (3 if kind == b"6" else 1) * (2 if maximum[0] > 255 else 1)
    else:
        body = 0  # numbers in text: the decoder counts them
    if match.end() + body > len(data):
        raise HeaderError(f"cut short: a PNM with {len(data)} of its {match.end() + body} bytes")
    return Header(width, height)
