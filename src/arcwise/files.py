"""Files that are whole or not there, or read to their end; folders that one process writes."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from arcwise.errors import ArcwiseError

try:
    import fcntl
except ImportError:  # Windows: there, an open file cannot be removed
    fcntl = None

LOCK = ".lock"
"""The file in a folder by which a process has it; empty or stale where nobody does."""

SPECIAL = "a pipe, socket or device; expected a file"

_held: set[Path] = set()  # by this process, whose own locks the system lets it take twice


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


@contextmanager
def atomic_write(path: Path, *, mend: str = "", overwrite: bool = True) -> Iterator[Path]:
    """A path beside, which becomes `path` when the block ends well; its folder is made.

    Until then, and when anything goes wrong, what was at `path` stays as it was. The block may also
    make a folder of the path, where `path` is new.

    Args:
        path: the file.
        mend: what to do when it cannot be written, instead of a general advice.
        overwrite: whether what is at `path` is replaced.

    Raises:
        ArcwiseError: the disk is full, the folder cannot be written to, `path` is a folder, or it
            exists and is not to be overwritten.
    """
    if not overwrite:
        refuse_existing(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with translate_errors(path, mend=mend):
            _make(path.parent)
            yield beside
            if not overwrite and os.path.lexists(path):
                raise ArcwiseError(f"{path} was written by another while this was under way")
            beside.replace(path)
    finally:
        if beside.is_dir():
            shutil.rmtree(beside, ignore_errors=True)
        elif beside.exists():
            beside.unlink()


def refuse_existing(*paths: Path) -> None:
    """Raise an error if there is something at one of the paths.

    Raises:
        ArcwiseError: there is something.
    """
    for path in paths:
        if os.path.lexists(path):
            raise ArcwiseError(f"{path} exists; name another place, or remove it first")


@contextmanager
def translate_errors(path: Path, *, mend: str = "") -> Iterator[None]:
    """A block whose system errors (no space, no permission) are one line about a file or folder.

    Raises:
        ArcwiseError: there was one.
    """
    try:
        yield
    except OSError as problem:
        mend = mend or "check the path, the permissions and the free space"
        raise ArcwiseError(
            f"{path} cannot be written: {os_error_reason(problem)}; {mend}"
        ) from problem


def os_error_reason(problem: OSError) -> str:
    """What the system says, without numbers: "No space left on device"."""
    if problem.strerror == SPECIAL:
        return SPECIAL
    return os.strerror(problem.errno) if problem.errno else str(problem)


@contextmanager
def locked(folder: Path, doing: str) -> Iterator[None]:
    """A block in which no other process, nor another such block of this one, has the folder.

    The system takes the lock away when the process ends, however it ends. The folder is made; one
    that is still empty at the end is removed again.

    Args:
        folder: where the work goes.
        doing: what is done there, for the line that refuses others: "training".

    Raises:
        ArcwiseError: another one has it, or it cannot be written to.
    """
    own = folder.resolve()
    new = not folder.exists()
    with translate_errors(folder):
        _make(folder)
        lock = None if own in _held else _taken(folder / LOCK)
    if lock is None:
        # Reading the file would give this process's own lock away.
        who = "" if own in _held else _who(folder / LOCK)
        raise ArcwiseError(
            f"{folder}: {doing} is under way there already{who}; wait for it, stop it, or name "
            "another folder"
        )
    _held.add(own)
    try:
        yield
    finally:
        _held.discard(own)
        if fcntl is None:
            lock.close()
        with suppress(OSError):  # the folder may have been taken away
            (folder / LOCK).unlink()
        lock.close()
        if new and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:  # which says less of a file that is in the way
        raise NotADirectoryError(errno.ENOTDIR, "", str(folder)) from None


def _taken(path: Path) -> IO[str] | None:
    """The lock, for as long as this file is open; None where another process has it."""
    while True:
        try:
            if fcntl is None:
                path.unlink(missing_ok=True)
            file = path.open("a+", encoding="utf-8")
        except PermissionError:
            if fcntl is None:
                return None
            raise
        try:
            if fcntl is not None:
                # Not `flock`: workers would inherit it, and keep it when this process is killed.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.close()
            return None
        except OSError:
            pass  # a file system without locks
        if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
            file.truncate(0)
            file.write(f"{os.getpid()} {socket.gethostname()}")
            file.flush()
            return file
        file.close()  # whoever had it has just removed it


def _who(path: Path) -> str:
    """The process that has the lock, as far as the file says."""
    try:
        number, _, host = path.read_text(encoding="utf-8").partition(" ")
    except OSError:
        return ""
    return f" (process {number} on {host})" if host else ""
