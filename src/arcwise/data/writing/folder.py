"""Pictures → a folder of files, with the `manifest.csv` that describes them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from arcwise.data.manifest import Manifest
from arcwise.data.names import ENDINGS, MANIFEST, PAIRS, member_paths, whole_name
from arcwise.data.writing.manifest_tables import tables_inside


class NewFolder:
    """A folder that takes files by relative path; made when the first one comes."""

    def __init__(self, root: Path) -> None:
        self._root = os.fspath(root)

    def add(self, path: str, data: bytes) -> None:
        """Writes one file, never over another one."""
        place = f"{self._root}/{path}"
        try:
            file = open(place, "xb")  # noqa: SIM115 - closed below
        except FileNotFoundError:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            file = open(place, "xb")  # noqa: SIM115
        with file:
            file.write(data)


class FolderWriter:
    """`[split/]identity/file name` for every picture; see `arcwise.data.names`."""

    notes: tuple[str, ...] = ()

    def __init__(self, folder: Path, name: str, manifest: Manifest) -> None:
        self._name, self._manifest = name, manifest
        self._root = folder / name
        self._files = NewFolder(self._root)
        self._paths = member_paths(manifest)

    def resume(self) -> int:
        """The row of the last file that is there: it may be cut short, and is removed."""
        for table in (MANIFEST, PAIRS):
            (self._root / table).unlink(missing_ok=True)
        left = sum(len(files) for _, _, files in os.walk(self._root))
        last = -1
        for row, path in enumerate(self._paths):
            if not left:
                break
            if (found := self._found(path)) is not None:
                self._paths[row] = found
                last, left = row, left - 1
        if last < 0:
            return 0
        (self._root / self._paths[last]).unlink()
        return last

    def add(self, row: int, data: bytes) -> None:
        """Writes the file of one row."""
        path = self._paths[row] = whole_name(self._paths[row], data)
        self._files.add(path, data)

    def finish(self, rows: Sequence[int]) -> list[str]:
        """Writes `manifest.csv`, and `pairs.csv` where the source states pairs."""
        images = [self._paths[row] for row in rows]
        for table, data in tables_inside(self._manifest, rows, images):
            self._files.add(table, data)
        return [self._name]

    def close(self) -> None:
        """Nothing: no file is open."""

    def _found(self, path: str) -> str | None:
        """The path with the ending that its file has; None where there is none."""
        if "." in path.rpartition("/")[2]:
            return path if os.path.exists(f"{self._root}/{path}") else None
        whole = (path + ending for ending in ENDINGS)
        return next((one for one in whole if os.path.exists(f"{self._root}/{one}")), None)
