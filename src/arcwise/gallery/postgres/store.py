"""The gallery on a PostgreSQL server: the calls, each of them one transaction."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from numpy.typing import ArrayLike

from arcwise.errors import GalleryError
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
from arcwise.gallery.postgres import changes, reading, searching
from arcwise.gallery.postgres.address import read_address
from arcwise.gallery.postgres.conditions import storable
from arcwise.gallery.postgres.connections import Change
from arcwise.gallery.postgres.erasure import erase_removed
from arcwise.gallery.postgres.opening import open_server
from arcwise.gallery.postgres.rows import TemplateRow, checksum, new_about
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


class PostgresGallery:
    """A gallery on a server, for any number of threads, processes and machines; see `Gallery`."""

    def __init__(
        self,
        address: str,
        *,
        writable: bool = True,
        create: bool = False,
        dim: int | None = None,
        fingerprint: str | None = None,
        model: str | None = None,
    ) -> None:
        """Open a gallery; `create` makes it if there is none, with what follows.

        Raises:
            GalleryError: no such gallery, or no server, or it refuses.
        """
        self.address = read_address(address)
        new = None if dim is None else new_about(dim, fingerprint, model)
        self._server = open_server(self.address, writable=writable, create=create, new=new)
        try:
            with self._server.reading() as (_, about):
                self._server.about = self._about = about
        except BaseException:
            self._server.close()
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

    def about(self) -> GalleryAbout:
        """Return what the gallery says of itself now; no template is read."""
        with self._server.reading() as (_, now):
            return GalleryAbout(now.dim, now.fingerprint, now.model, now.templates, now.changes)

    def __len__(self) -> int:
        """Return how many templates there are."""
        with self._server.reading() as (_, about):
            return about.templates - about.quarantined

    def identities(self) -> list[str]:
        """Return every enrolled identity once, sorted."""
        return list(self.counts())

    def forms(self, identity: str) -> list[str]:
        """Return how an identity is written there, the first enrolled form first, or nothing."""
        with self._server.reading() as (cursor, _):
            return reading.forms(cursor, identity)

    def metadata(self, identity: str) -> list[dict[str, Any]]:
        """Return the JSON objects of an identity's templates, the oldest first; none if unknown."""
        return [one.metadata for one in self.templates(identity)]

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
        with self._server.reading() as (cursor, _):
            return reading.templates(cursor, identity, meets)

    def thumbnail(self, template: int) -> bytes | None:
        """Return the image that was enrolled for a person to see; None where none was.

        Raises:
            GalleryError: there is no such template.
        """
        with self._server.reading() as (cursor, _):
            (number,) = changes.present(cursor, [template], self.address.shown)
            return reading.thumbnail(cursor, number)

    def stored(self) -> Iterator[StoredTemplates]:
        """Yield everything that is enrolled, in chunks, as it was when the first was taken.

        Nobody waits for it, and it sees nothing of what is enrolled meanwhile.

        Raises:
            DamagedGallery: what is read is not what was written.
        """
        with self._server.reading(own=True) as (cursor, about):
            yield from reading.stored(cursor, about)

    def counts(self) -> dict[str, int]:
        """Return how many templates each enrolled identity has, in the order of `identities`."""
        with self._server.reading() as (cursor, _):
            return reading.counts(cursor)

    def size(self) -> GallerySize:
        """Return how many identities and templates there are."""
        with self._server.reading() as (cursor, about):
            return reading.size(cursor, about)

    @property
    def calibration(self) -> GalleryCalibration | None:
        """What was measured against this gallery, as it was then; None where nothing was.

        Raises:
            ArcwiseError: it is of another version.
        """
        with self._server.reading() as (cursor, _):
            text = reading.calibration(cursor)
        return None if text is None else GalleryCalibration.from_json(text)

    def keep_calibration(self, calibration: GalleryCalibration) -> None:
        """Put what was measured against this gallery in the place of what was before."""
        text = storable(calibration.as_json())
        with self._server.writing() as change:
            change.cursor.execute(
                "UPDATE about SET calibration = %s, calibration_crc = %s",
                [text, checksum(0, text.encode())],
            )

    def enrol(self, items: Iterable[Enrolment], *, replace: bool = False) -> Receipt:
        """Enrol a batch and return its receipt, once it is committed as a whole.

        Args:
            items: as `Gallery.enrol` takes them; see `EmbeddedGallery.enrol`.
            replace: remove what was enrolled before for these identities, in the same step.

        Raises:
            GalleryError: names the bad item; nothing of the batch is written.
        """
        batch = checked_batch(items, self.dim)
        if not len(batch):
            return Receipt(())
        with self._server.writing() as change:
            joined = changes.joined(change.cursor, batch.identities)
            keys = [reading.key(one) for one in batch.identities]
            removed = changes.remove_identities(change, keys) if replace else 0
            ids = changes.insert(change, batch)
        if joined:
            warnings.warn(
                f"{self.address.shown}: equal numbers are one identity: {', '.join(joined)}",
                stacklevel=2,
            )
        return Receipt(ids, removed)

    def remove(self, identity: str) -> int:
        """Remove an identity, all its written forms, and return how many templates it had.

        No call finds it any more. Its bytes stay in the server's files until `purge`.

        Raises:
            GalleryError: nobody of that name is enrolled; suggests a close one.
        """
        with self._server.writing() as change:
            removed = changes.remove_identities(change, [reading.key(identity)])
            if not removed:
                raise reading.unknown(change.cursor, identity, self.address.shown)
            return removed

    def remove_templates(self, templates: Sequence[int]) -> None:
        """Remove single templates, in quarantine or not.

        Raises:
            GalleryError: there is no such template; none is removed then.
        """
        with self._server.writing() as change:
            changes.remove(change, self._present(change, templates))

    def purge(self) -> None:
        """Write the gallery's tables again, so that nothing of what was removed is left in them.

        The server's write-ahead log is overwritten, too, where the user may do that; a warning says
        where not. Replicas, archives and backups are out of reach. Searches wait meanwhile.

        Raises:
            GalleryError: an older transaction still sees what was removed, or the user may not.
        """
        with self._server.writing():  # refused where nothing may be changed
            pass
        with self._server.alone() as connection:
            left = erase_removed(connection, self.address)
        if left:
            warnings.warn(f"{self.address.shown}: {left}", stacklevel=2)

    def assign(self, templates: Sequence[int], identity: str) -> None:
        """Give templates to another identity, enrolled or new; their ids remain.

        Raises:
            GalleryError: there is no such template, or the identity is blank; nothing is changed.
        """
        identity = checked_identity(identity, "assign")
        self._amend(templates, lambda one: replace(one, identity=identity))

    def annotate(self, template: int, metadata: Mapping[str, Any]) -> None:
        """Put metadata in the place of a template's.

        Raises:
            GalleryError: there is no such template, or the metadata are no JSON object.
        """
        text = checked_metadata(metadata, f"template {template}")
        self._amend([template], lambda one: replace(one, metadata=text))

    def quarantine(self, templates: Sequence[int], reason: str) -> None:
        """Let templates take part in nothing until they are released.

        Raises:
            GalleryError: there is no such template, or no reason is given; nothing is changed.
        """
        reason = checked_reason(reason)
        self._amend(templates, lambda one: replace(one, quarantine=reason))

    def quarantined(self) -> list[tuple[EnrolledTemplate, str]]:
        """Return the templates in quarantine with the reasons, the oldest template first."""
        with self._server.reading() as (cursor, _):
            return reading.quarantined(cursor)

    def release(self, templates: Sequence[int]) -> None:
        """Let templates in quarantine take part again.

        Raises:
            GalleryError: there is no such template in quarantine; nothing is changed.
        """

        def released(one: TemplateRow) -> TemplateRow:
            if one.quarantine is None:
                raise GalleryError(
                    f"{self.address.shown}: template {one.template} is not in quarantine"
                )
            return replace(one, quarantine=None)

        self._amend(templates, released)

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
        count = checked_count(k)
        queries = checked_queries(vectors, self.dim)
        meets = None if where is None else condition(where)
        with self._server.reading() as (cursor, about):
            return searching.closest(cursor, queries, min(count, about.templates), meets)

    def above(
        self, vectors: ArrayLike, threshold: float, *, where: Where = None
    ) -> list[list[Hit]]:
        """Return all identities that are as similar as a threshold, closest first.

        Args:
            vectors: queries (N, D), or one (D,), of length 1 to 1e-3.
            threshold: the least similarity, a cosine.
            where: a condition on metadata, of the templates that take part.

        Returns:
            N lists of hits, as `search` orders them.

        Raises:
            GalleryError: as `search` says, or the threshold is no number.
        """
        threshold = checked_threshold(threshold)
        queries = checked_queries(vectors, self.dim)
        meets = None if where is None else condition(where)
        with self._server.reading() as (cursor, _):
            return searching.above(cursor, queries, threshold, meets)

    def verify(self, identity: str, vector: ArrayLike) -> VerificationScore:
        """Return the largest cosine of a vector (D,) with an identity's templates.

        Raises:
            GalleryError: nobody of that name is enrolled; suggests a close one.
        """
        query = checked_queries(vector, self.dim)
        if len(query) != 1:
            raise GalleryError(f"verify compares one vector; got {len(query)}")
        with self._server.reading() as (cursor, _):
            found = searching.similarities(cursor, reading.key(identity), query[0])
            if not len(found):
                raise reading.unknown(cursor, identity, self.address.shown)
        return VerificationScore(float(found.max()), len(found))

    def check(self) -> Health:
        """Read all rows and return what there is.

        Raises:
            DamagedGallery: names the rows that are not what was written.
        """
        count, held, names = 0, 0, set()
        for rows in self.stored():
            count += len(rows)
            held += sum(reason is not None for reason in rows.quarantined)
            names.update(map(identity_key, rows.identities))
        return Health(count, len(names), held)

    def close(self) -> None:
        """Close the connections; the gallery cannot be used afterwards."""
        self._server.close()

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
        state = "closed, " if self._server.closed else ""
        return f"<gallery {self.address.shown}: {state}{self.dim} dimensions>"

    def _present(self, change: Change, templates: Sequence[int]) -> list[int]:
        return changes.present(change.cursor, templates, self.address.shown)

    def _amend(
        self, templates: Sequence[int], changed: Callable[[TemplateRow], TemplateRow]
    ) -> None:
        """Change what templates are, all or none of them."""
        if len(templates):
            with self._server.writing() as change:
                changes.amend(change, self._present(change, templates), changed)
