"""Files that are whole or not there, or read to their end; folders that one process writes."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import socket
import stat
import threading
import time
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
_held_guard = threading.Lock()


def open_regular(path: str | os.PathLike[str], flags: int) -> int:
    """Return the descriptor of a file: an `opener` for `open` that does not wait for a pipe.

    Raises:
        OSError: there is no file, or something of another kind, which is not opened.
    """
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, SPECIAL, path)
    return os.open(path, flags)


def is_special(path: str | os.PathLike[str]) -> bool:
    """Return whether there is something that is neither a file nor a folder."""
    return os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a file.

    Raises:
        OSError: it cannot be read, or is no file.
    """
    with open(path, "rb", opener=open_regular) as file:
        return file.read()


def sha256(path: Path) -> str:
    """Return the digest of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_write(
    path: Path,
    *,
    overwrite: bool = True,
    advice: str = "",
    error: type[ArcwiseError] = ArcwiseError,
) -> Iterator[Path]:
    """Yield a temporary path, which becomes `path` when the block ends well.

    The block writes a file there, or makes a folder. Until it ends, and when anything goes wrong,
    what was at `path` stays as it was. The folder of `path` is made.

    Args:
        path: the file or folder.
        overwrite: whether it may exist already.
        advice: what to do when it cannot be written, instead of a general advice.
        error: the type of what is raised.

    Raises:
        ArcwiseError: the disk is full, the folder cannot be written to, `path` is of another kind
            than what was written, or it exists and must not.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    if not overwrite and os.path.lexists(path):
        raise error(f"{path} exists; name another place, or remove it first")
    try:
        with translate_errors(path, advice=advice, error=error):
            _make_folder(path.parent)
            yield temporary
            sync(temporary)
            older = None
            if overwrite:
                older = _move_replacing(temporary, path)
            elif not _move_if_free(temporary, path):
                raise error(f"{path} was written by another process in the meantime")
            sync(path.parent)
        if older is not None:
            shutil.rmtree(older, ignore_errors=True)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        elif temporary.exists():
            temporary.unlink()


@contextmanager
def translate_errors(
    path: Path,
    *,
    action: str = "written",
    advice: str = "",
    error: type[ArcwiseError] = ArcwiseError,
) -> Iterator[None]:
    """Turn the system's errors in a block (no space, no permission) into one line about `path`.

    Args:
        path: the file or folder that the block works on.
        action: what cannot be done: "written" or "read".
        advice: what to do then, instead of a general advice.
        error: the type of what is raised.

    Raises:
        ArcwiseError: there was such an error.
    """
    try:
        yield
    except OSError as problem:
        advice = advice or "check the path, the permissions and the free space"
        reason = os_error_reason(problem)
        raise error(f"{path} cannot be {action}: {reason}; {advice}") from problem


def os_error_reason(problem: OSError) -> str:
    """Return what the system says, without numbers: "No space left on device"."""
    if problem.strerror == SPECIAL:
        return SPECIAL
    return os.strerror(problem.errno) if problem.errno else str(problem)


def sync(path: Path) -> None:
    """Wait until a file, or the list of files in a folder, is safe from a power cut."""
    if os.name == "nt":  # which syncs no handle that was opened for reading, and no folder
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():  # some network file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: Path, doing: str, *, patience: float = 0.0) -> Iterator[None]:
    """Keep a folder from other processes, and from other such blocks of this one.

    The system takes the lock away when the process ends, however it ends. The folder is made. One
    that is still empty at the end is removed again.

    Args:
        folder: where the work goes.
        doing: what is done there, for the line that refuses others: "training".
        patience: seconds to wait for another one to finish.

    Raises:
        ArcwiseError: another one has it, or it cannot be written to.
    """
    resolved = folder.resolve()
    new = not folder.exists()
    until = time.monotonic() + patience
    with translate_errors(folder):
        _make_folder(folder)
        while (lock := _lock(folder)) is None and time.monotonic() < until:
            time.sleep(0.02)
    if lock is None:
        # Reading the file would give this process's own lock away.
        owner = "" if resolved in _held else _lock_owner(folder / LOCK)
        raise ArcwiseError(
            f"{folder}: {doing} is under way there already{owner}; wait for it, stop it, or name "
            "another folder"
        )
    try:
        yield
    finally:
        with _held_guard:
            if fcntl is None:
                lock.close()
            with suppress(OSError):  # the folder may have been taken away
                (folder / LOCK).unlink()
            lock.close()
            _held.discard(resolved)
        if new and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:  # which says less of a file that is in the way
        raise NotADirectoryError(errno.ENOTDIR, "", str(folder)) from None


def _move_replacing(temporary: Path, path: Path) -> Path | None:
    """Move a file or folder to its place; return where an older folder was set aside."""
    if not (temporary.is_dir() and path.is_dir()):
        temporary.replace(path)
        return None
    old = path.with_name(f".{path.name}.{secrets.token_hex(4)}.old")
    path.rename(old)
    try:
        temporary.rename(path)
    except BaseException:
        old.rename(path)
        raise
    return old


def _move_if_free(temporary: Path, path: Path) -> bool:
    """Move a file or folder to its place unless something is there; return whether it was moved."""
    if not temporary.is_dir():
        try:
            os.link(temporary, path)  # unlike a renaming, this never replaces a file
            return True
        except FileExistsError:
            return False
        except OSError:
            pass  # a file system without links
    if os.path.lexists(path):
        return False
    temporary.rename(path)
    return True


def _lock(folder: Path) -> IO[str] | None:
    """Take the lock of a folder; return its file, or None where another one has it."""
    with _held_guard:
        resolved = folder.resolve()
        lock = None if resolved in _held else _lock_file(folder / LOCK)
        if lock is not None:
            _held.add(resolved)
        return lock


def _lock_file(path: Path) -> IO[str] | None:
    """Take the lock for as long as the file is open; None where another process has it."""
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
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                file.truncate(0)
                file.write(f"{os.getpid()} {socket.gethostname()}")
                file.flush()
                return file
        file.close()  # whoever had it has just removed it


def _lock_owner(path: Path) -> str:
    """Return which process has the lock, as far as the file says."""
    try:
        number, _, host = path.read_text(encoding="utf-8").partition(" ")
    except OSError:
        return ""
    return f" (process {number} on {host})" if host else ""
