"""A `.zip`: pictures by the names of its members."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from arcwise.errors import ArcwiseError, ImageError

MAX_BYTES = 2**30
"""A member that would unpack to more is refused."""


class ZipContainer:
    """An archive that is read in place.

    Attributes:
        members: what is in it, by name with forward slashes.
    """

    def __init__(self, path: str) -> None:
        self._name = Path(path).name
        try:
            self._file = zipfile.ZipFile(path)
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
        try:
            return self._file.read(info)
        except (zipfile.BadZipFile, zlib.error, EOFError):
            raise ImageError(ref, f"{self._name} is damaged") from None
        except (OSError, RuntimeError, NotImplementedError) as problem:  # encrypted, codec
            raise ImageError(ref, f"cannot be read from {self._name}: {problem}") from None


open_container = ZipContainer
