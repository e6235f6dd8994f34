"""A folder per identity."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from arcwise.data.formats.layout import OWN_TABLES, arrange, unlisted
from arcwise.data.formats.pairs import OWN_PAIRS, with_pairs
from arcwise.data.formats.table import read_table
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError


def read(path: Path, *, identities: bool = True) -> Manifest:
    """The manifest of a folder of pictures, the folders in it being the identities."""
    manifest = _pictures(path, identities)
    found = next((name for name in OWN_PAIRS if (path / name).is_file()), None)
    return with_pairs(manifest, found, (path / found).read_bytes()) if found else manifest


def _pictures(path: Path, identities: bool) -> Manifest:
    for name in OWN_TABLES:
        if (path / name).is_file():
            found = read_table(path / name, identities=identities, name=path.resolve().name)
            said = unlisted(_files(path), name, found.images) if found.has_images else ()
            return replace(found, notes=(*found.notes, *said))
    return arrange(_files(path), path, path.resolve().name, identities=identities)


def read_single(path: Path, *, identities: bool = True) -> Manifest:
    """The manifest of one picture, which says nothing of identities."""
    if identities:
        raise ArcwiseError(
            f"{path} is a single picture, without an identity; expected a folder per identity, "
            "or a table that names it"
        )
    table = pa.table({"image": pa.array([path.name], pa.string())})
    return Manifest(table, path.parent, path.stem, understood="a single picture")


def _files(root: Path) -> Iterator[str]:
    """Every file below, as a path relative to the folder; links are followed, once each."""
    seen: set[tuple[int, int]] = set()
    for folder, names, files in os.walk(root, followlinks=True, onerror=_unreadable):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            names.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        inside = os.path.relpath(folder, root)
        for name in files:
            file = name if inside == "." else f"{inside}/{name}"
            yield file.replace(os.sep, "/")


def _unreadable(problem: OSError) -> None:
    raise ArcwiseError(f"{problem.filename}: {problem.strerror}; the folder cannot be listed")
