"""A `.zip`: images by the names of its members."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from arcwise.data.containers.member_names import alike_notes, name_spellings, plain_name
from arcwise.data.containers.positioned import PositionedFile
from arcwise.errors import ArcwiseError, ImageError

MAX_BYTES = 2**30
"""A member that would unpack to more is refused."""

_LOCAL = struct.Struct("<4s2HH4x3I2H")
"""The header before a member: PKWARE, APPNOTE.TXT, 4.3.7."""

_MARK = b"PK\3\4"
_USUAL = 90  # bytes that writers put between a member and the next: extra fields, sizes
_AHEAD = 2**20
_ENCRYPTED, _UTF8 = 1, 1 << 11
_EXTRA = 64  # bytes that may lie between a member's name and its content


class ZipContainer:
    """An archive that is read in place.

    Attributes:
        members: what is in it, by its plain name; of several with one name the last.
        notes: what the user has to know about it, a line each.
    """

    def __init__(self, path: str) -> None:
        self._name = Path(path).name
        try:
            self._file = zipfile.ZipFile(path)
            self._bytes = PositionedFile(path)
        except zipfile.BadZipFile as problem:
            raise ArcwiseError(f"{path}: not a whole .zip archive ({problem})") from None
        every = self._file.infolist()
        self.members = {plain_name(info.filename): info for info in every}
        self.notes = tuple(self._notes(every))

    def __contains__(self, member: str) -> bool:
        return self._member(member) is not None

    def read(self, member: str, ref: str) -> bytes:
        """Return the bytes of one member."""
        info = self._member(member)
        if info is None:
            raise ImageError(ref, f"{self._name} has no member {member!r}")
        if info.file_size > MAX_BYTES:
            raise ImageError(ref, f"would unpack to {info.file_size:,} bytes; refused")
        stored = self._stored(info)
        if stored is not None:
            return stored
        try:
            return self._file.read(info)
        except (zipfile.BadZipFile, zlib.error, EOFError):
            raise ImageError(ref, f"{self._name} is damaged") from None
        except (OSError, RuntimeError) as problem:  # RuntimeError: encrypted, or an unknown codec
            raise ImageError(ref, f"cannot be read from {self._name}: {problem}") from None

    def _member(self, member: str) -> zipfile.ZipInfo | None:
        entries = (self.members.get(one) for one in name_spellings(member))
        return next((info for info in entries if info is not None), None)

    def _notes(self, every: list[zipfile.ZipInfo]) -> Iterator[str]:
        older = [one for one in every if self.members[plain_name(one.filename)] is not one]
        older = [one for one in older if not one.is_dir()]
        if older:
            later = [self.members[plain_name(one.filename)] for one in older]
            other = sum(a.CRC != b.CRC for a, b in zip(older, later, strict=True))
            yield (
                f"{self._name}: {len(older):,} members have the name of a later one and are left "
                f"out, {other:,} of them with another content; the first is {older[0].filename!r}"
            )
        files = [name for name, one in self.members.items() if not one.is_dir()]
        yield from alike_notes(pa.array(map(_shown, files), pa.string()), self._name)
        if hidden := _unnamed(self._bytes, every, self._file.start_dir):
            yield (
                f"{self._name}: its directory names {len(every):,} members; {len(hidden):,} more "
                f"lie in the file and are not read, the first is {hidden[0]!r}; pack it anew, or "
                "mend it with zip -FF"
            )

    def _stored(self, info: zipfile.ZipInfo) -> bytes | None:
        """Return the bytes of a stored member, all in one read; None if it is packed or not whole.

        `zipfile`, which takes several times as long, then says what is wrong.
        """
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & _ENCRYPTED:
            return None
        name = info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437")
        length = _LOCAL.size + len(name) + info.file_size
        block = self._bytes.read_at(info.header_offset, length + _EXTRA)
        if len(block) < length:
            return None
        mark, _, _, method, *_, named, extra = _LOCAL.unpack_from(block)
        start = _LOCAL.size + named + extra
        data = block[start : start + info.file_size]
        whole = mark == b"PK\3\4" and method == zipfile.ZIP_STORED and len(data) == info.file_size
        same = block[_LOCAL.size : _LOCAL.size + named] == name
        return data if whole and same and zlib.crc32(data) == info.CRC else None


def _shown(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


def _unnamed(file: PositionedFile, members: Sequence[zipfile.ZipInfo], directory: int) -> list[str]:
    """Return the names of members that no entry of the directory leads to.

    Args:
        file: the archive.
        members: of its directory.
        directory: where that begins.
    """
    names: list[str] = []
    after = 0
    for info in sorted(members, key=lambda one: one.header_offset):
        names += _inside(file, after, info.header_offset)
        after = max(after, info.header_offset + _LOCAL.size + len(info.filename))
        after = max(after, info.header_offset + _LOCAL.size + info.compress_size)
    return names + list(_inside(file, after, directory))


def _inside(file: PositionedFile, start: int, end: int) -> Iterator[str]:
    """Yield the names of members between two positions; a directory or a stub there has none."""
    if end - start <= _USUAL:
        return
    position = start
    while position < end:
        block = file.read_at(position, min(_AHEAD, end - position))
        place = block.find(_MARK)
        if place < 0:
            position += max(len(block) - len(_MARK) + 1, 1)
            continue
        position += place
        header = file.read_at(position, _LOCAL.size)
        if len(header) < _LOCAL.size:
            return
        size, name_length, extra = (_LOCAL.unpack(header)[index] for index in (5, 7, 8))
        name = file.read_at(position + _LOCAL.size, name_length)
        position += _LOCAL.size + name_length + extra
        if name and position <= end:
            if not name.endswith(b"/"):
                yield name.decode("utf-8", "backslashreplace")
            position += size if position + size <= end else 0


open_container = ZipContainer
