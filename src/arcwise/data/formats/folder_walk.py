"""What lies in a folder and below, each file and folder once, whatever links there are."""

from __future__ import annotations

import os
from array import array
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from arcwise.data.formats.file_kinds import is_hidden, printable
from arcwise.errors import ArcwiseError

_Inode = tuple[int, int]  # device, number


@dataclass
class FolderContents:
    """The files in a folder and below, each file and folder once.

    Attributes:
        files: paths with forward slashes, relative to the folder; `name/` of a hidden folder.
        repeated: links to what was met already; they are left out.
        special: pipes, sockets and devices.
    """

    files: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    special: list[str] = field(default_factory=list)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user has to know, a line each."""
        notes = []
        if self.repeated:
            notes.append(
                f"{len(self.repeated):,} links lead to files or folders met already, and are left "
                f"out ({_first(self.repeated)})"
            )
        if self.special:
            notes.append(
                f"{len(self.special):,} are no files but pipes, sockets or devices, and left out "
                f"({_first(self.special)})"
            )
        return tuple(notes)


def walk(root: Path) -> FolderContents:
    """Return the files in a folder and below, without those in hidden folders.

    A file that lies in the folder comes before a link to it. A link to what was met already, or to
    a folder around this one, is left out.

    Raises:
        ArcwiseError: a folder cannot be listed.
    """
    contents = FolderContents()
    outer = {_inode(one) for one in root.resolve().parents}
    entered: set[_Inode] = set()
    numbers: dict[int, array[int]] = {}  # device → the numbers of files that are no links
    to_files: list[str] = []
    links = deque([""])  # to folders; nothing that really lies in a folder waits for one
    while links:
        folders = [links.popleft()]
        while folders:
            inside = folders.pop()
            place = os.path.join(root, inside)
            inode = _inode(place)
            if inode in entered or inode in outer:
                contents.repeated.append(inside)
                continue
            entered.add(inode)
            for entry in entries_of(place):
                name = f"{inside}/{entry.name}" if inside else entry.name
                is_link = entry.is_symlink()
                is_folder = os.path.isdir(entry) if is_link else entry.is_dir()
                if is_folder and is_hidden(entry.name):
                    contents.files.append(f"{name}/")
                elif is_folder:
                    (links if is_link else folders).append(name)
                elif is_link:
                    to_files.append(name)
                elif entry.is_file():
                    contents.files.append(name)
                    numbers.setdefault(inode[0], array("Q")).append(entry.inode())
                else:
                    contents.special.append(name)
    _add_links(contents, root, to_files, numbers)
    return contents


def _add_links(
    contents: FolderContents, root: Path, links: list[str], numbers: dict[int, array[int]]
) -> None:
    """Add the links to files that were not met already."""
    seen = {(device, number) for device, some in numbers.items() for number in some if links}
    for name in links:
        path = os.path.join(root, name)
        if not os.path.exists(path):  # it leads nowhere, which reading it will say
            contents.files.append(name)
        elif not os.path.isfile(path):
            contents.special.append(name)
        elif (inode := _inode(path)) in seen:
            contents.repeated.append(name)
        else:
            seen.add(inode)
            contents.files.append(name)


def entries_of(folder: str) -> list[os.DirEntry[str]]:
    """Return what lies in a folder, sorted by name.

    Raises:
        ArcwiseError: the folder cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as problem:
        raise ArcwiseError(f"{folder}: {problem.strerror}; the folder cannot be listed") from None


def _inode(path: str | os.PathLike[str]) -> _Inode:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _first(names: list[str]) -> str:
    return f"{printable(min(names))}{' …' if len(names) > 1 else ''}"
