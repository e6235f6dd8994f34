"""The bytes of one picture, wherever a manifest says it is: a file, or a member of an archive."""

from __future__ import annotations

import os
import threading
import zipfile
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

from arcwise.errors import ImageError

MAX_BYTES = 2**30
"""An archive member that would unpack to more is refused."""

_OPEN_ARCHIVES = 32


class _Archive(NamedTuple):
    file: zipfile.ZipFile
    members: dict[str, zipfile.ZipInfo]  # by forward-slash name
    stamp: tuple[int, int]  # when written, how long


class _Shelf:
    """The archives this process has open."""

    def __init__(self) -> None:
        self.archives: OrderedDict[str, _Archive] = OrderedDict()
        self.lock = threading.Lock()


_shelf = _Shelf()


def read_picture(root: str | os.PathLike[str], ref: str) -> bytes:
    """The bytes of the picture that `ref` names.

    Args:
        root: the folder (or `.zip`) that a relative `ref` starts from.
        ref: a path, or `archive.zip/member`.

    Raises:
        ImageError: there is no such file or member, or it cannot be read.
    """
    path = os.path.join(root, ref)
    archive, member = split_archive(path)
    if archive is not None:
        return _read_member(archive, member, ref)
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise ImageError(ref, f"no such file (looked for {path})") from None
    except IsADirectoryError:
        raise ImageError(ref, "a folder, not a picture") from None
    except (OSError, ValueError) as problem:
        raise ImageError(ref, getattr(problem, "strerror", None) or str(problem)) from None


def picture_exists(root: str | os.PathLike[str], ref: str) -> bool:
    """Whether `read_picture` would find a file (it may still be unreadable)."""
    path = os.path.join(root, ref)
    try:
        archive, member = split_archive(path)
        return os.path.isfile(path) if archive is None else member in open_archive(archive)
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def split_archive(path: str) -> tuple[str | None, str]:
    """The archive a path leads into and the member's name; (None, path) for a plain file."""
    lowered, start = path.lower(), 0
    while (found := lowered.find(".zip/", start)) >= 0:
        archive = path[: found + 4]
        if archive in _shelf.archives or os.path.isfile(archive):
            return archive, path[found + 5 :]
        start = found + 5
    return None, path


def open_archive(path: str) -> dict[str, zipfile.ZipInfo]:
    """The members of a `.zip`, by name with forward slashes.

    Raises:
        zipfile.BadZipFile, OSError: not an archive, or not readable.
    """
    status = os.stat(path)
    with _shelf.lock:
        known = _shelf.archives.get(path)
        if known is not None and known.stamp != (status.st_mtime_ns, status.st_size):
            del _shelf.archives[path]  # written anew since
    return _archive(path).members


def _archive(path: str) -> _Archive:
    with _shelf.lock:
        known = _shelf.archives.get(path)
        if known is None:
            status = os.stat(path)
            stamp = (status.st_mtime_ns, status.st_size)
            file = zipfile.ZipFile(path)
            members = {info.filename.replace("\\", "/"): info for info in file.infolist()}
            known = _shelf.archives[path] = _Archive(file, members, stamp)
            if len(_shelf.archives) > _OPEN_ARCHIVES:
                _shelf.archives.popitem(last=False)  # closed when its last reader lets go
        else:
            _shelf.archives.move_to_end(path)
    return known


def _read_member(path: str, member: str, ref: str) -> bytes:
    try:
        archive = _archive(path)
        info = archive.members.get(member)
        if info is None:
            raise ImageError(ref, f"{Path(path).name} has no member {member!r}")
        if info.file_size > MAX_BYTES:
            raise ImageError(ref, f"would unpack to {info.file_size:,} bytes; refused")
        return archive.file.read(info)
    except (zipfile.BadZipFile, zlib.error, EOFError):
        raise ImageError(ref, f"{Path(path).name} is damaged") from None
    except (OSError, RuntimeError, NotImplementedError) as problem:  # the latter: encrypted, codec
        raise ImageError(ref, f"cannot be read from {Path(path).name}: {problem}") from None


# A forked child shares file positions with its parent: it opens its own archives.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_shelf.__init__)
