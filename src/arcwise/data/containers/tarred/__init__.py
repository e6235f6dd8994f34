"""A tar file: images by the names of its members, read in place."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from arcwise.data.containers.member_names import name_spellings
from arcwise.data.containers.positioned import PositionedFile, buffered
from arcwise.data.containers.tarred import offset_table as tar_index
from arcwise.data.containers.tarred.tar_headers import BLOCK, Lost, Member, Read, member_at, scan
from arcwise.errors import ArcwiseError, ImageError

MAX_BYTES = 2**30
"""An image of more is refused."""

_TO_SCAN = 2**14  # bytes read at once where payloads are passed over
_TO_READ = 2**22


class TarContainer:
    """A tar archive whose members are read at their positions.

    Positions come from the offset table beside it where that fits, otherwise from one pass over
    the headers. Eight bytes a member: half the hash of its name, and its block; the name is
    compared with the header when the member is read.
    """

    def __init__(self, path: str) -> None:
        self._name = Path(path).name
        self._file = PositionedFile(path)
        try:
            hashes, blocks = _gathered(tar_index.member_places(path))
        except tar_index.Unfit:
            hashes, blocks = _gathered(_scanned(path, self._file))
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._blocks = hashes[order], blocks[order]

    def __contains__(self, member: str) -> bool:
        return any(
            entry is None or entry.name == name
            for name in name_spellings(member)
            for entry in map(self._at, self._places(name))
        )

    def read(self, member: str, ref: str) -> bytes:
        """Return the bytes of one member; of several with one name, the last counts."""
        reason = f"{self._name} has no member {member!r}"
        for name in name_spellings(member):
            for place in reversed(self._places(name)):
                entry = self._at(place)
                if entry is None:
                    reason = f"{self._name}: the header of {name!r} at byte {place:,} is damaged"
                elif entry.name == name:
                    return payload(self._file.read_at, entry, self._file.size, ref)
        raise ImageError(ref, reason)

    def _at(self, place: int) -> Member | None:
        return member_at(self._file.read_at, place, self._file.size)

    def _places(self, member: str) -> list[int]:
        """Return the positions of headers that may have this name; a few share its hash only."""
        key = np.uint32(_hash(member))
        first = int(self._hashes.searchsorted(key))
        last = first
        while last < len(self._hashes) and self._hashes[last] == key:  # nearly always one
            last += 1
        return [block * BLOCK for block in self._blocks[first:last].tolist()]


open_container = TarContainer


def each(path: str | os.PathLike[str]) -> Iterator[tuple[str, bytes | ImageError]]:
    """Yield (name, bytes) of every file in an archive in order, or why it cannot be read.

    Read in large blocks, whatever the size of the archive. Stretches that are damaged are
    passed over: what was lost in them has no name.

    Raises:
        ArcwiseError: not a tar file.
    """
    file = PositionedFile(os.fspath(path))
    read = buffered(file, _TO_READ)
    title = Path(path).name
    for entry in members(path, file, read):
        if isinstance(entry, Member) and entry.is_file:
            try:
                yield entry.name, payload(read, entry, file.size, f"{title}/{entry.name}")
            except ImageError as error:
                yield entry.name, error


def members(
    path: str | os.PathLike[str], file: PositionedFile, read: Read | None = None
) -> Iterator[Member | Lost]:
    """Yield every member and every damaged stretch of an archive, in order.

    Raises:
        ArcwiseError: not a tar file.
    """
    empty = True
    for entry in scan(read or buffered(file, _TO_SCAN), file.size):
        empty = empty and isinstance(entry, Lost)
        yield entry
    if empty:
        packed = file.read_at(0, 2) == b"\x1f\x8b"
        hint = "it is compressed: unpack it with gunzip" if packed else "expected a tar archive"
        raise ArcwiseError(f"{path}: no member in it; {hint}")


def payload(read: Read, member: Member, end: int, ref: str) -> bytes:
    """Return the bytes of a member.

    Raises:
        ImageError: it is cut off, or absurdly long.
    """
    if member.size > MAX_BYTES:
        raise ImageError(ref, f"has {member.size:,} bytes; refused")
    data = read(member.data, min(member.size, max(end - member.data, 0)))
    if len(data) < member.size:
        raise ImageError(ref, f"cut off: {len(data):,} of {member.size:,} bytes are there")
    return data


def _scanned(path: str, file: PositionedFile) -> Iterator[tuple[list[str], list[int]]]:
    for entry in members(path, file):
        if isinstance(entry, Member) and entry.is_file:
            yield [entry.name], [entry.start]


def _gathered(entry: Iterable[tuple[list[str], list[int]]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the hashes of names, and the blocks where their headers begin."""
    hashes, blocks = array("I"), array("Q")
    for names, places in entry:
        hashes.extend(map(_hash, names))
        blocks.extend(place // BLOCK for place in places)
    kind = np.min_scalar_type(max(blocks, default=0))
    return np.asarray(hashes), np.asarray(blocks).astype(kind)


def _hash(name: str) -> int:
    return hash(name) & 0xFFFFFFFF
