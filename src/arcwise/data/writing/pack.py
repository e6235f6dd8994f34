"""Images in pairs → a `.bin` verification pack."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow.compute

from arcwise.data.containers.positioned import PositionedFile
from arcwise.data.formats.pairs import row_names as pair_names
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_HEAD = struct.Struct("<qq")  # row, length of its image
_UNUSED = -1  # as length: of an image in no pair
_AT_ONCE = 1000  # pickle's own number of items between two marks
_BUFFER = 2**20


class PackWriter:
    """`([image, …], [same, …])` for `pickle.load(file, encoding="bytes")`, two images a pair.

    Pairs go in their order, or fold by fold where they have folds, since readers of packs take
    folds to be contiguous. Images come in the order of rows, so those that pairs need wait in a
    file of the work folder; one that occurs in several pairs is written once and referred to. A
    pack has no place for anything else: identities and other columns are not in it.

    Attributes:
        left_out: number of pairs left out because one of their images was not added; set by
            `finish`.
    """

    def __init__(self, folder: Path, name: str, manifest: Manifest) -> None:
        """Prepare a pack.

        Raises:
            ArcwiseError: the manifest states no pairs, or not of single images.
        """
        self.left_out = 0
        self.notes: tuple[str, ...] = ()
        self._folder, self._name = folder, name
        self._pairs, self._same = _pairs(manifest, name)
        self._used = np.zeros(len(manifest), bool)
        self._used[self._pairs] = True
        self._starts = np.full(len(manifest), _UNUSED, np.int64)
        self._lengths = np.full(len(manifest), _UNUSED, np.int64)
        self._end = 0
        self._file: BinaryIO | None = None

    def resume(self) -> int:
        """Return the row after the last whole one in the file of waiting images."""
        row = _UNUSED
        if self._waiting.exists():
            file = PositionedFile(str(self._waiting))
            while len(head := file.read_at(self._end, _HEAD.size)) == _HEAD.size:
                next_row, length = _HEAD.unpack(head)
                end = self._end + _HEAD.size + max(length, 0)
                if not row < next_row < len(self._used) or length < _UNUSED or end > file.size:
                    break
                row = next_row
                self._noted(row, length)
            os.truncate(self._waiting, self._end)
        return row + 1

    def add(self, row: int, data: bytes) -> None:
        """Keep the image of one row, if it is in a pair."""
        if self._file is None:
            self._file = open(self._waiting, "ab", _BUFFER)  # noqa: SIM115 - closed by `close`
        needed = bool(self._used[row])
        length = len(data) if needed else _UNUSED
        self._file.write(_HEAD.pack(row, length))
        self._file.write(data if needed else b"")
        self._noted(row, length)

    def finish(self, rows: Sequence[int]) -> list[str]:
        """Write the pack, without pairs that have an image outside the rows."""
        self.close()
        added = np.zeros(len(self._used), bool)
        added[np.asarray(rows, np.int64)] = True
        whole = (added & (self._lengths != _UNUSED))[self._pairs].all(axis=1)
        self.left_out = int((~whole).sum())
        images = len(np.unique(self._pairs[whole]))
        self.notes = (
            f"{images:,} images in {int(whole.sum()):,} pairs; images in no pair, "
            "identities, folds and other columns have no place in a pack",
        )
        if self.left_out:
            self.notes += (f"{self.left_out:,} pairs left out: an image cannot be read",)
        if not whole.any():
            raise ArcwiseError(
                f"{self._name}: both images of none of {len(whole):,} pairs can be read"
            )
        with open(self._folder / self._name, "wb", buffering=_BUFFER) as file:
            self._write(file, self._pairs[whole].ravel(), self._same[whole])
        return [self._name]

    def close(self) -> None:
        """Close the file of waiting images."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def _waiting(self) -> Path:
        return self._folder / f"{self._name}.images"

    def _noted(self, row: int, length: int) -> None:
        self._starts[row], self._lengths[row] = self._end + _HEAD.size, length
        self._end += _HEAD.size + max(length, 0)

    def _write(self, file: BinaryIO, rows: np.ndarray, same: np.ndarray) -> None:
        """Write pickle's protocol 3, whose instructions are listed in CPython's pickletools.py."""
        images = PositionedFile(str(self._waiting))
        uses = np.bincount(rows, minlength=len(self._used))
        written: dict[int, int] = {}  # row with several uses → its place in the memo
        file.write(b"\x80\x03]")
        for first in range(0, len(rows), _AT_ONCE):
            file.write(b"(")
            for row in rows[first : first + _AT_ONCE].tolist():
                if row in written:
                    file.write(b"j" + struct.pack("<I", written[row]))
                    continue
                data = images.read_at(int(self._starts[row]), int(self._lengths[row]))
                file.write(b"B" + struct.pack("<I", len(data)))
                file.write(data)
                if uses[row] > 1:
                    file.write(b"r" + struct.pack("<I", len(written)))
                    written[row] = len(written)
            file.write(b"e")
        file.write(b"](" + np.where(same, b"\x88", b"\x89").tobytes() + b"e\x86.")


def _pairs(manifest: Manifest, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (P, 2) rows and (P,) bool, in the order of the pack."""
    if manifest.pairs is None or not manifest.pairs.num_rows:
        raise ArcwiseError(
            f"{name}: a verification pack holds pairs, and {manifest.name} states none; make some "
            "with 'arcwise data pairs', or name a list with --pairs"
        )
    names_of_rows, sides = pair_names.row_names(manifest), []
    for side in "ab":
        names = pair_names.flattened(manifest.pairs[side])
        rows, several = pair_names.find_rows(names, names_of_rows)
        for pair in np.flatnonzero((rows < 0) | several)[:1]:
            problem = "several images" if several[pair] else "no image"
            raise ArcwiseError(
                f"{name}: pair {pair + 1}: {names[pair].as_py()!r} is {problem} of "
                f"{manifest.name}; a verification pack holds pairs of images"
            )
        sides.append(rows)
    pairs = np.stack(sides, axis=1)
    same = manifest.pairs["same"].to_numpy()
    if "fold" not in manifest.pairs.column_names:
        return pairs, same
    folds = manifest.pairs["fold"].combine_chunks().dictionary_encode().indices
    order = np.argsort(folds.to_numpy(zero_copy_only=False), kind="stable")
    return pairs[order], same[order]
