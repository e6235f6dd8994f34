"""Pictures → an uncompressed `.zip`, with the `manifest.csv` that describes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from arcwise.data.manifest import Manifest
from arcwise.data.names import ENDINGS, member_paths, whole_name
from arcwise.data.writing.stored import StoredZip
from arcwise.data.writing.tables import tables_inside


class ZipWriter:
    """`[split/]identity/file name` for every picture; see `arcwise.data.names`."""

    notes: tuple[str, ...] = ()

    def __init__(self, folder: Path, name: str, manifest: Manifest) -> None:
        self._name, self._manifest = name, manifest
        self._paths = member_paths(manifest)
        self._files = StoredZip(folder / name)

    def resume(self) -> int:
        """The row after the last whole member; what follows that one is cut off."""
        row = after = done = 0
        for name in self._files.names:
            while row < len(self._paths) and not _same(self._paths[row], name):
                row += 1  # it was left out
            if row == len(self._paths):  # no picture, but what describes them
                break
            self._paths[row] = name
            after = row = row + 1
            done += 1
        self._files.cut(done)
        return after

    def add(self, row: int, data: bytes) -> None:
        """Appends the member of one row."""
        path = self._paths[row] = whole_name(self._paths[row], data)
        self._files.add(path, data)

    def finish(self, rows: Sequence[int]) -> list[str]:
        """Adds `manifest.csv`, and `pairs.csv` where the source states pairs."""
        images = [self._paths[row] for row in rows]
        for table, data in tables_inside(self._manifest, rows, images):
            self._files.add(table, data)
        self._files.finish()
        return [self._name]

    def close(self) -> None:
        """Lets go of the archive."""
        self._files.close()


def _same(path: str, name: str) -> bool:
    return name == path or (name.startswith(path) and name[len(path) :] in ENDINGS)
