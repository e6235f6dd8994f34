"""A `.zip`: pictures by the names of its members."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from arcwise.data.containers.positioned import PositionedFile
from arcwise.data.containers.spelled import alike, plain, spellings
from arcwise.data.containers.zipped.unnamed import LOCAL, unnamed
from arcwise.errors import ArcwiseError, ImageError

MAX_BYTES = 2**30
"""A member that would unpack to more is refused."""

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
        self.members = {plain(info.filename): info for info in every}
        self.notes = tuple(self._notes(every))

    def __contains__(self, member: str) -> bool:
        return self._member(member) is not None

    def read(self, member: str, ref: str) -> bytes:
        """The bytes of one member."""
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
        except (OSError, RuntimeError, NotImplementedError) as problem:  # encrypted, codec
            raise ImageError(ref, f"cannot be read from {self._name}: {problem}") from None

    def _member(self, member: str) -> zipfile.ZipInfo | None:
        found = (self.members.get(one) for one in spellings(member))
        return next((info for info in found if info is not None), None)

    def _notes(self, every: list[zipfile.ZipInfo]) -> Iterator[str]:
        older = [one for one in every if self.members[plain(one.filename)] is not one]
        older = [one for one in older if not one.is_dir()]
        if older:
            later = [self.members[plain(one.filename)] for one in older]
            other = sum(a.CRC != b.CRC for a, b in zip(older, later, strict=True))
            yield (
                f"{self._name}: {len(older):,} members have the name of a later one and are left "
                f"out, {other:,} of them with another content; the first is {older[0].filename!r}"
            )
        files = [name for name, one in self.members.items() if not one.is_dir()]
        yield from alike(pa.array(map(_shown, files), pa.string()), self._name)
        if hidden := unnamed(self._bytes, every, self._file.start_dir):
            yield (
                f"{self._name}: its directory names {len(every):,} members; {len(hidden):,} more "
                f"lie in the file and are not read, the first is {hidden[0]!r}; pack it anew, or "
                "mend it with zip -FF"
            )

    def _stored(self, info: zipfile.ZipInfo) -> bytes | None:
        """The bytes of a member that is not packed, all in one read; None if it is not whole.

        Then `zipfile`, which takes several times as long, finds out what is wrong.
        """
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & _ENCRYPTED:
            return None
        name = info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437")
        length = LOCAL.size + len(name) + info.file_size
        found = self._bytes.read_at(info.header_offset, length + _EXTRA)
        if len(found) < length:
            return None
        mark, _, _, method, *_, named, extra = LOCAL.unpack_from(found)
        start = LOCAL.size + named + extra
        data = found[start : start + info.file_size]
        whole = mark == b"PK\3\4" and method == zipfile.ZIP_STORED and len(data) == info.file_size
        same = found[LOCAL.size : LOCAL.size + named] == name
        return data if whole and same and zlib.crc32(data) == info.CRC else None


def _shown(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


open_container = ZipContainer
