"""An open gallery file, and the matrix in memory that follows it."""

from __future__ import annotations

import itertools
import os
import secrets
import sqlite3
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np

from arcwise.errors import ArcwiseError, GalleryError
from arcwise.gallery import changes, sql
from arcwise.gallery.changes import Amendment
from arcwise.gallery.connection import connect, file_number, translate_sqlite_errors
from arcwise.gallery.damage import Damage
from arcwise.gallery.matrix import TemplateMatrix
from arcwise.gallery.snapshot import read_snapshot, snapshot_path, write_snapshot
from arcwise.gallery.vectors import units
from arcwise.identity import identity_key

SNAPSHOT_FROM = 50_000
"""Templates from which on a gallery that was written to leaves a snapshot."""


class FollowedFile:
    """A gallery's file, shared with other threads and processes, and its templates in memory.

    Every change is a transaction of the file. The matrix only ever follows the file: before each
    answer it takes in what other processes committed since.

    Attributes:
        path: the file.
        about: what the gallery says of itself, as last followed.
        matrix: the templates that take part, as last followed.
        amended: what templates are now that were changed since they were enrolled.
    """

    def __init__(self, path: Path, *, writable: bool) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._file = file_number(path)  # before it is opened: it may be replaced at any moment
        self._connection: sqlite3.Connection | None = connect(path, writable=writable)
        self._writable = writable
        self._version: int | None = None  # SQLite's count of others' commits, as last followed
        self._whole = False  # whether all was followed once
        try:
            with self.session() as connection:
                self.about = sql.read_about(connection)
                self._forget()
                self._take_snapshot(connection)
                self._follow(connection)
            self._whole = True
        except BaseException:
            self.close()
            raise

    @property
    def closed(self) -> bool:
        """Whether the file was closed."""
        return self._connection is None

    def close(self) -> None:
        """Close the file, with a new snapshot where one will pay."""
        with self._lock:
            if self._connection is not None and self._process == os.getpid():
                with translate_sqlite_errors(self.path):
                    try:
                        if self._writable and self._whole and self._snapshot_pays():
                            self._leave_snapshot(self._connection)
                    finally:
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
        if sql.worth_compacting(about):
            about = self._compacted(connection, about)
        sql.write_about(connection, about)

    def compact(self, connection: sqlite3.Connection) -> None:
        """Write all rows again, as they are now; nothing else of them is left."""
        sql.write_about(connection, self._compacted(connection, self.about))

    def _compacted(self, connection: sqlite3.Connection, about: sql.About) -> sql.About:
        amended = changes.read_amendments(connection) if changes.read_kept(connection) else {}
        now = {template: (one.identity, one.metadata) for template, one in amended.items()}
        about = sql.compact(connection, about, now)
        held = {key: one for key, one in amended.items() if one.quarantine is not None}
        changes.compact(connection, held)
        return about

    def templates_of(self, identity: str) -> list[int]:
        """Return the templates of an identity, those in quarantine too, as last followed."""
        key = identity_key(identity) if isinstance(identity, str) else ""
        held = [
            template
            for template, one in self.quarantined().items()
            if identity_key(one.identity) == key
        ]
        found = self.matrix.templates(identity) if identity in self.matrix else []
        return sorted([*held, *found])

    def check_present(self, templates: Sequence[int]) -> None:
        """Refuse a template that is not there, as last followed."""
        held = self.quarantined()
        for template in templates:
            if template not in held and self.matrix.row(template) is None:
                raise GalleryError(f"{self.path}: there is no template {template}")

    def erase(self, connection: sqlite3.Connection, templates: Sequence[int]) -> None:
        """Overwrite everything that is stored of templates."""
        sql.erase(connection, self.about.removals, templates)
        changes.erase(connection, templates, self.amended)

    def amend(self, templates: Sequence[int], change: Callable[[Amendment], Amendment]) -> None:
        """Change what templates are, all or none of them."""
        those = list(dict.fromkeys(templates))
        if not those:
            return
        with self.writing() as connection:
            self.check_present(those)
            amended = self.amended
            now = {template: amended[template] for template in those if template in amended}
            enrolled = [template for template in those if template not in amended]
            for rows in sql.read_rows(connection, self.about.dim, only=enrolled):
                for template, identity, metadata in zip(
                    rows.templates.tolist(), rows.identities, rows.metadata, strict=True
                ):
                    now[template] = Amendment(identity, metadata, None)
            changed = {template: change(now[template]) for template in those}
            changes.amend(connection, changed, amended)

    def _take_snapshot(self, connection: sqlite3.Connection) -> None:
        """Begin with what the gallery's snapshot holds, where it has one that is sound."""
        path, token = snapshot_path(self.path), sql.read_token(connection)
        try:
            found = read_snapshot(path, token)
        except (ValueError, KeyError, TypeError) as problem:
            warnings.warn(
                f"{path} is damaged ({problem}); the gallery is sound, and opens without it",
                stacklevel=2,
            )
            return
        if found is None:
            if self._writable:
                path.unlink(missing_ok=True)  # of another gallery, or of this one long ago
            return
        state = found.about
        about = sql.About(*state["about"])
        if about.removals != sql.read_about(connection).removals and self._writable:
            path.unlink(missing_ok=True)  # a removal was cut short: what was removed is in it
        self.matrix = TemplateMatrix.of_arrays(about.dim, found.arrays, state["names"])
        self.amended = {int(key): Amendment(*one) for key, one in state["amended"].items()}
        self.about, self._amendment = about, state["amendment"]
        self._in_snapshot = about.last

    def _snapshot_pays(self) -> bool:
        """Return whether a tenth of many templates would have to be read from the file."""
        new = self.about.last - self._in_snapshot
        return len(self.matrix) >= SNAPSHOT_FROM and new * 10 > len(self.matrix)

    def _leave_snapshot(self, connection: sqlite3.Connection) -> None:
        """Write a snapshot of the gallery as it was last followed, unless something is removed."""
        state = {
            "about": astuple(self.about),
            "amendment": self._amendment,
            "amended": {key: astuple(one) for key, one in self.amended.items()},
            "names": self.matrix.names(),
        }
        token, path = secrets.token_hex(16), snapshot_path(self.path)
        new = path.with_name(f"{path.name}-{token}")
        try:
            write_snapshot(new, token, state, self.matrix.arrays())
            connection.execute("BEGIN IMMEDIATE")
            if sql.read_about(connection).removals == self.about.removals:
                sql.write_token(connection, token)
                os.replace(new, path)
                connection.execute("COMMIT")
        except (OSError, ArcwiseError) as problem:  # a full disk: the gallery is whole without it
            warnings.warn(f"{path} could not be written ({problem})", stacklevel=3)
        finally:
            new.unlink(missing_ok=True)
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def purge(self) -> str:
        """Cut the write-ahead log to nothing; return what was in the way, if anything.

        The snapshot goes too, which has what was removed.
        """
        snapshot_path(self.path).unlink(missing_ok=True)
        self._in_snapshot = 0
        with self.session() as connection:
            try:
                busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
                    raise
                return f"the disk failed or is full ({error})"
        return "another process is reading" if busy else ""

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
            for template in removals:
                self.amended.pop(template, None)
        known, new = self.about.last, self._amendments(connection)
        if not len(self.matrix):
            self.matrix.reserve(about.templates)
        again = [template for template in new if template <= known]
        if again:
            self.matrix.remove(again)
            for rows in sql.read_rows(connection, about.dim, upto=known, only=again):
                self._append(rows)
        for rows in sql.read_rows(connection, about.dim, after=known):
            self._append(rows)
        sql.compare_count(len(self.matrix) + len(self.quarantined()), about.templates)
        self.about = about

    def quarantined(self) -> dict[int, Amendment]:
        """Return the templates in quarantine, as they are now."""
        return {key: one for key, one in self.amended.items() if one.quarantine is not None}

    def _amendments(self, connection: sqlite3.Connection) -> dict[int, Amendment]:
        """Take in what templates were changed since, and return it."""
        kept = changes.read_kept(connection)
        if kept is None or kept.last == self._amendment:
            return {}
        new = changes.read_amendments(connection, self._amendment)
        if not self._amendment and len(new) != kept.amendments:
            raise Damage(f"{len(new)} amendments found, {kept.amendments} expected")
        self._amendment = kept.last
        self.amended.update(new)
        return new

    def _append(self, rows: sql.TemplateRows) -> None:
        """Add templates to the matrix as they are now, but for those in quarantine."""
        identities, metadata = list(rows.identities), list(rows.metadata)
        takes_part = np.ones(len(identities), bool)
        for place, template in enumerate(rows.templates.tolist() if self.amended else ()):
            one = self.amended.get(template)
            if one is not None:
                identities[place], metadata[place] = one.identity, one.metadata
                takes_part[place] = one.quarantine is None
        self.matrix.append(
            rows.templates[takes_part],
            list(itertools.compress(identities, takes_part)),
            units(rows.vectors)[takes_part].astype(np.float32),
            list(itertools.compress(metadata, takes_part)),
            rows.qualities[takes_part],
        )

    def _forget(self) -> None:
        """Empty the matrix, which is then read again from the beginning."""
        self._version = None
        self._amendment = self._in_snapshot = 0
        self.amended: dict[int, Amendment] = {}
        self.about = replace(self.about, templates=0, last=0, removals=0, erased=0)
        self.matrix = TemplateMatrix(self.about.dim)
