"""The few facts that decoding needs to know beforehand."""

from __future__ import annotations

import struct
from typing import NamedTuple


class HeaderError(ValueError):
    """Why a file is not a whole image; the caller knows its name."""


class Header(NamedTuple):  # a tuple, not a dataclass: one is made for every image decoded
    """What the file announces; sizes as stored, before any rotation."""

    width: int
    height: int
    alpha: bool = False
    orientation: int = 1
    premultiplied: bool = False


_ORIENTATION = 0x0112


def orientation_of(block: bytes) -> int:
    """Return the EXIF orientation, 1 to 8; 1 (upright) where the block has none or is damaged."""
    try:
        block = block.removeprefix(b"Exif\0\0")
        order = {b"II": "<", b"MM": ">"}[block[:2]]
        (start,) = struct.unpack_from(order + "I", block, 4)
        (count,) = struct.unpack_from(order + "H", block, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(order + "HHIH", block, entry)
            if tag == _ORIENTATION:
                return value if 1 <= value <= 8 else 1
    except (KeyError, struct.error):
        pass
    return 1
