"""Connections to a PostgreSQL server, its transactions, and what its errors mean."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, LiteralString

import psycopg
from psycopg import Connection, Cursor, errors, pq, sql

from arcwise.errors import GalleryError, in_one_line
from arcwise.gallery.contract import NO_SUCH_GALLERY, DamagedGallery, UnavailableGallery
from arcwise.gallery.damage import Damage
from arcwise.gallery.postgres.address import PostgresAddress
from arcwise.gallery.postgres.rows import ABOUT, GalleryRow, about_values, read_about

_MOST = 8  # connections that one open gallery keeps
_PATIENCE: LiteralString = "10s"  # to wait for another one's change
_SETTINGS = {
    "client_encoding": "UTF8",
    "application_name": "arcwise",
    "connect_timeout": 10,
    "tcp_user_timeout": 30_000,  # a server whose machine is gone answers nothing, for ever
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
# A scan would be compiled anew for each query, which takes longer than it saves.
_READ: LiteralString = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL jit TO off"
_WRITE: LiteralString = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
# The settings of a role or a server may not take back what an acknowledgement says.
_DURABLE: LiteralString = (
    "SELECT set_config('synchronous_commit', 'on', true) "
    "WHERE current_setting('synchronous_commit') = 'off'"
)
_LOST = (
    errors.AdminShutdown,
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.IdleSessionTimeout,
    errors.IdleInTransactionSessionTimeout,
)


def connect(address: PostgresAddress) -> Connection[tuple[Any, ...]]:
    """Return a connection on which every statement is its own transaction, or BEGIN begins one.

    Raises:
        psycopg.Error: there is no server, or it refuses.
    """
    settings = {**_SETTINGS, **address.parameters, "client_encoding": "UTF8"}
    # Statements are not prepared: a pooler between us and the server may not keep them.
    return psycopg.connect("", autocommit=True, prepare_threshold=None, **settings)  # type: ignore[arg-type]


class Connections:
    """The connections of an open gallery, for any number of threads.

    A thread has one to itself for the length of a call, so that a call waits for another one only
    where the server makes it wait. None outlives an error: after a restart of the server, one call
    fails, and the next one connects again.

    Attributes:
        address: where the gallery is.
        about: what the gallery said of itself when it was opened.
    """

    def __init__(
        self,
        address: PostgresAddress,
        vectors: str,
        first: Connection[tuple[Any, ...]],
        *,
        writable: bool,
    ) -> None:
        self.address = address
        self._process = os.getpid()
        self._writable = writable
        self._closed = False
        self._lock = threading.Lock()
        self._room = threading.BoundedSemaphore(_MOST)
        self._idle = [first]
        path = sql.SQL("SET LOCAL search_path TO {}, {}, pg_temp").format(
            sql.Identifier(address.schema), sql.Identifier(vectors)
        )
        about = sql.SQL(f"SELECT {ABOUT} FROM about")
        patience = sql.SQL(f"SET LOCAL lock_timeout TO '{_PATIENCE}'")
        begin = sql.SQL("; ")
        self._read = begin.join([sql.SQL(_READ), path, about])
        self._write = begin.join(
            [sql.SQL(_WRITE), path, patience, sql.SQL(_DURABLE), about + sql.SQL(" FOR UPDATE")]
        )
        self.about: GalleryRow | None = None

    @property
    def closed(self) -> bool:
        """Whether they were closed."""
        return self._closed

    def close(self) -> None:
        """Close all connections, those in use when their call is done."""
        with self._lock:
            self._closed = True
        if self._process == os.getpid():  # in a fork, they are still the parent's
            self._drop_idle()

    @contextmanager
    def reading(self, *, own: bool = False) -> Iterator[tuple[Cursor[tuple[Any, ...]], GalleryRow]]:
        """Yield a cursor in a transaction that sees one state of the gallery, and what that is.

        Args:
            own: whether it may last, and takes no connection from the calls of other threads.
        """
        with self.translated(), self._one(own=own) as connection:
            about = self._begin(connection, self._read)
            with connection.cursor(binary=True) as cursor:
                yield cursor, about
            connection.execute("COMMIT")

    @contextmanager
    def writing(self) -> Iterator[PostgresChange]:
        """Yield a change, which is made at the end of the block, or not at all if that raises."""
        if not self._writable:
            raise GalleryError(
                f"{self.address.shown}: opened with mode='r'; open it without, to write"
            )
        committing = False
        with self.translated(), self._one() as connection:
            try:
                about = self._begin(connection, self._write)
                with connection.cursor(binary=True) as cursor:
                    change = PostgresChange(cursor, about)
                    yield change
                    change.write()
                committing = True
                status = connection.execute("COMMIT").statusmessage
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                if committing:
                    raise UnavailableGallery(
                        self.address.shown,
                        "the connection was lost while the change was being committed; it is made "
                        "as a whole or not at all: look, and then repeat it",
                    ) from error
                raise
            if status != "COMMIT":
                raise GalleryError(f"{self.address.shown}: not committed ({status})")

    @contextmanager
    def alone(self) -> Iterator[Connection[tuple[Any, ...]]]:
        """Yield a connection outside a transaction, with nothing set."""
        with self.translated(), self._one(own=True) as connection:
            yield connection

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn psycopg's errors and damage in a block into errors that name the gallery."""
        try:
            yield
        except Damage as error:
            raise DamagedGallery(
                f"{self.address.shown} is damaged ({error}): restore it from a copy, or enrol "
                "again",
                error.templates,
            ) from error
        except psycopg.Error as error:
            raise gallery_error(self.address, error, opened=self.about is not None) from error

    @contextmanager
    def _one(self, *, own: bool = False) -> Iterator[Connection[tuple[Any, ...]]]:
        if self._closed:
            raise GalleryError(f"{self.address.shown}: the gallery is closed; open it again")
        if self._process != os.getpid():  # one connection would have two ends here
            raise GalleryError(
                f"{self.address.shown}: opened before a fork; open it in each process"
            )
        if own:
            with connect(self.address) as connection:
                yield connection
            return
        with self._room:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                connection = connect(self.address)
            try:
                yield connection
            finally:
                self._put_back(connection)

    def _put_back(self, connection: Connection[tuple[Any, ...]]) -> None:
        state = pq.TransactionStatus
        if connection.info.transaction_status in (state.INTRANS, state.INERROR):
            with suppress(psycopg.Error):
                connection.execute("ROLLBACK")
        with self._lock:
            if connection.info.transaction_status == state.IDLE and not self._closed:
                self._idle.append(connection)
                return
        if connection.closed:
            self._drop_idle()  # they go to the same server, which is not there any more
        connection.close()

    def _drop_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _begin(self, connection: Connection[tuple[Any, ...]], begin: sql.Composed) -> GalleryRow:
        cursor = connection.execute(begin)
        while cursor.nextset():
            pass
        rows = cursor.fetchall()
        if len(rows) != 1:
            raise Damage("what it says of itself")
        about = read_about(rows[0])
        if self.about is not None and about.created != self.about.created:
            raise GalleryError(f"{self.address.shown}: replaced while it was open; open it again")
        return about


class PostgresChange:
    """A change of a gallery in the making.

    Attributes:
        cursor: in the transaction.
        about: what the gallery says of itself, and is to say.
    """

    def __init__(self, cursor: Cursor[tuple[Any, ...]], about: GalleryRow) -> None:
        self.cursor = cursor
        self.about = about
        self._written = about

    def count(self, **more: int) -> None:
        """Count more templates (or fewer) in what the gallery says of itself."""
        now = {name: getattr(self.about, name) + number for name, number in more.items()}
        self.about = replace(self.about, **now)

    def write(self) -> None:
        """Write what the gallery says of itself, where that has changed."""
        if self.about != self._written:
            places = ", ".join(["%s"] * len(about_values(self.about)))
            self.cursor.execute(
                f"UPDATE about SET ({ABOUT}) = ROW({places})".encode(), about_values(self.about)
            )


def gallery_error(  # noqa: PLR0911 - one case a line
    address: PostgresAddress, error: psycopg.Error, *, opened: bool
) -> GalleryError:
    """Return what an error of psycopg's means, in one line that names the gallery."""
    shown, said = address.shown, address.without_password(in_one_line(error, 300))
    match error:
        case errors.UndefinedTable() | errors.InvalidSchemaName() if opened:
            return GalleryError(f"{shown}: deleted while it was open; open it again")
        case errors.UndefinedTable() | errors.InvalidSchemaName():
            return GalleryError(f"{shown}: {NO_SUCH_GALLERY}")
        case errors.LockNotAvailable():
            outcome = f"somebody else kept it busy for {_PATIENCE}; try again"
            return UnavailableGallery(shown, outcome)
        case errors.DataCorrupted() | errors.IndexCorrupted():
            return DamagedGallery(
                f"{shown} is damaged ({said}): restore it from a copy, or enrol again"
            )
        case errors.InsufficientPrivilege():
            return UnavailableGallery(shown, "the user may not do that", said)
        case errors.DiskFull():
            return UnavailableGallery(shown, "the server's disk is full; nothing was written")
        case errors.ReadOnlySqlTransaction():
            return UnavailableGallery(shown, "the server does not take changes", said)
        case errors.QueryCanceled():
            return UnavailableGallery(shown, "the server stopped the call", said)
        case psycopg.OperationalError() if not opened:
            return UnavailableGallery(shown, "no connection to the server", said)
        case psycopg.Error() if isinstance(error, _LOST) or (
            error.sqlstate is None and isinstance(error, psycopg.OperationalError)
        ):
            outcome = (
                "the server cannot be reached, or ended the connection; nothing was changed by "
                "this call, the next one connects again"
            )
            return UnavailableGallery(shown, outcome, said)
        case _:
            return GalleryError(f"{shown}: {said}")
