"""The bytes of one picture, wherever a manifest says it is: a file, or a member of a container."""

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
"""When a container and the index beside it were written, and how long they are."""


class _Shelf:
    """The containers this process has open."""

    def __init__(self) -> None:
        self.opened: OrderedDict[str, _Opened] = OrderedDict()
        self.lock = threading.Lock()


_shelf = _Shelf()


def read_picture(root: str | os.PathLike[str], ref: str) -> bytes:
    """The bytes of the picture that `ref` names.

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
        raise ImageError(ref, "a folder, not a picture") from None
    except (OSError, ValueError) as problem:
        raise ImageError(ref, getattr(problem, "strerror", None) or str(problem)) from None


def picture_exists(root: str | os.PathLike[str], ref: str) -> bool:
    """Whether `read_picture` would find a file (it may still be unreadable)."""
    path = os.path.join(root, ref)
    try:
        container, member = split_container(path)
        return os.path.isfile(path) if container is None else member in open_container(container)
    except (OSError, ValueError):
        return False


def split_container(path: str) -> tuple[str | None, str]:
    """The container a path leads into and the member's name; (None, path) for a plain file."""
    for found in _INTO.finditer(path):
        container = path[: found.end() - 1]
        if container in _shelf.opened or os.path.isfile(container):
            return container, path[found.end() :]
    return None, path


def open_container(path: str) -> Container:
    """A container that is open, and opened anew if it was written since.

    Raises:
        ArcwiseError: it is damaged.
        OSError: it cannot be read.
    """
    stamp = _stamp(path)
    with _shelf.lock:
        known = _shelf.opened.get(path)
        if known is not None and known.stamp != stamp:
            del _shelf.opened[path]
    return _open(path)


def _stamp(path: str) -> Stamp:
    """Of a file that is there, and of a `.rec`'s index."""
    start, ending = os.path.splitext(path)
    files = [path]
    if ending.lower() == ".rec" and os.path.isfile(f"{start}.idx"):
        files.append(f"{start}.idx")
    return tuple((one.st_mtime_ns, one.st_size) for one in map(os.stat, files))


def _open(path: str) -> Container:
    with _shelf.lock:
        known = _shelf.opened.get(path)
        if known is None:
            stamp = _stamp(path)
            known = _Opened(opener(os.path.splitext(path)[1])(path), stamp)
            _shelf.opened[path] = known
            if len(_shelf.opened) > _OPEN:
                _shelf.opened.popitem(last=False)  # closed when its last reader lets go
        else:
            _shelf.opened.move_to_end(path)
    return known.container


# A forked child shares file positions with its parent: it opens its own containers.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_shelf.__init__)
