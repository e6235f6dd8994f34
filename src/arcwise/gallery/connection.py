"""Opening, creating and speaking to the SQLite file of a gallery."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from arcwise.errors import GalleryError
from arcwise.files import atomic_write
from arcwise.gallery.changes import WITH_CHANGES
from arcwise.gallery.contract import NO_SUCH_GALLERY, DamagedGallery
from arcwise.gallery.damage import Damage
from arcwise.gallery.sql import SCHEMA, About, write_about

APPLICATION = 0x41726377  # "Arcw", where SQLite keeps the name of the program a file belongs to
VERSION = 1
"""Of a new gallery. With the first quality that is stored in it, it becomes `sql.WITH_QUALITY`, and
with the first thumbnail or amendment `changes.WITH_CHANGES`."""

_PATIENCE = 10.0  # seconds to wait for another process's write

_NO_ROOM = frozenset(
    (sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP, sqlite3.SQLITE_IOERR_SHMOPEN)
)
"""No room next to the file for the index that the processes using it share."""


def connect(path: Path, *, writable: bool) -> sqlite3.Connection:
    """Return a connection to the gallery at a path, which is one and of a version we read.

    Raises:
        GalleryError: there is no such file, or it is something else.
    """
    if not path.exists():
        raise GalleryError(f"{path}: {NO_SUCH_GALLERY}")
    if not path.is_file():
        raise GalleryError(f"{path} is not a file; a gallery is one file, such as shop.gallery")
    number = file_number(path)
    with translate_sqlite_errors(path):
        try:
            return _opened(path, number, writable=writable)
        except sqlite3.OperationalError as error:
            if writable or error.sqlite_errorcode not in _NO_ROOM:
                raise
        # On a full disk it is read with that index in memory. SQLite allows this to a process that
        # has locked all others out until it closes the file, and refuses it while another has it
        # open, so that nothing can be written unseen.
        return _opened(path, number, writable=False, alone=True)


def _opened(
    path: Path, number: tuple[int, int] | None, *, writable: bool, alone: bool = False
) -> sqlite3.Connection:
    """Return a connection to a gallery, which no other process uses at the same time if `alone`."""
    connection = _connection(path)
    try:
        if alone:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        _identify(connection, path)
        _settle(connection)
        if writable and number == file_number(path):
            _write_ahead(connection)
        # Not SQLite's own read-only mode: a last reader in that mode leaves -wal and -shm.
        connection.execute(f"PRAGMA query_only={'OFF' if writable else 'ON'}")
    except BaseException:
        connection.close()
        raise
    return connection


def is_alone(connection: sqlite3.Connection) -> bool:
    """Return whether a connection has locked all others out."""
    return connection.execute("PRAGMA locking_mode").fetchone() == ("exclusive",)


def create(path: Path, about: About) -> None:
    """Make an empty gallery at a path where there is no file yet.

    The file is there whole or not at all. Of two processes that create the same gallery, one does,
    and the other uses what the first has made.

    Raises:
        GalleryError: the folder is missing, or cannot hold a gallery.
    """
    if not path.parent.is_dir():
        raise GalleryError(f"{path}: the folder {path.parent} does not exist; make it first")
    try:
        with atomic_write(path, overwrite=False, error=GalleryError) as new:
            try:
                with translate_sqlite_errors(path), closing(_connection(new, create=True)) as one:
                    _fill(one, path, about)
            finally:
                for suffix in ("-wal", "-shm"):
                    Path(f"{new}{suffix}").unlink(missing_ok=True)
    except GalleryError:
        if not path.exists():
            raise


def _fill(connection: sqlite3.Connection, path: Path, about: About) -> None:
    connection.execute("PRAGMA page_size=16384")  # 4096 would waste three quarters
    if connection.execute("PRAGMA journal_mode=WAL").fetchone() != ("wal",):
        raise GalleryError(f"{path}: this file system cannot hold a gallery (no WAL)")
    _settle(connection)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(f"PRAGMA application_id={APPLICATION}")
    connection.execute(f"PRAGMA user_version={VERSION}")
    for statement in SCHEMA:
        connection.execute(statement)
    write_about(connection, about)
    connection.execute("COMMIT")


def file_number(path: Path) -> tuple[int, int] | None:
    """Return what tells the file at a path from another one; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


@contextmanager
def translate_sqlite_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors and damage in a block into errors that name the gallery."""
    try:
        yield
    except Damage as error:
        raise _damaged(path, str(error), error.templates) from error
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code in _NO_ROOM:
            raise GalleryError(
                f"{path}: the disk failed or is full ({error}), and there is no room next to the "
                "file for what SQLite needs to use it; make room, or search in a copy elsewhere"
            ) from error
        raise _translated(path, None if code is None else code & 0xFF, error) from error


def _translated(path: Path, code: int | None, error: sqlite3.Error) -> GalleryError:
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return GalleryError(
            f"{path}: another process kept it busy for {_PATIENCE:g} seconds; try again"
        )
    if code == sqlite3.SQLITE_READONLY:
        return GalleryError(
            f"{path}: the file, or its folder, cannot be written, which SQLite needs even for "
            "searching; give it the right, or search in a copy"
        )
    if code == sqlite3.SQLITE_CANTOPEN:
        return GalleryError(
            f"{path}: cannot be opened; its folder must be writable, and have room for a "
            "file, even for searching"
        )
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
        return GalleryError(f"{path}: the disk failed or is full ({error}); nothing was written")
    return _damaged(path, str(error))


def _damaged(path: Path, what: str, templates: tuple[int, ...] = ()) -> DamagedGallery:
    return DamagedGallery(
        f"{path} is damaged ({what}): restore it from a copy, or enrol again", templates
    )


def _connection(path: Path, *, create: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}",
        uri=True,
        timeout=_PATIENCE,
        isolation_level=None,  # transactions are ours: BEGIN IMMEDIATE, never an implicit one
        check_same_thread=False,  # the gallery's lock does it
    )


def _identify(connection: sqlite3.Connection, path: Path) -> None:
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise GalleryError(f"{path} is not a gallery, or its beginning is damaged") from error
        raise
    if application != APPLICATION:
        raise GalleryError(f"{path} is not a gallery, or its beginning is damaged")
    if not VERSION <= version <= WITH_CHANGES:
        raise GalleryError(
            f"{path}: a gallery of version {version}; this Arcwise reads versions {VERSION} to "
            f"{WITH_CHANGES}: use the Arcwise that wrote it"
        )


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Go back to the write-ahead log in a file that was renamed, which is done without one."""
    if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
        with suppress(sqlite3.OperationalError):  # others read it; it is sound either way
            connection.execute("PRAGMA journal_mode=WAL")


def _settle(connection: sqlite3.Connection) -> None:
    """Set what SQLite does not keep in the file."""
    connection.execute("PRAGMA synchronous=FULL")  # in WAL mode: one fsync before each ack
    connection.execute("PRAGMA fullfsync=ON")  # macOS only, where fsync alone stops at the drive
    connection.execute("PRAGMA checkpoint_fullfsync=ON")
    connection.execute("PRAGMA secure_delete=ON")
    connection.execute("PRAGMA cell_size_check=ON")
