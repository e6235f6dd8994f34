"""One gallery takes the place of another: the file at the path is one of the two at any moment."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from arcwise.errors import GalleryError
from arcwise.files import sync, translate_errors
from arcwise.gallery.connection import connect, translate_sqlite_errors
from arcwise.gallery.contract import GalleryAbout
from arcwise.gallery.stored import about_now

_PATIENCE = 1000  # milliseconds to wait for another process that has a gallery open


def swap(old: Path, new: Path, kept: Path, *, states: tuple[GalleryAbout, GalleryAbout]) -> None:
    """Put one gallery in the place of another, which stays under a third name.

    The path never leads nowhere. Where the process is killed on the way, the old gallery has two
    names, and the same call goes on. No other process may have one of them open: it would go on
    writing into the file that was replaced.

    Args:
        old: the gallery that is replaced.
        new: the gallery that takes its place; its name is then free.
        kept: another name for the old one, in its folder.
        states: what both said of themselves when they were compared.

    Raises:
        GalleryError: one is open elsewhere or has changed, `kept` is taken, or the system refuses.
    """
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
def _alone(path: Path, state: GalleryAbout) -> Iterator[None]:
    """Keep every other process out of a gallery, which has nothing in files next to it meanwhile.

    Raises:
        GalleryError: another process has it open, or it is not in this state any more.
    """
    with closing(connect(path, writable=True)) as connection:
        with translate_sqlite_errors(path), _open_elsewhere(path):
            connection.execute(f"PRAGMA busy_timeout={_PATIENCE}")
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
def _open_elsewhere(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise
        raise GalleryError(
            f"{path}: another process has it open (a server, a search); stop it, and swap again"
        ) from error
