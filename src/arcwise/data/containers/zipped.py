"""A `.zip`: pictures by the names of its members."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path

from arcwise.data.containers.positioned import PositionedFile
from arcwise.errors import ArcwiseError, ImageError

MAX_BYTES = 2**30
"""A member that would unpack to more is refused."""

_LOCAL = struct.Struct("<4s2HH4x3I2H")  # the header before a member: PKWARE, APPNOTE.TXT, 4.3.7
_ENCRYPTED, _UTF8 = 1, 1 << 11
_EXTRA = 64  # bytes that may lie between a member's name and its content


class ZipContainer:
    """An archive that is read in place.

    Attributes:
        members: what is in it, by name with forward slashes.
    """

    def __init__(self, path: str) -> None:
        self._name = Path(path).name
        try:
            self._file = zipfile.ZipFile(path)
            self._bytes = PositionedFile(path)
        except zipfile.BadZipFile as problem:
            raise ArcwiseError(f"{path}: not a whole .zip archive ({problem})") from None
        self.members = {info.filename.replace("\\", "/"): info for info in self._file.infolist()}

    def __contains__(self, member: str) -> bool:
        return member in self.members

    def read(self, member: str, ref: str) -> bytes:
        """The bytes of one member."""
        info = self.members.get(member)
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

    def _stored(self, info: zipfile.ZipInfo) -> bytes | None:
        """The bytes of a member that is not packed, all in one read; None if it is not whole.

        Then `zipfile`, which takes several times as long, finds out what is wrong.
        """
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & _ENCRYPTED:
            return None
        name = info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437")
        length = _LOCAL.size + len(name) + info.file_size
        found = self._bytes.read_at(info.header_offset, length + _EXTRA)
        if len(found) < length:
            return None
        mark, _, _, method, *_, named, extra = _LOCAL.unpack_from(found)
        start = _LOCAL.size + named + extra
        data = found[start : start + info.file_size]
        whole = mark == b"PK\3\4" and method == zipfile.ZIP_STORED and len(data) == info.file_size
        same = found[_LOCAL.size : _LOCAL.size + named] == name
        return data if whole and same and zlib.crc32(data) == info.CRC else None


open_container = ZipContainer
