"""A `.bin` verification pack: the images of pairs, by their position; pair i is 2i and 2i + 1."""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arcwise.data.containers.pack.pickled import follow
from arcwise.data.containers.pack.stand_ins import Array, Bytes, Text, decoded
from arcwise.data.containers.positioned import PositionedFile
from arcwise.errors import ArcwiseError, ImageError

_AS_IT_IS = -1  # the size of an image that states none


class PackContainer:
    """A pack that is read in place; of its images only the places are kept.

    Attributes:
        same: (N,) bool, whether the two images of each pair show one identity.
    """

    def __init__(self, path: str) -> None:
        self._name = Path(path).name
        self._file = PositionedFile(path)
        with open(path, "rb") as file:
            if not os.fstat(file.fileno()).st_size:
                raise ArcwiseError(f"{path}: empty; expected a verification pack")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                images, flags = _parts(follow(data, path), path)
                self.same = _flags(flags, data, path)
        if len(images) != 2 * len(self.same) or not len(images):
            raise ArcwiseError(
                f"{path}: {len(images):,} images and {len(self.same):,} flags; expected two "
                "images for each flag"
            )
        places = (_place(one, f"{path}: image {row}") for row, one in enumerate(images))
        self._places = np.fromiter(places, np.dtype((np.int64, 4)), len(images))

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, member: str) -> bool:
        return self._row(member) is not None

    def read(self, member: str, ref: str) -> bytes:
        """Return the bytes of the image at a position."""
        row = self._row(member)
        if row is None:
            raise ImageError(
                ref, f"{self._name} has no image {member!r}; expected 0 to {len(self) - 1}"
            )
        start, length, coding, size = self._places[row].tolist()
        data = self._file.read_at(start, length)
        if len(data) != length:
            raise ImageError(ref, f"{self._name} was cut off since it was opened")
        try:
            data = decoded(data, coding)
        except ValueError:
            raise ImageError(
                ref, "damaged: its bytes are not written as a pickle has them"
            ) from None
        if size not in (_AS_IT_IS, len(data)):
            raise ImageError(ref, f"damaged: {len(data):,} bytes where {size:,} are stated")
        return data

    def _row(self, member: str) -> int | None:
        row = int(member) if member.isdecimal() and member.isascii() and len(member) < 12 else -1
        return row if 0 <= row < len(self) and member == str(row) else None


open_container = PackContainer


def _parts(pack: Any, path: str) -> tuple[list[Any] | tuple[Any, ...], Any]:
    """Return the images, not checked yet, and the flags."""
    if not isinstance(pack, (list, tuple)) or len(pack) != 2:
        raise ArcwiseError(f"{path}: no verification pack; expected a list of images and of flags")
    images, flags = pack
    if not isinstance(images, (list, tuple)):
        raise ArcwiseError(f"{path}: no verification pack; expected its images as a list")
    return images, flags


def _flags(flags: Any, data: mmap.mmap, path: str) -> NDArray[np.bool_]:
    if isinstance(flags, Array) and flags.data is not None and flags.kind == "b1":
        flags = _array(flags.data, data)
    if not isinstance(flags, (list, tuple)):
        raise ArcwiseError(f"{path}: no verification pack; expected its flags as a list")
    for row, flag in enumerate(flags):
        if type(flag) not in (bool, int) or flag not in (0, 1):
            raise ArcwiseError(f"{path}: flag {row} is {_shown(flag)}; expected true or false")
    return np.array(flags, bool)


def _array(place: Bytes, data: mmap.mmap) -> list[int] | None:
    try:
        return list(decoded(data[place.start : place.start + place.length], place.coding))
    except ValueError:
        return None


def _place(image: Any, title: str) -> tuple[int, int, int, int]:
    """Return the start of an image's bytes, their number, their coding, and the number stated."""
    size = _AS_IT_IS
    if isinstance(image, Array) and image.data is not None and image.kind == "u1":
        image, size = image.data, image.size
    if not isinstance(image, Bytes):
        raise ArcwiseError(f"{title} is {_shown(image)}; expected the bytes of an image file")
    return image.start, image.length, image.coding, size


def _shown(value: Any) -> str:
    if isinstance(value, int):
        return str(value)
    kinds = {Array: "an array of something else", Text: "text", type(None): "nothing"}
    return kinds.get(type(value), f"a {type(value).__name__.lower()}")
