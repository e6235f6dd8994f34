"""One gallery takes the place of another: the file at the path is one of the two at any moment.

A swap says that it waits by a locked folder beside each gallery, `shop.gallery.swap`. A server that
has the gallery open sees it, promises to let go by a file in it, and opens the gallery again when
the lock is gone.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from arcwise.errors import ArcwiseError, GalleryError
from arcwise.files import locked, sync, translate_errors
from arcwise.gallery.connection import connect, translate_sqlite_errors
from arcwise.gallery.contract import GalleryAbout
from arcwise.gallery.stored import about_now

_PATIENCE = 1.0  # seconds to wait for another process that has a gallery open
_PATIENCE_PROMISED = 60.0  # for one that has promised to let go
_PROMISE = "promise"
_PAUSE = 0.05


class _OpenElsewhere(GalleryError):
    """Another process has the gallery open."""


def swap(old: Path, new: Path, kept: Path, *, states: tuple[GalleryAbout, GalleryAbout]) -> None:
    """Put one gallery in the place of another, which stays under a third name.

    The path never leads nowhere. Where the process is killed on the way, the old gallery has two
    names, and the same call goes on. No other process may have one of them open: it would go on
    writing into the file that was replaced. A server lets go of them by itself.

    Args:
        old: the gallery that is replaced.
        new: the gallery that takes its place; its name is then free.
        kept: another name for the old one, in its folder.
        states: what both said of themselves when they were compared.

    Raises:
        GalleryError: one is open elsewhere or has changed, `kept` is taken, or the system refuses.
    """
    begun = time.monotonic()
    with _announced(old), _announced(new):
        while True:
            try:
                return _swap(old, new, kept, states)
            except _OpenElsewhere:
                promised = any((_folder(one) / _PROMISE).exists() for one in (old, new))
                patience = _PATIENCE_PROMISED if promised else _PATIENCE
                if time.monotonic() - begun > patience:
                    raise
                time.sleep(_PAUSE)


def swap_waits(path: Path) -> bool:
    """Return whether a swap of another process waits for a gallery, or is under way."""
    folder = _folder(path)
    if not folder.exists():
        return False
    try:
        with locked(folder, "a swap"):
            (folder / _PROMISE).unlink(missing_ok=True)
    except ArcwiseError:
        return True
    with suppress(OSError):  # the next swap has it already
        folder.rmdir()
    return False


def promise_to_let_go(path: Path) -> None:
    """Let a swap that waits for a gallery wait until this process has closed it."""
    with suppress(FileNotFoundError):
        (_folder(path) / _PROMISE).touch()


def wait_for_swap(path: Path) -> None:
    """Return when no swap has to do with a gallery any more, which this process has closed."""
    while swap_waits(path):
        time.sleep(_PAUSE)


def _folder(path: Path) -> Path:
    return path.with_name(f"{path.name}.swap")


@contextmanager
def _announced(path: Path) -> Generator[None]:
    """Say that a swap waits for a gallery.

    Raises:
        GalleryError: another swap does.
    """
    with translate_errors(path, error=GalleryError), locked(_folder(path), "a swap"):
        (_folder(path) / _PROMISE).unlink(missing_ok=True)  # to one that was killed
        yield


def _swap(old: Path, new: Path, kept: Path, states: tuple[GalleryAbout, GalleryAbout]) -> None:
    # The old one is let go first: what SQLite then clears away has the name that the new one bears.
    try:
        with (
            translate_errors(old, action="replaced", error=GalleryError),
            _alone(new, states[1]),
            _alone(old, states[0]),
        ):
            check_free(kept, old)
            shutil.copymode(old, new)
            if not kept.exists():
                os.link(old, kept)
            try:
                os.replace(new, old)
            except BaseException:
                kept.unlink()
                raise
            for folder in {old.parent, new.parent}:
                sync(folder)
    finally:
        for path in (old, new):  # with their write-ahead logs again
            if path.exists():
                connect(path, writable=True).close()


def check_free(kept: Path, old: Path) -> None:
    """Refuse a name that another file than the old gallery bears.

    Raises:
        GalleryError: there is such a file.
    """
    if os.path.lexists(kept) and not (kept.exists() and kept.samefile(old)):
        raise GalleryError(
            f"{kept} exists, where {old} would be kept; move it away, or remove it, and swap again"
        )


@contextmanager
def _alone(path: Path, state: GalleryAbout) -> Generator[None]:
    """Keep every other process out of a gallery, which has nothing in files next to it meanwhile.

    Raises:
        GalleryError: another process has it open, or it is not in this state any more.
    """
    with closing(connect(path, writable=True)) as connection:
        with translate_sqlite_errors(path), _translated_open(path):
            connection.execute("PRAGMA busy_timeout=0")  # `swap` has the patience
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            # A log left behind would be taken for that of the file that gets this name.
            (mode,) = connection.execute("PRAGMA journal_mode=DELETE").fetchone()
            connection.execute("BEGIN EXCLUSIVE")
        if mode != "delete":
            raise GalleryError(f"{path}: its write-ahead log cannot be closed; swap again")
        with translate_sqlite_errors(path):
            now = about_now(connection)
        if now != state:
            raise GalleryError(f"{path}: changed meanwhile; the same command takes it in and swaps")
        yield
        connection.execute("ROLLBACK")


@contextmanager
def _translated_open(path: Path) -> Generator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
        raise _OpenElsewhere(
            f"{path}: another process has it open (a search, a notebook); stop it, and swap again"
        ) from error
