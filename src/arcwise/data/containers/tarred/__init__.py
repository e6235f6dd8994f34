"""A tar file: pictures by the names of its members, read in place."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from arcwise.data.containers.member_names import spellings
from arcwise.data.containers.positioned import PositionedFile, buffered
from arcwise.data.containers.tarred import offset_table as tar_index
from arcwise.data.containers.tarred.tar_headers import BLOCK, Lost, Member, Read, member_at, scan
from arcwise.errors import ArcwiseError, ImageError

MAX_BYTES = 2**30
"""A picture of more is refused."""

_TO_SCAN = 2**14  # bytes read at once where payloads are passed over
_TO_READ = 2**22


class TarContainer:
    """An archive whose members are read at their positions.

    Positions come from the offset table beside it where that fits, otherwise from one pass over
    the headers. Eight bytes a member: half the hash of its name, and its block; the name is
    compared with the header when the member is read.
    """

    def __init__(self, path: str) -> None:
        self._name = Path(path).name
        self._file = PositionedFile(path)
        try:
            hashes, blocks = _gathered(tar_index.places(path))
        except tar_index.Unfit:
            hashes, blocks = _gathered(_scanned(path, self._file))
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._blocks = hashes[order], blocks[order]

    def __contains__(self, member: str) -> bool:
        return any(
            found is None or found.name == name
            for name in spellings(member)
            for found in map(self._at, self._places(name))
        )

    def read(self, member: str, ref: str) -> bytes:
        """The bytes of one member; of several with one name the last, as tar unpacks them."""
        reason = f"{self._name} has no member {member!r}"
        for name in spellings(member):
            for place in reversed(self._places(name)):
                found = self._at(place)
                if found is None:
                    reason = f"{self._name}: the header of {name!r} at byte {place:,} is damaged"
                elif found.name == name:
                    return payload(self._file.read_at, found, self._file.size, ref)
        raise ImageError(ref, reason)

    def _at(self, place: int) -> Member | None:
        return member_at(self._file.read_at, place, self._file.size)

    def _places(self, member: str) -> list[int]:
        """Where headers of this name may be: perhaps that of another one with its hash as well."""
        key = np.uint32(_hash(member))
        first = int(self._hashes.searchsorted(key))
        last = first
        while last < len(self._hashes) and self._hashes[last] == key:  # nearly always one
            last += 1
        return [block * BLOCK for block in self._blocks[first:last].tolist()]


open_container = TarContainer


def each(path: str | os.PathLike[str]) -> Iterator[tuple[str, bytes | ImageError]]:
    """(name, bytes) of every file in an archive in order, or why it cannot be read.

    Read in large blocks, whatever the size of the archive. Stretches that are damaged are
    passed over: what was lost in them has no name.

    Raises:
        ArcwiseError: not a tar file.
    """
    file = PositionedFile(os.fspath(path))
    read = buffered(file, _TO_READ)
    title = Path(path).name
    for found in members(path, file, read):
        if isinstance(found, Member) and found.is_file:
            try:
                yield found.name, payload(read, found, file.size, f"{title}/{found.name}")
            except ImageError as error:
                yield found.name, error


def members(
    path: str | os.PathLike[str], file: PositionedFile, read: Read | None = None
) -> Iterator[Member | Lost]:
    """All that lies in an archive, in order.

    Raises:
        ArcwiseError: not a tar file.
    """
    empty = True
    for found in scan(read or buffered(file, _TO_SCAN), file.size):
        empty = empty and isinstance(found, Lost)
        yield found
    if empty:
        packed = file.read_at(0, 2) == b"\x1f\x8b"
        hint = "it is compressed: unpack it with gunzip" if packed else "expected a tar archive"
        raise ArcwiseError(f"{path}: no member in it; {hint}")


def payload(read: Read, member: Member, end: int, ref: str) -> bytes:
    """The bytes of a member.

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
    for found in members(path, file):
        if isinstance(found, Member) and found.is_file:
            yield [found.name], [found.start]


def _gathered(found: Iterable[tuple[list[str], list[int]]]) -> tuple[np.ndarray, np.ndarray]:
    """The hashes of names, and the blocks where their headers begin."""
    hashes, blocks = array("I"), array("Q")
    for names, places in found:
        hashes.extend(map(_hash, names))
        blocks.extend(place // BLOCK for place in places)
    kind = np.min_scalar_type(max(blocks, default=0))
    return np.asarray(hashes), np.asarray(blocks).astype(kind)


def _hash(name: str) -> int:
    return hash(name) & 0xFFFFFFFF
