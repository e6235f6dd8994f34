"""Files that are read from beginning to end: nothing that never ends, or never begins."""

from __future__ import annotations

import errno
import os
import stat

SPECIAL = "a pipe, socket or device; expected a file"


def regular(path: str | os.PathLike[str], flags: int) -> int:
    """The descriptor of a file: an `opener` for `open` that a pipe or a device does not hang.

    Raises:
        OSError: no file, or one of another kind, which is not opened.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, SPECIAL, path)
    return os.open(path, flags)


def is_special(path: str | os.PathLike[str]) -> bool:
    """Whether there is something that is neither a file nor a folder."""
    return os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))


def read_file(path: str | os.PathLike[str]) -> bytes:
    """The bytes of a file.

    Raises:
        OSError: it cannot be read, or is no file.
    """
    with open(path, "rb", opener=regular) as file:
        return file.read()
