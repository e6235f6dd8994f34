"""The gallery in one file: SQLite holds the truth, memory holds the matrix that is searched."""

from __future__ import annotations

import json
import operator
import os
import sqlite3
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace as replaced
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from arcwise.errors import GalleryError, suggestion
from arcwise.gallery import records
from arcwise.gallery.calibration import GalleryCalibration, GallerySize
from arcwise.gallery.contract import Enrolment, Health, Hit, Receipt, Verification
from arcwise.gallery.file import connect, told
from arcwise.gallery.scan import Found, Scan
from arcwise.gallery.vectors import checked_batch, checked_queries, units
from arcwise.identity import identity_key


class EmbeddedGallery:
    """A gallery in one file, for any number of threads and processes; see `Gallery`.

    Every change is a transaction of the file, and the matrix in memory only ever follows the
    file: before each answer it takes in what other processes committed since.
    """

    def __init__(self, path: Path, *, writable: bool = True) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._connection: sqlite3.Connection | None = connect(path, writable=writable)
        self._writable = writable
        self._file = _file_number(path)
        self._version: int | None = None  # SQLite's count of others' commits, as last followed
        try:
            with self._session() as connection:
                self._about = records.read_about(connection)
                self._forget()
                self._follow(connection)
        except BaseException:
            self.close()
            raise

    @property
    def dim(self) -> int:
        """Dimensions of every vector."""
        return self._about.dim

    @property
    def fingerprint(self) -> str | None:
        """The model that made the vectors; None where the gallery was created without one."""
        return self._about.fingerprint

    @property
    def model_path(self) -> str | None:
        """Where that model lay when the gallery was created."""
        return self._about.model

    def __len__(self) -> int:
        """How many templates there are."""
        with self._current():
            return len(self._scan)

    def identities(self) -> list[str]:
        """Every enrolled identity once, sorted."""
        with self._current():
            return self._scan.identities()

    def forms(self, identity: str) -> list[str]:
        """How an identity is written in the file, the first enrolled form first; none if unknown.

        A gallery can hold several where `1` and `001` were enrolled, or an older Arcwise wrote it.
        """
        with self._current():
            return self._scan.forms(identity)

    def metadata(self, identity: str) -> list[dict[str, Any]]:
        """The JSON object of each template of an identity, the oldest first; none if unknown."""
        with self._current():
            return [json.loads(one) for one in self._scan.metadata_of(identity)]

    def counts(self) -> dict[str, int]:
        """How many templates each enrolled identity has, in the order of `identities`."""
        with self._current():
            return self._scan.counts()

    def size(self) -> GallerySize:
        """How many identities and templates there are."""
        with self._current():
            counts, newest = list(self._scan.counts().values()), self._scan.newest()
        fewest, most = min(counts, default=0), max(counts, default=0)
        return GallerySize(len(counts), sum(counts), fewest, most, newest)

    @property
    def calibration(self) -> GalleryCalibration | None:
        """What was measured against this gallery, as it was then; None where nothing was.

        Raises:
            ArcwiseError: it is of another version.
        """
        with self._session() as connection:
            text = records.read_calibration(connection)
        return None if text is None else GalleryCalibration.from_json(text)

    def keep_calibration(self, calibration: GalleryCalibration) -> None:
        """Put what was measured against this gallery in the place of what was before."""
        with self._writing() as connection:
            records.write_calibration(connection, calibration.as_json())

    def enrol(self, items: Iterable[Enrolment], *, replace: bool = False) -> Receipt:
        """The receipt for a batch that is now on disk, whole.

        Written forms of one identity (`arcwise.identity`) are one: it is stored in NFC and without
        blanks at its ends, and shown in the form that was enrolled first. A warning names numbers
        that are joined so (`7` to `007`).

        Args:
            items: (identity, vector) or (identity, vector, metadata); vectors (D,), finite, of
                length 1 to 1e-3; metadata a JSON object.
            replace: remove what was enrolled before for these identities, in the same step.

        Raises:
            GalleryError: names the bad item; nothing of the batch is written.
        """
        batch = checked_batch(items, self.dim)
        if not len(batch):
            return Receipt(())
        with self._writing() as connection:
            joined = self._joined(batch.identities)
            old = (
                [
                    one
                    for name in {identity_key(one): one for one in batch.identities}.values()
                    for one in self._templates(name)
                ]
                if replace
                else []
            )
            ids = records.insert(connection, self._about.last, batch)
            if old:
                records.erase(connection, self._about.removals, old)
            self._record(connection, added=len(ids), removed=len(old))
        if joined:
            warnings.warn(
                f"{self.path}: equal numbers are one identity: {', '.join(joined)}", stacklevel=2
            )
        if old:
            self._purge()
        return Receipt(tuple(ids), len(old))

    def remove(self, identity: str) -> int:
        """How many templates of the identity were removed; their bytes are gone from the file.

        Those of all its written forms (`arcwise.identity`) are.

        Raises:
            GalleryError: nobody of that name is enrolled; suggests a close one.
        """
        with self._writing() as connection:
            old = self._templates(identity, known=True)
            records.erase(connection, self._about.removals, old)
            self._record(connection, added=0, removed=len(old))
        self._purge()
        return len(old)

    def search(self, vectors: ArrayLike, k: int = 5) -> list[list[Hit]]:
        """The K closest identities of each query, closest first.

        Args:
            vectors: queries (N, D), or one (D,), of length 1 to 1e-3.
            k: how many identities; fewer come back where fewer are enrolled.

        Returns:
            N lists of hits; equal similarities are in the order of their identities.

        Raises:
            GalleryError: names the bad query.
        """
        k = _count(k)
        queries = checked_queries(vectors, self.dim)
        with self._current():
            return [[self._hit(one) for one in found] for found in self._scan.search(queries, k)]

    def verify(self, identity: str, vector: ArrayLike) -> Verification:
        """The largest cosine of a vector (D,) with an identity's templates.

        Raises:
            GalleryError: nobody of that name is enrolled; suggests a close one.
        """
        query = checked_queries(vector, self.dim)
        if len(query) != 1:
            raise GalleryError(f"verify compares one vector; got {len(query)}")
        with self._current():
            self._templates(identity, known=True)
            similarities = self._scan.similarities(identity, query[0])
        return Verification(float(similarities.max()), len(similarities))

    def check(self) -> Health:
        """What a full reading of the file found.

        Raises:
            DamagedGallery: names the rows that are not what was written.
        """
        with self._session(), closing(connect(self.path, writable=False)) as fresh:
            fresh.execute("BEGIN")
            problems = fresh.execute("PRAGMA integrity_check(3)").fetchall()
            if problems != [("ok",)]:
                raise records.Damage("; ".join(text for (text,) in problems))
            about = records.read_about(fresh)
            count, names = 0, set()
            for rows in records.read_rows(fresh, about.dim):
                count += len(rows.templates)
                names.update(map(identity_key, rows.identities))
            _compare_count(count, about.templates)
        return Health(count, len(names))

    def close(self) -> None:
        """Nothing; the gallery cannot be used afterwards."""
        with self._lock:
            if self._connection is not None and self._process == os.getpid():
                with told(self.path):
                    self._connection.close()
            self._connection = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._connection is None else f"{self._about.templates} templates"
        return f"<gallery {self.path}: {state}, {self.dim} dimensions>"

    @contextmanager
    def _session(self) -> Iterator[sqlite3.Connection]:
        """A block that has the gallery to itself, on a connection that may be used."""
        with self._lock, told(self.path):
            if self._connection is None:
                raise GalleryError(f"{self.path}: the gallery is closed; open it again")
            if self._process != os.getpid():  # SQLite's locks do not survive a fork
                raise GalleryError(f"{self.path}: opened before a fork; open it in each process")
            yield self._connection

    @contextmanager
    def _current(self) -> Iterator[None]:
        """A block in which the matrix holds everything that was committed before it began."""
        with self._session() as connection:
            self._follow(connection)
            yield

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A block whose changes are on disk after it, all of them, or none if it raises."""
        with self._session() as connection:
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

    def _follow(self, connection: sqlite3.Connection) -> None:
        """Nothing; brings the matrix to the state of the file."""
        if _file_number(self.path) != self._file:
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
        about = records.read_about(connection)
        removals = records.read_removals(connection, self._about.removals)
        if len(removals) != about.removals - self._about.removals:  # too far behind
            self._forget()
        elif removals:
            self._scan.remove(removals)
        if not len(self._scan):
            self._scan.reserve(about.templates)
        for rows in records.read_rows(connection, about.dim, after=self._about.last):
            exact = units(rows.vectors).astype(np.float32)
            self._scan.append(rows.templates, rows.identities, exact, rows.metadata)
        _compare_count(len(self._scan), about.templates)
        self._about = about

    def _forget(self) -> None:
        """Nothing; empties the matrix, to be read again from the beginning."""
        self._version = None
        self._about = replaced(self._about, templates=0, last=0, removals=0, erased=0)
        self._scan = Scan(self._about.dim)

    def _record(self, connection: sqlite3.Connection, *, added: int, removed: int) -> None:
        about = replaced(
            self._about,
            templates=self._about.templates + added - removed,
            last=self._about.last + added,
            removals=self._about.removals + removed,
            erased=self._about.erased + removed,
        )
        records.write_about(connection, records.compact(connection, about))

    def _purge(self) -> None:
        """Nothing; moves the write-ahead log into the file and cuts it to nothing."""
        with self._session() as connection:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            warnings.warn(
                f"{self.path}: removed, but the bytes stay in {self.path.name}-wal until the next "
                "removal or the last closing, because another process is reading",
                stacklevel=3,
            )

    def _joined(self, identities: Iterable[str]) -> list[str]:
        """What to say of identities that are enrolled in another written form, or just were."""
        first: dict[str, str] = {}
        said = []
        for one in dict.fromkeys(identities):
            form = (self._scan.forms(one) or [first.setdefault(identity_key(one), one)])[0]
            if form != one:
                said.append(f"{one!r} goes to {form!r}")
        return said

    def _templates(self, identity: str, *, known: bool = False) -> list[int]:
        if known and identity not in self._scan:
            others = self.identities()
            hint = f"{len(others)} others are" if others else "the gallery is empty"
            hint = suggestion(str(identity), others) or hint
            raise GalleryError(f"{self.path}: {identity!r} is not enrolled; {hint}")
        return self._scan.templates(identity)

    def _hit(self, found: Found) -> Hit:
        similarity, row = found
        return Hit(
            self._scan.identity(row),
            similarity,
            self._scan.template(row),
            json.loads(self._scan.metadata(row)),
        )


def _compare_count(found: int, expected: int) -> None:
    if found != expected:
        raise records.Damage(f"{found} templates found, {expected} expected")


def _count(k: int) -> int:
    try:
        count = operator.index(k)
    except TypeError:
        count = 0
    if count < 1:
        raise GalleryError(f"k is {k!r}; expected how many identities to return, 1 or more")
    return count


def _file_number(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
