"""A file beside a large gallery, with its templates as they are in memory: it opens at once.

It is a copy and never the truth. The gallery names the snapshot that belongs to it by a random
token, and what was enrolled or changed since is read from the gallery itself. A snapshot that is
damaged, or of another gallery, is passed over. Its vectors and codes are mapped, not read: several
processes share them, and what one of them changes is its own.

Vectors of removed templates are in it until it is deleted, which every removal does.
"""

from __future__ import annotations

import json
import mmap
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arcwise.files import atomic_write

SUFFIX = "-snapshot"
"""What the name of a snapshot has more than that of its gallery, as SQLite's `-wal`."""

_MAGIC = b"ARCWSNP1"
_PAGE = mmap.ALLOCATIONGRANULARITY
_SPARE = 8  # room for an eighth more templates, which takes no space on the disk

Arrays = dict[str, NDArray[Any]]

GROWING = ("vectors", "templates", "owners", "qualities")
"""Arrays that have a row for each template, and get room for more."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What a snapshot holds.

    Attributes:
        about: what its writer says of it, a JSON object.
        arrays: by name; those that were written with room have it at their ends.
    """

    about: dict[str, Any]
    arrays: Arrays


def snapshot_path(gallery: Path) -> Path:
    """Return where the snapshot of a gallery is."""
    return gallery.with_name(gallery.name + SUFFIX)


def write_snapshot(path: Path, token: str, about: dict[str, Any], arrays: Arrays) -> None:
    """Write a snapshot that is there whole or not at all.

    Args:
        path: where to.
        token: that the gallery knows it by.
        about: a JSON object.
        arrays: by name.
    """
    places, end = {}, 0  # after the header
    for name, array in arrays.items():
        spare = array.nbytes // _SPARE if name in GROWING else 0
        places[name] = {
            "type": array.dtype.str,
            "shape": list(array.shape),
            "start": end,
            "room": array.nbytes + spare,
            "crc": zlib.crc32(_bytes(array)),
        }
        end = _aligned(end + array.nbytes + spare)
    header = json.dumps({"token": token, "about": about, "arrays": places}).encode()
    first = _aligned(len(_MAGIC) + 12 + len(header))
    with atomic_write(path) as unfinished, unfinished.open("wb") as file:
        file.write(_MAGIC + struct.pack("<QI", len(header), zlib.crc32(header)) + header)
        for name, array in arrays.items():
            file.seek(first + places[name]["start"])
            file.write(_bytes(array))
        file.truncate(first + end)


def read_snapshot(path: Path, token: str | None) -> Snapshot | None:
    """Return what a snapshot holds, every byte checked.

    Returns:
        It; None where there is none, or one of another gallery.

    Raises:
        ValueError: the file is not what was written.
    """
    try:
        file = path.open("rb")
    except OSError:
        return None
    with file:
        start = file.read(len(_MAGIC) + 12)
        if len(start) < len(_MAGIC) + 12 or not start.startswith(_MAGIC):
            raise ValueError("it is no snapshot")
        length, crc = struct.unpack("<QI", start[len(_MAGIC) :])
        size = path.stat().st_size
        header = file.read(length) if length <= size else b""
        if len(header) != length or zlib.crc32(header) != crc:
            raise ValueError("its beginning")
        described = json.loads(header)
        if described["token"] != token:
            return None
        arrays, first = {}, _aligned(len(start) + length)
        for name, place in described["arrays"].items():
            if first + place["start"] + place["room"] > size:
                raise ValueError("its end")
            arrays[name] = _mapped(path, first, place)
            used = int(np.prod(place["shape"])) * np.dtype(place["type"]).itemsize
            if zlib.crc32(_bytes(arrays[name])[:used]) != place["crc"]:
                raise ValueError(f"its {name}")
        return Snapshot(described["about"], arrays)


def _mapped(path: Path, first: int, place: dict[str, Any]) -> NDArray[Any]:
    """Return an array with all the room it has; what is written to it does not reach the file."""
    kind, (rows, *rest) = np.dtype(place["type"]), place["shape"]
    row = kind.itemsize * int(np.prod(rest))
    rows = place["room"] // row if row and rows else rows
    if not rows * row:
        return np.zeros((rows, *rest), kind)
    return np.memmap(path, kind, mode="c", offset=first + place["start"], shape=(rows, *rest))


def _bytes(array: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _aligned(offset: int) -> int:
    return -(-offset // _PAGE) * _PAGE
