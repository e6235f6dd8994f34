"""Images → a folder of files, with the `manifest.csv` that describes them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from arcwise.data.file_names import MANIFEST, PAIRS, member_paths, with_ending
from arcwise.data.manifest import Manifest
from arcwise.data.writing.manifest_tables import tables_inside
from arcwise.images.headers.endings import ENDINGS


class NewFolder:
    """A folder to add files to, by relative path; the first file makes it."""

    def __init__(self, root: Path) -> None:
        self._root = os.fspath(root)

    def add(self, path: str, data: bytes) -> None:
        """Write one new file."""
        place = f"{self._root}/{path}"
        try:
            file = open(place, "xb")  # noqa: SIM115 - closed below
        except FileNotFoundError:
            os.makedirs(os.path.dirname(place), exist_ok=True)
            file = open(place, "xb")  # noqa: SIM115
        with file:
            file.write(data)


class FolderWriter:
    """`[split/]identity/file name` for every image; see `arcwise.data.file_names`."""

    notes: tuple[str, ...] = ()

    def __init__(self, folder: Path, name: str, manifest: Manifest) -> None:
        self._name, self._manifest = name, manifest
        self._root = folder / name
        self._files = NewFolder(self._root)
        self._paths = member_paths(manifest)

    def resume(self) -> int:
        """Remove the last file, which may be cut short; return its row."""
        for table in (MANIFEST, PAIRS):
            (self._root / table).unlink(missing_ok=True)
        left = sum(len(files) for _, _, files in os.walk(self._root))
        last = -1
        for row, path in enumerate(self._paths):
            if not left:
                break
            if (existing := self._existing(path)) is not None:
                self._paths[row] = existing
                last, left = row, left - 1
        if last < 0:
            return 0
        (self._root / self._paths[last]).unlink()
        return last

    def add(self, row: int, data: bytes) -> None:
        """Write the file of one row."""
        path = self._paths[row] = with_ending(self._paths[row], data)
        self._files.add(path, data)

    def finish(self, rows: Sequence[int]) -> list[str]:
        """Write `manifest.csv`, and `pairs.csv` where the source states pairs."""
        images = [self._paths[row] for row in rows]
        for table, data in tables_inside(self._manifest, rows, images):
            self._files.add(table, data)
        return [self._name]

    def close(self) -> None:
        """Do nothing, since no file is open."""

    def _existing(self, path: str) -> str | None:
        """Return the path with the ending of its file; None where there is no file."""
        if "." in path.rpartition("/")[2]:
            return path if os.path.exists(f"{self._root}/{path}") else None
        whole = (path + ending for ending in ENDINGS)
        return next((one for one in whole if os.path.exists(f"{self._root}/{one}")), None)
