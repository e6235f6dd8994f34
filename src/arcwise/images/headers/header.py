"""The few facts decoding needs to know beforehand."""

from __future__ import annotations

from typing import NamedTuple


class HeaderError(ValueError):
    """Why a file is not a whole picture; the caller knows its name."""


class Header(NamedTuple):  # a tuple, not a dataclass: one is made for every picture decoded
    """What the file announces; sizes as stored, before any rotation."""

    width: int
    height: int
    alpha: bool = False
    orientation: int = 1
    premultiplied: bool = False
