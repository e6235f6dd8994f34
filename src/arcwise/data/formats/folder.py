"""A folder per identity."""

from __future__ import annotations

import os
from array import array
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from arcwise.data.formats.layout import (
    OWN_TABLES,
    TopFolders,
    arrange,
    is_hidden,
    shown,
    unlisted,
)
from arcwise.data.formats.pairs import OWN_PAIRS, with_pairs
from arcwise.data.formats.table import read_table
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

_Inode = tuple[int, int]  # device, number


def read(path: Path, *, identities: bool = True, top_folders: TopFolders | None = None) -> Manifest:
    """The manifest of a folder of pictures, the folders in it being the identities.

    Its own table or pairs may lie in a folder around all the rest.
    """
    name, path = path.resolve().name, _described(path)
    manifest = replace(_pictures(path, identities, top_folders), name=name)
    found = next((name for name in OWN_PAIRS if (path / name).is_file()), None)
    return with_pairs(manifest, found, (path / found).read_bytes()) if found else manifest


def _described(path: Path) -> Path:
    """The folder with a table or pairs of its own: this one, or one around all in it; else it."""
    place = path
    while not any((place / name).is_file() for name in (*OWN_TABLES, *OWN_PAIRS)):
        inside = [one for one in _listed(str(place)) if not is_hidden(one.name)]
        if len(inside) != 1 or not inside[0].is_dir(follow_symlinks=False):
            return path
        place /= inside[0].name
    return place


def _pictures(path: Path, identities: bool, top_folders: TopFolders | None) -> Manifest:
    for name in OWN_TABLES:
        if (path / name).is_file():
            table = read_table(path / name, identities=identities, name=path.resolve().name)
            said = unlisted(walk(path).files, name, table.images) if table.has_images else ()
            return replace(table, notes=(*table.notes, *said))
    found = walk(path)
    name = path.resolve().name
    manifest = arrange(found.files, path, name, identities=identities, top_folders=top_folders)
    ignored = sorted({*manifest.ignored, *map(shown, found.special)})
    return replace(manifest, ignored=tuple(ignored), notes=(*found.notes, *manifest.notes))


def read_single(path: Path, *, identities: bool = True) -> Manifest:
    """The manifest of one picture, which says nothing of identities."""
    if identities:
        raise ArcwiseError(
            f"{path} is a single picture, without an identity; expected a folder per identity, "
            "or a table that names it"
        )
    table = pa.table({"image": pa.array([path.name], pa.string())})
    return Manifest(table, path.parent, path.stem, understood="a single picture")


@dataclass
class Walked:
    """What lies in a folder and below, each file and folder once.

    Attributes:
        files: paths with forward slashes, relative to the folder; `name/` of a hidden folder.
        again: links that are left out.
        special: pipes, sockets and devices.
    """

    files: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    special: list[str] = field(default_factory=list)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user has to know, a line each."""
        notes = []
        if self.again:
            notes.append(
                f"{len(self.again):,} links lead to files or folders met already, and are left "
                f"out ({_first(self.again)})"
            )
        if self.special:
            notes.append(
                f"{len(self.special):,} are no files but pipes, sockets or devices, and left out "
                f"({_first(self.special)})"
            )
        return tuple(notes)


def walk(root: Path) -> Walked:
    """What lies in a folder and below, without what hidden folders hold.

    What really lies in the folder comes before a link to it; a link to what was met already, or
    to a folder around this one, is left out.

    Raises:
        ArcwiseError: a folder cannot be listed.
    """
    found = Walked()
    around = {_inode(one) for one in root.resolve().parents}
    entered: set[_Inode] = set()
    known: dict[int, array[int]] = {}  # device → the numbers of files that are no links
    to_files: list[str] = []
    links = deque([""])  # to folders; nothing that really lies in a folder waits for one
    while links:
        folders = [links.popleft()]
        while folders:
            inside = folders.pop()
            place = os.path.join(root, inside)
            inode = _inode(place)
            if inode in entered or inode in around:
                found.again.append(inside)
                continue
            entered.add(inode)
            for entry in _listed(place):
                name = f"{inside}/{entry.name}" if inside else entry.name
                is_link = entry.is_symlink()
                is_folder = os.path.isdir(entry) if is_link else entry.is_dir()
                if is_folder and is_hidden(entry.name):
                    found.files.append(f"{name}/")
                elif is_folder:
                    (links if is_link else folders).append(name)
                elif is_link:
                    to_files.append(name)
                elif entry.is_file():
                    found.files.append(name)
                    known.setdefault(inode[0], array("Q")).append(entry.inode())
                else:
                    found.special.append(name)
    _add_links(found, root, to_files, known)
    return found


def _add_links(found: Walked, root: Path, links: list[str], known: dict[int, array[int]]) -> None:
    """Adds the links to files that were not met already."""
    seen = {(device, number) for device, some in known.items() for number in some if links}
    for name in links:
        path = os.path.join(root, name)
        if not os.path.exists(path):  # it leads nowhere, which reading it will say
            found.files.append(name)
        elif not os.path.isfile(path):
            found.special.append(name)
        elif (inode := _inode(path)) in seen:
            found.again.append(name)
        else:
            seen.add(inode)
            found.files.append(name)


def _listed(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as problem:
        raise ArcwiseError(f"{folder}: {problem.strerror}; the folder cannot be listed") from None


def _inode(path: str | os.PathLike[str]) -> _Inode:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _first(names: list[str]) -> str:
    return f"{shown(min(names))}{' …' if len(names) > 1 else ''}"
