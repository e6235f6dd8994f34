"""The bytes of an image that a manifest refers to: a file, or a member of a container."""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from typing import NamedTuple

from arcwise.data.containers import KINDS, Container, opener
from arcwise.errors import ImageError
from arcwise.files import open_regular

_OPEN = 32  # containers a process keeps open
_INTO = re.compile(rf"({'|'.join(map(re.escape, KINDS))})/", re.IGNORECASE)


class _Opened(NamedTuple):
    container: Container
    stamp: Stamp


Stamp = tuple[tuple[int, int], ...]
"""Modification time and size of a container and of its index."""


class _OpenContainers:
    """The containers that this process has open."""

    def __init__(self) -> None:
        self.by_path: OrderedDict[str, _Opened] = OrderedDict()
        self.lock = threading.Lock()


_containers = _OpenContainers()


def read_image_bytes(root: str | os.PathLike[str], ref: str) -> bytes:
    """Return the bytes of the image that `ref` names.

    Args:
        root: the folder (or container) that a relative `ref` starts from.
        ref: a path, or `archive.zip/member`, `train.rec/1`, `shard.tar/name`, `lfw.bin/0`, …

    Raises:
        ImageError: there is no such file or member, or it cannot be read.
    """
    path = os.path.join(root, ref)
    container, member = split_container(path)
    try:
        if container is not None:
            return _open(container).read(member, ref)
        with open(path, "rb", opener=open_regular) as file:
            return file.read()
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(ref, f"no such file (looked for {path})") from None
    except IsADirectoryError:
        raise ImageError(ref, "a folder, not an image") from None
    except (OSError, ValueError) as problem:
        raise ImageError(ref, getattr(problem, "strerror", None) or str(problem)) from None


def image_exists(root: str | os.PathLike[str], ref: str) -> bool:
    """Return whether `read_image_bytes` would find a file (it may still be unreadable)."""
    path = os.path.join(root, ref)
    try:
        container, member = split_container(path)
        return os.path.isfile(path) if container is None else member in open_container(container)
    except (OSError, ValueError):
        return False


def split_container(path: str) -> tuple[str | None, str]:
    """Return the container that a path leads into and the member; (None, path) for a plain file."""
    for match in _INTO.finditer(path):
        container = path[: match.end() - 1]
        if container in _containers.by_path or os.path.isfile(container):
            return container, path[match.end() :]
    return None, path


def open_container(path: str) -> Container:
    """Return an open container, opened again if its file has changed.

    Raises:
        ArcwiseError: it is damaged.
        OSError: it cannot be read.
    """
    stamp = _stamp(path)
    with _containers.lock:
        entry = _containers.by_path.get(path)
        if entry is not None and entry.stamp != stamp:
            del _containers.by_path[path]
    return _open(path)


def _stamp(path: str) -> Stamp:
    """Return the stamp of an existing container; that of a `.rec` includes its index."""
    start, ending = os.path.splitext(path)
    files = [path]
    if ending.lower() == ".rec" and os.path.isfile(f"{start}.idx"):
        files.append(f"{start}.idx")
    return tuple((one.st_mtime_ns, one.st_size) for one in map(os.stat, files))


def _open(path: str) -> Container:
    with _containers.lock:
        entry = _containers.by_path.get(path)
        if entry is None:
            stamp = _stamp(path)
            entry = _Opened(opener(os.path.splitext(path)[1])(path), stamp)
            _containers.by_path[path] = entry
            if len(_containers.by_path) > _OPEN:
                _containers.by_path.popitem(last=False)  # closed when its last reader lets go
        else:
            _containers.by_path.move_to_end(path)
    return entry.container


# A forked child shares file positions with its parent: it opens its own containers.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_containers.__init__)
