"""Images → an uncompressed `.zip`, with the `manifest.csv` that describes them.

`StoredZip` writes front to back and can be resumed. After PKWARE's APPNOTE.TXT: a local header
before each member, all of them again in the central directory at the end, and the ZIP64 forms where
a number does not fit. Every member is dated 1980: the same files give the same bytes.
"""

from __future__ import annotations

import os
import struct
import zlib
from array import array
from collections.abc import Sequence
from pathlib import Path

from arcwise.data.file_names import member_paths, with_ending
from arcwise.data.manifest import Manifest
from arcwise.data.writing.manifest_tables import tables_inside
from arcwise.errors import ArcwiseError
from arcwise.images.headers.endings import ENDINGS

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_FIND_64 = struct.Struct("<4sIQI")
_JANUARY_1980 = 33
_VERSION, _VERSION_64 = 20, 45
_UNIX, _READABLE = 3 << 8, 0o100644 << 16
_UTF8 = 1 << 11
_MOST, _MOST_MEMBERS = 0xFFFFFFFF, 0xFFFF  # from these on, the ZIP64 form
_BUFFER = 2**20
_LONGEST_NAME = 1024


class StoredZip:
    """An uncompressed archive while it is written.

    Attributes:
        names: of the members so far.
    """

    def __init__(self, path: Path) -> None:
        """Open the archive after its last whole member, or make a new one."""
        self.names: list[str] = []
        self._sums, self._sizes, self._places = array("I"), array("I"), array("Q")
        self._path = path
        path.touch()
        self._file = open(path, "r+b", buffering=_BUFFER)  # noqa: SIM115 - until close
        self._scan()
        self.cut(len(self.names))

    def cut(self, members: int) -> None:
        """Cut off all but the first members."""
        end = self._places[members] if members < len(self.names) else self._end
        for one in (self.names, self._sums, self._sizes, self._places):
            del one[members:]
        self._file.truncate(end)
        self._file.seek(end)
        self._end = end

    def add(self, path: str, data: bytes) -> None:
        """Append one file."""
        name = path.encode()
        if len(data) >= _MOST:
            raise ArcwiseError(f"{path}: {len(data):,} bytes; expected an image below 4 GiB")
        total = zlib.crc32(data)
        self._file.write(_local(name, total, len(data)))
        self._file.write(data)
        self.names.append(path)
        self._sums.append(total)
        self._sizes.append(len(data))
        self._places.append(self._end)
        self._end += _LOCAL.size + len(name) + len(data)

    def finish(self) -> None:
        """Write the central directory, and close."""
        start = self._end
        size = sum(map(self._file.write, map(self._central, range(len(self.names)))))
        count = len(self.names)
        if count >= _MOST_MEMBERS or start >= _MOST or size >= _MOST:
            kinds = (_END_64.size - 12, _VERSION_64 | _UNIX, _VERSION_64, 0, 0)
            self._file.write(_END_64.pack(b"PK\6\6", *kinds, count, count, size, start))
            self._file.write(_FIND_64.pack(b"PK\6\7", 0, start + size, 1))
        few = min(count, _MOST_MEMBERS)
        numbers = (0, 0, few, few, min(size, _MOST), min(start, _MOST), 0)
        self._file.write(_END.pack(b"PK\5\6", *numbers))
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _central(self, member: int) -> bytes:
        name, place = self.names[member].encode(), self._places[member]
        far = struct.pack("<2HQ", 1, 8, place) if place >= _MOST else b""
        version = _VERSION_64 if far else _VERSION
        size = self._sizes[member]
        facts = (0, _JANUARY_1980, self._sums[member], size, size, len(name), len(far))
        place = (0, 0, 0, _READABLE, min(place, _MOST))
        start = (b"PK\1\2", version | _UNIX, version, _flags(name), 0)
        return _CENTRAL.pack(*start, *facts, *place) + name + far

    def _scan(self) -> None:
        """Find the whole members that this class wrote, up to the first other bytes."""
        self._end = 0
        handle, whole = self._file.fileno(), os.path.getsize(self._path)
        with open(handle, "rb", buffering=0, closefd=False) as file:
            while True:
                file.seek(self._end)
                head = file.read(_LOCAL.size + _LONGEST_NAME)
                if len(head) < _LOCAL.size:
                    return
                *_, total, size, _, length, _ = _LOCAL.unpack_from(head)
                name = head[_LOCAL.size : _LOCAL.size + length]
                end = self._end + _LOCAL.size + length + size
                if end > whole or not head.startswith(_local(name, total, size)):
                    return
                self.names.append(name.decode(errors="replace"))
                self._sums.append(total)
                self._sizes.append(size)
                self._places.append(self._end)
                self._end = end


def _flags(name: bytes) -> int:
    return 0 if name.isascii() else _UTF8


def _local(name: bytes, total: int, size: int) -> bytes:
    facts = (_VERSION, _flags(name), 0, 0, _JANUARY_1980, total, size, size, len(name), 0)
    return _LOCAL.pack(b"PK\3\4", *facts) + name


class ZipWriter:
    """`[split/]identity/file name` for every image; see `arcwise.data.file_names`."""

    notes: tuple[str, ...] = ()

    def __init__(self, folder: Path, name: str, manifest: Manifest) -> None:
        self._name, self._manifest = name, manifest
        self._paths = member_paths(manifest)
        self._files = StoredZip(folder / name)

    def resume(self) -> int:
        """Cut off what follows the last whole member; return the row after it."""
        row = after = done = 0
        for name in self._files.names:
            while row < len(self._paths) and not _same(self._paths[row], name):
                row += 1  # it was left out
            if row == len(self._paths):  # no image, but what describes them
                break
            self._paths[row] = name
            after = row = row + 1
            done += 1
        self._files.cut(done)
        return after

    def add(self, row: int, data: bytes) -> None:
        """Append the member of one row."""
        path = self._paths[row] = with_ending(self._paths[row], data)
        self._files.add(path, data)

    def finish(self, rows: Sequence[int]) -> list[str]:
        """Add `manifest.csv`, and `pairs.csv` where the source states pairs."""
        images = [self._paths[row] for row in rows]
        for table, data in tables_inside(self._manifest, rows, images):
            self._files.add(table, data)
        self._files.finish()
        return [self._name]

    def close(self) -> None:
        """Close the archive."""
        self._files.close()


def _same(path: str, name: str) -> bool:
    return name == path or (name.startswith(path) and name[len(path) :] in ENDINGS)
