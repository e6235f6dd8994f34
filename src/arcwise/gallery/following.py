"""An open gallery file, and the matrix in memory that follows it."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from arcwise.errors import GalleryError
from arcwise.gallery import sql
from arcwise.gallery.connection import connect, file_number, translate_sqlite_errors
from arcwise.gallery.matrix import TemplateMatrix
from arcwise.gallery.vectors import units


class FollowedFile:
    """A gallery's file, shared with other threads and processes, and its templates in memory.

    Every change is a transaction of the file. The matrix only ever follows the file: before each
    answer it takes in what other processes committed since.

    Attributes:
        path: the file.
        about: what the gallery says of itself, as last followed.
        matrix: the templates, as last followed.
    """

    def __init__(self, path: Path, *, writable: bool) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._file = file_number(path)  # before it is opened: it may be replaced at any moment
        self._connection: sqlite3.Connection | None = connect(path, writable=writable)
        self._writable = writable
        self._version: int | None = None  # SQLite's count of others' commits, as last followed
        try:
            with self.session() as connection:
                self.about = sql.read_about(connection)
                self._forget()
                self._follow(connection)
        except BaseException:
            self.close()
            raise

    @property
    def closed(self) -> bool:
        """Whether the file was closed."""
        return self._connection is None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None and self._process == os.getpid():
                with translate_sqlite_errors(self.path):
                    self._connection.close()
            self._connection = None

    @contextmanager
    def session(self) -> Iterator[sqlite3.Connection]:
        """Keep other threads out, and yield a connection that may be used."""
        with self._lock, translate_sqlite_errors(self.path):
            if self._connection is None:
                raise GalleryError(f"{self.path}: the gallery is closed; open it again")
            if self._process != os.getpid():  # SQLite's locks do not survive a fork
                raise GalleryError(f"{self.path}: opened before a fork; open it in each process")
            yield self._connection

    @contextmanager
    def current(self) -> Iterator[TemplateMatrix]:
        """Yield the matrix, which holds everything that was committed before the block began."""
        with self.session() as connection:
            self._follow(connection)
            yield self.matrix

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Put all changes of a block on disk at its end, or none if it raises."""
        with self.session() as connection:
            if not self._writable:
                raise GalleryError(f"{self.path}: opened with mode='r'; open it without, to write")
            connection.execute("BEGIN IMMEDIATE")
            try:
                self._follow(connection)
                yield connection
                self._version = None  # our own commits are not counted; follow them anyway
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            self._follow(connection)

    def record(self, connection: sqlite3.Connection, *, added: int, removed: int) -> None:
        """Write how many templates the gallery has after a change."""
        about = replace(
            self.about,
            templates=self.about.templates + added - removed,
            last=self.about.last + added,
            removals=self.about.removals + removed,
            erased=self.about.erased + removed,
        )
        sql.write_about(connection, sql.compact(connection, about))

    def purge(self) -> bool:
        """Cut the write-ahead log to nothing; return whether no reader was in the way."""
        with self.session() as connection:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def _follow(self, connection: sqlite3.Connection) -> None:
        """Bring the matrix to the state of the file."""
        if file_number(self.path) != self._file:
            raise GalleryError(f"{self.path}: deleted or replaced while it was open; open it again")
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        if version == self._version:
            return
        alone = not connection.in_transaction
        if alone:
            connection.execute("BEGIN")  # one state of the file, whoever writes meanwhile
        try:
            self._take_in(connection)
            self._version = version
        except BaseException:
            self._forget()
            raise
        finally:
            if alone and connection.in_transaction:
                connection.execute("COMMIT")

    def _take_in(self, connection: sqlite3.Connection) -> None:
        about = sql.read_about(connection)
        removals = sql.read_removals(connection, self.about.removals)
        if len(removals) != about.removals - self.about.removals:  # too far behind
            self._forget()
        elif removals:
            self.matrix.remove(removals)
        if not len(self.matrix):
            self.matrix.reserve(about.templates)
        for rows in sql.read_rows(connection, about.dim, after=self.about.last):
            exact = units(rows.vectors).astype(np.float32)
            self.matrix.append(
                rows.templates, rows.identities, exact, rows.metadata, rows.qualities
            )
        sql.compare_count(len(self.matrix), about.templates)
        self.about = about

    def _forget(self) -> None:
        """Empty the matrix, which is then read again from the beginning."""
        self._version = None
        self.about = replace(self.about, templates=0, last=0, removals=0, erased=0)
        self.matrix = TemplateMatrix(self.about.dim)
