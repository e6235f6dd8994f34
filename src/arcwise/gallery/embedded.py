"""The gallery in one file: the calls, on a file and the matrix in memory that follows it."""

from __future__ import annotations

import json
import operator
import warnings
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from numpy.typing import ArrayLike

from arcwise.errors import GalleryError, suggestion
from arcwise.gallery import sql
from arcwise.gallery.connection import connect
from arcwise.gallery.contract import (
    EnrolledTemplate,
    Enrolment,
    GalleryAbout,
    GalleryCalibration,
    GallerySize,
    Health,
    Hit,
    Receipt,
    VerificationScore,
)
from arcwise.gallery.following import FollowedFile
from arcwise.gallery.matrix import ScoredRow, TemplateMatrix
from arcwise.gallery.vectors import checked_batch, checked_queries
from arcwise.identity import identity_key


class EmbeddedGallery:
    """A gallery in one file, for any number of threads and processes; see `Gallery`."""

    def __init__(self, path: Path, *, writable: bool = True) -> None:
        self.path = path
        self._file = FollowedFile(path, writable=writable)

    @property
    def dim(self) -> int:
        """Dimensions of every vector."""
        return self._file.about.dim

    @property
    def fingerprint(self) -> str | None:
        """The model that made the vectors; None where the gallery was created without one."""
        return self._file.about.fingerprint

    @property
    def model_path(self) -> str | None:
        """Where that model lay when the gallery was created."""
        return self._file.about.model

    def about(self) -> GalleryAbout:
        """Return what the gallery says of itself now; no template is read."""
        with self._file.session() as connection:
            now = sql.read_about(connection)
        return GalleryAbout(
            now.dim, now.fingerprint, now.model, now.templates, now.last + now.removals
        )

    def __len__(self) -> int:
        """Return how many templates there are."""
        with self._file.current() as matrix:
            return len(matrix)

    def identities(self) -> list[str]:
        """Return every enrolled identity once, sorted."""
        with self._file.current() as matrix:
            return matrix.identities()

    def forms(self, identity: str) -> list[str]:
        """Return how an identity is written in the file, the first enrolled form first, or nothing.

        A gallery can hold several where `1` and `001` were enrolled, or an older Arcwise wrote it.
        """
        with self._file.current() as matrix:
            return matrix.forms(identity)

    def metadata(self, identity: str) -> list[dict[str, Any]]:
        """Return the JSON objects of an identity's templates, the oldest first; none if unknown."""
        with self._file.current() as matrix:
            return [json.loads(one) for one in matrix.metadata_of(identity)]

    def templates(self) -> list[EnrolledTemplate]:
        """Return every template, the oldest first."""
        with self._file.current() as matrix:
            every = [
                EnrolledTemplate(
                    matrix.template(row),
                    matrix.identity(row),
                    json.loads(matrix.metadata(row)),
                    matrix.quality(row),
                )
                for row in range(len(matrix))
            ]
        return sorted(every, key=lambda one: one.template)

    def counts(self) -> dict[str, int]:
        """Return how many templates each enrolled identity has, in the order of `identities`."""
        with self._file.current() as matrix:
            return matrix.counts()

    def size(self) -> GallerySize:
        """Return how many identities and templates there are."""
        with self._file.current() as matrix:
            counts, newest = list(matrix.counts().values()), matrix.newest()
        fewest, most = min(counts, default=0), max(counts, default=0)
        return GallerySize(len(counts), sum(counts), fewest, most, newest)

    @property
    def calibration(self) -> GalleryCalibration | None:
        """What was measured against this gallery, as it was then; None where nothing was.

        Raises:
            ArcwiseError: it is of another version.
        """
        with self._file.session() as connection:
            text = sql.read_calibration(connection)
        return None if text is None else GalleryCalibration.from_json(text)

    def keep_calibration(self, calibration: GalleryCalibration) -> None:
        """Put what was measured against this gallery in the place of what was before."""
        with self._file.writing() as connection:
            sql.write_calibration(connection, calibration.as_json())

    def enrol(self, items: Iterable[Enrolment], *, replace: bool = False) -> Receipt:
        """Enrol a batch and return its receipt, once it is on disk as a whole.

        Written forms of one identity (`arcwise.identity`) are one: it is stored in NFC and without
        blanks at its ends, and shown in the form that was enrolled first. A warning names numbers
        that are joined so (`7` to `007`).

        Args:
            items: (identity, vector), perhaps with metadata, perhaps with a quality after that;
                vectors (D,), finite, of length 1 to 1e-3; metadata a JSON object; a quality of 0 or
                more. With its first quality the file gets the version that stores it.
            replace: remove what was enrolled before for these identities, in the same step.

        Raises:
            GalleryError: names the bad item; nothing of the batch is written.
        """
        batch = checked_batch(items, self.dim)
        if not len(batch):
            return Receipt(())
        with self._file.writing() as connection:
            about, matrix = self._file.about, self._file.matrix
            joined = _joined(matrix, batch.identities)
            names = {identity_key(one): one for one in batch.identities}.values() if replace else ()
            old = [template for name in names for template in matrix.templates(name)]
            ids = sql.insert(connection, about.last, batch)
            if old:
                sql.erase(connection, about.removals, old)
            self._file.record(connection, added=len(ids), removed=len(old))
        if joined:
            warnings.warn(
                f"{self.path}: equal numbers are one identity: {', '.join(joined)}", stacklevel=2
            )
        if old:
            self._purge()
        return Receipt(tuple(ids), len(old))

    def remove(self, identity: str) -> int:
        """Remove an identity, all its written forms, and return how many templates it had.

        Their bytes are gone from the file.

        Raises:
            GalleryError: nobody of that name is enrolled; suggests a close one.
        """
        with self._file.writing() as connection:
            old = self._enrolled(self._file.matrix, identity)
            sql.erase(connection, self._file.about.removals, old)
            self._file.record(connection, added=0, removed=len(old))
        self._purge()
        return len(old)

    def search(self, vectors: ArrayLike, k: int = 5) -> list[list[Hit]]:
        """Return the K closest identities of each query, closest first.

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
        with self._file.current() as matrix:
            return [[_hit(matrix, one) for one in rows] for rows in matrix.search(queries, k)]

    def verify(self, identity: str, vector: ArrayLike) -> VerificationScore:
        """Return the largest cosine of a vector (D,) with an identity's templates.

        Raises:
            GalleryError: nobody of that name is enrolled; suggests a close one.
        """
        query = checked_queries(vector, self.dim)
        if len(query) != 1:
            raise GalleryError(f"verify compares one vector; got {len(query)}")
        with self._file.current() as matrix:
            self._enrolled(matrix, identity)
            similarities = matrix.similarities(identity, query[0])
        return VerificationScore(float(similarities.max()), len(similarities))

    def check(self) -> Health:
        """Read the whole file and return what there is.

        Raises:
            DamagedGallery: names the rows that are not what was written.
        """
        with self._file.session(), closing(connect(self.path, writable=False)) as fresh:
            fresh.execute("BEGIN")
            problems = fresh.execute("PRAGMA integrity_check(3)").fetchall()
            if problems != [("ok",)]:
                raise sql.Damage("; ".join(text for (text,) in problems))
            about = sql.read_about(fresh)
            count, names = 0, set()
            for rows in sql.read_rows(fresh, about.dim):
                count += len(rows.templates)
                names.update(map(identity_key, rows.identities))
            sql.compare_count(count, about.templates)
        return Health(count, len(names))

    def close(self) -> None:
        """Close the file; the gallery cannot be used afterwards."""
        self._file.close()

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
        state = "closed" if self._file.closed else f"{self._file.about.templates} templates"
        return f"<gallery {self.path}: {state}, {self.dim} dimensions>"

    def _purge(self) -> None:
        """Take the bytes of what was removed out of the write-ahead log, too."""
        if not self._file.purge():
            warnings.warn(
                f"{self.path}: removed, but the bytes stay in {self.path.name}-wal until the next "
                "removal or the last closing, because another process is reading",
                stacklevel=3,
            )

    def _enrolled(self, matrix: TemplateMatrix, identity: str) -> list[int]:
        """Return the templates of an identity; refuse one that has none."""
        if identity in matrix:
            return matrix.templates(identity)
        others = matrix.identities()
        hint = f"{len(others)} others are" if others else "the gallery is empty"
        hint = suggestion(str(identity), others) or hint
        raise GalleryError(f"{self.path}: {identity!r} is not enrolled; {hint}")


def _joined(matrix: TemplateMatrix, identities: Iterable[str]) -> list[str]:
    """Return what to say of identities that are enrolled in another written form, or just were."""
    first: dict[str, str] = {}
    joined = []
    for one in dict.fromkeys(identities):
        form = (matrix.forms(one) or [first.setdefault(identity_key(one), one)])[0]
        if form != one:
            joined.append(f"{one!r} goes to {form!r}")
    return joined


def _hit(matrix: TemplateMatrix, scored: ScoredRow) -> Hit:
    similarity, row = scored
    metadata = json.loads(matrix.metadata(row))
    return Hit(matrix.identity(row), similarity, matrix.template(row), metadata)


def _count(k: int) -> int:
    try:
        count = operator.index(k)
    except TypeError:
        count = 0
    if count < 1:
        raise GalleryError(f"k is {k!r}; expected how many identities to return, 1 or more")
    return count
