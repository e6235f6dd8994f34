"""The gallery in one file: the calls, on a file and the matrix in memory that follows it."""

from __future__ import annotations

import json
import sqlite3
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from arcwise.errors import GalleryError, suggestion
from arcwise.gallery import changes, sql
from arcwise.gallery.connection import connect, is_alone, translate_sqlite_errors
from arcwise.gallery.contract import (
    EnrolledTemplate,
    Enrolment,
    GalleryAbout,
    GalleryCalibration,
    GallerySize,
    Health,
    Hit,
    Receipt,
    StoredTemplates,
    VerificationScore,
    Where,
)
from arcwise.gallery.filters import condition
from arcwise.gallery.following import FollowedFile
from arcwise.gallery.matrix import TemplateMatrix
from arcwise.gallery.stored import about_now, health, quarantined_templates, stored_templates
from arcwise.gallery.vectors import (
    checked_batch,
    checked_count,
    checked_identity,
    checked_metadata,
    checked_queries,
    checked_reason,
    checked_threshold,
)
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
            return about_now(connection)

    def __len__(self) -> int:
        """Return how many templates there are."""
        with self._file.current() as matrix:
            return len(matrix)

    def identities(self) -> list[str]:
        """Return every enrolled identity once, sorted."""
        with self._file.current() as matrix:
            return matrix.identities()

    def forms(self, identity: str) -> list[str]:
        """Return how an identity is written there, the first enrolled form first, or nothing."""
        with self._file.current() as matrix:
            return matrix.forms(identity)

    def metadata(self, identity: str) -> list[dict[str, Any]]:
        """Return the JSON objects of an identity's templates, the oldest first; none if unknown."""
        with self._file.current() as matrix:
            return [json.loads(one) for one in matrix.metadata_of(identity)]

    def templates(
        self, identity: str | None = None, *, where: Where = None
    ) -> list[EnrolledTemplate]:
        """Return the templates, the oldest first: of one identity, or that meet a condition.

        Args:
            identity: whose; none are returned for an unknown one.
            where: a condition on their metadata.

        Raises:
            GalleryError: the condition cannot be read.
        """
        meets = None if where is None else condition(where)
        with self._file.current() as matrix:
            rows = np.arange(len(matrix)) if identity is None else matrix.rows(identity)
            if meets is not None:
                rows = np.intersect1d(rows, matrix.matching(meets))
            found = [matrix.enrolled(row) for row in rows.tolist()]
        return sorted(found, key=lambda one: one.template)

    def thumbnail(self, template: int) -> bytes | None:
        """Return the image that was enrolled for a person to see; None where none was."""
        with self._file.current(), self._file.session() as connection:
            self._file.check_present([template])
            if changes.read_kept(connection) is None:
                return None
            return changes.read_thumbnails(connection, template, template).get(template)

    def stored(self) -> Iterator[StoredTemplates]:
        """Yield everything that is enrolled, in chunks, as it was when the first was taken.

        Nobody waits for it.

        Raises:
            DamagedGallery: what is read is not what was written.
        """
        with self._fresh() as connection:
            yield from stored_templates(connection)

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

        An identity is shown in the form that was enrolled first. A warning names numbers that are
        joined so (`7` to `007`).

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
            joined = matrix.joined(batch.identities)
            names = {identity_key(one): one for one in batch.identities}.values() if replace else ()
            old = [template for name in names for template in self._file.templates_of(name)]
            ids = sql.insert(connection, about.last, batch)
            changes.add_thumbnails(connection, ids, batch.thumbnails)
            if old:
                self._file.erase(connection, old)
            self._file.record(connection, added=len(ids), removed=len(old))
        if joined:
            warnings.warn(
                f"{self.path}: equal numbers are one identity: {', '.join(joined)}", stacklevel=2
            )
        if old:
            self._purge()
        return Receipt(tuple(ids), len(old))

    def remove(self, identity: str) -> int:
        """Remove an identity, and return how many templates it had; their bytes are gone.

        Raises:
            GalleryError: nobody of that name is enrolled; suggests a close one.
        """
        with self._file.writing() as connection:
            old = self._file.templates_of(identity)
            if not old:
                self._enrolled(self._file.matrix, identity)
            self._file.erase(connection, old)
            self._file.record(connection, added=0, removed=len(old))
        self._purge()
        return len(old)

    def remove_templates(self, templates: Sequence[int]) -> None:
        """Remove single templates, in quarantine or not; their bytes are gone from the file.

        Raises:
            GalleryError: there is no such template; none is removed then.
        """
        old = list(dict.fromkeys(templates))
        with self._file.writing() as connection:
            self._file.check_present(old)
            self._file.erase(connection, old)
            self._file.record(connection, added=0, removed=len(old))
        self._purge()

    def purge(self) -> None:
        """Write the file again, without the names and metadata that templates had before.

        Raises:
            GalleryError: another process is reading, or the disk is full, so that the log stays.
        """
        with self._file.writing() as connection:
            self._file.compact(connection)
        if reason := self._file.purge():
            raise GalleryError(
                f"{self.path}: {reason}, and {self.path.name}-wal keeps what was removed; purge "
                "again when that has ended"
            )

    def assign(self, templates: Sequence[int], identity: str) -> None:
        """Give templates to another identity, enrolled or new; their ids remain.

        Raises:
            GalleryError: there is no such template, or the identity is blank; nothing is changed.
        """
        identity = checked_identity(identity, "assign")
        self._file.amend(templates, lambda one: replace(one, identity=identity))

    def annotate(self, template: int, metadata: Mapping[str, Any]) -> None:
        """Put metadata, a JSON object, in the place of a template's.

        Raises:
            GalleryError: there is no such template, or they are no JSON object.
        """
        text = checked_metadata(metadata, f"template {template}")
        self._file.amend([template], lambda one: replace(one, metadata=text))

    def quarantine(self, templates: Sequence[int], reason: str) -> None:
        """Let templates take part in nothing until they are released.

        Raises:
            GalleryError: there is no such template, or no reason is given; nothing is changed.
        """
        reason = checked_reason(reason)
        self._file.amend(templates, lambda one: replace(one, quarantine=reason))

    def quarantined(self) -> list[tuple[EnrolledTemplate, str]]:
        """Return the templates in quarantine with the reasons, the oldest template first."""
        with self._file.current(), self._file.session() as connection:
            return quarantined_templates(connection, self.dim, self._file.quarantined())

    def release(self, templates: Sequence[int]) -> None:
        """Let templates in quarantine take part again.

        Raises:
            GalleryError: there is no such template in quarantine; nothing is changed.
        """
        with self._file.current():
            held = self._file.quarantined()
        for template in templates:
            if template not in held:
                raise GalleryError(f"{self.path}: template {template} is not in quarantine")
        self._file.amend(templates, lambda one: replace(one, quarantine=None))

    def search(self, vectors: ArrayLike, k: int = 5, *, where: Where = None) -> list[list[Hit]]:
        """Return the K closest identities of each query, closest first.

        Args:
            vectors: queries (N, D), or one (D,), of length 1 to 1e-3.
            k: how many identities; fewer come back where fewer are enrolled.
            where: a condition on metadata, of the templates that take part.

        Returns:
            N lists of hits; equal similarities are in the order of their identities.

        Raises:
            GalleryError: names the bad query, or says why the condition cannot be read.
        """
        k = checked_count(k)
        queries = checked_queries(vectors, self.dim)
        meets = None if where is None else condition(where)
        with self._file.current() as matrix:
            among = None if meets is None else matrix.matching(meets)
            answers = matrix.search(queries, k, among)
            return [[matrix.hit(one) for one in rows] for rows in answers]

    def above(
        self, vectors: ArrayLike, threshold: float, *, where: Where = None
    ) -> list[list[Hit]]:
        """Return all identities that are as similar as a threshold, closest first.

        Args:
            vectors: as `search` takes them.
            threshold: the least similarity, a cosine.
            where: as `search` takes it.

        Raises:
            GalleryError: as `search` says, or the threshold is no number.
        """
        threshold = checked_threshold(threshold)
        queries = checked_queries(vectors, self.dim)
        meets = None if where is None else condition(where)
        with self._file.current() as matrix:
            among = None if meets is None else matrix.matching(meets)
            answers = matrix.above(queries, threshold, among)
            return [[matrix.hit(one) for one in rows] for rows in answers]

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
        with self._fresh() as connection:
            return health(connection)

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
        if reason := self._file.purge():
            warnings.warn(
                f"{self.path}: removed, but the bytes stay in {self.path.name}-wal until the next "
                f"removal or the last closing, because {reason}",
                stacklevel=3,
            )

    @contextmanager
    def _fresh(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection that sees one state of the gallery, and that nobody waits for."""
        with self._file.session() as shared:
            if is_alone(shared):  # there can be no other one, and nobody can write
                yield shared
                return
            own = connect(self.path, writable=False)
        with translate_sqlite_errors(self.path), closing(own):
            own.execute("BEGIN")
            yield own

    def _enrolled(self, matrix: TemplateMatrix, identity: str) -> list[int]:
        """Return the templates of an identity; refuse one that has none."""
        if identity in matrix:
            return matrix.templates(identity)
        others = matrix.identities()
        hint = f"{len(others)} others are" if others else "the gallery is empty"
        hint = suggestion(str(identity), others) or hint
        raise GalleryError(f"{self.path}: {identity!r} is not enrolled; {hint}")
