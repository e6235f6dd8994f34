"""The gallery on Milvus: the calls of `Gallery`, which says what they return and raise."""

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
from arcwise.gallery.milvus import changes, reading, searching, turn
from arcwise.gallery.milvus.address import read_address
from arcwise.gallery.milvus.changes import changing, present
from arcwise.gallery.milvus.connection import View
from arcwise.gallery.milvus.erasure import copy_what_counts, drop_older
from arcwise.gallery.milvus.opening import open_server
from arcwise.gallery.milvus.rows import FIELDS
from arcwise.gallery.milvus.state import new_state
from arcwise.gallery.template_row import TemplateRow, health
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


class MilvusGallery:
    """A gallery on Milvus, for any number of threads, processes and machines; see `Gallery`.

    One of them changes it at a time; the others wait. What is acknowledged is what the server has
    acknowledged: whether that survives a power cut is up to the server. Milvus Lite writes nothing
    through to the disk.
    """

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
        new = None if dim is None else new_state(dim, fingerprint, model)
        self._server = open_server(self.address, writable=writable, create=create, new=new)
        self._turn = turn.Turn(
            self._server.client,
            self.address.prefix,
            self.address.shown,
            # The lock of a folder tells that a writer has ended.
            lambda: 0.0 if self._server.local else turn.LEASE,
        )
        try:
            self._state = self._server.now()
        except BaseException:
            self._server.close()
            raise

    @property
    def dim(self) -> int:
        """Dimensions of every vector."""
        return self._state.dim

    @property
    def fingerprint(self) -> str | None:
        """The model that made the vectors; None where the gallery was created without one."""
        return self._state.fingerprint

    @property
    def model_path(self) -> str | None:
        """Where that model lay when the gallery was created."""
        return self._state.model

    def about(self) -> GalleryAbout:
        """Return what the gallery says of itself now; no template is read."""
        now = self._server.now()
        return GalleryAbout(now.dim, now.fingerprint, now.model, now.templates, now.changes)

    def __len__(self) -> int:
        """Return how many templates there are."""
        now = self._server.now()
        return now.templates - now.quarantined

    def identities(self) -> list[str]:
        """Return every enrolled identity once, sorted."""
        return list(self.counts())

    def forms(self, identity: str) -> list[str]:
        """Return how an identity is written there, the first enrolled form first, or nothing."""
        return self._server.reading(lambda view: reading.forms(view, identity))

    def metadata(self, identity: str) -> list[dict[str, Any]]:
        """Return the JSON objects of an identity's templates, the oldest first; none if unknown."""
        return [one.metadata for one in self.templates(identity)]

    def templates(
        self, identity: str | None = None, *, where: Where = None
    ) -> list[EnrolledTemplate]:
        """Return the templates, the oldest first: of one identity, or that meet a condition."""
        meets = None if where is None else condition(where)
        return self._server.reading(lambda view: reading.templates(view, identity, meets))

    def thumbnail(self, template: int) -> bytes | None:
        """Return the image that was enrolled for a person to see; None where none was."""
        return self._server.reading(
            lambda view: reading.stored(view, present(view, [template], FIELDS)).thumbnails[0]
        )

    def stored(self) -> Iterator[StoredTemplates]:
        """Yield everything that is enrolled, in chunks, as it was when the first was taken.

        Milvus keeps no older state for a reader. Where somebody else removes or changes templates
        meanwhile, this ends in an error.

        Raises:
            GalleryError: it was changed while it was read.
            DamagedGallery: what is read is not what was written.
        """
        state = self._server.now()
        view = View(self._server, state)
        found = held = 0
        try:
            for first in range(1, state.last + 1, reading.CHUNK):
                with self._server.guarded():
                    rows = reading.rows_of_chunk(view, first)
                    stored = reading.stored(view, rows) if rows else None
                if stored is not None:
                    found += len(stored)
                    held += sum(reason is not None for reason in stored.quarantined)
                    yield stored
            with self._server.guarded():
                reading.check_counts(view, found, held)
        except GalleryError as error:
            if self._server.now().removing > state.number:
                raise GalleryError(
                    f"{self.address.shown}: changed while it was read; read it again"
                ) from error
            raise

    def counts(self) -> dict[str, int]:
        """Return how many templates each enrolled identity has, in the order of `identities`."""
        return self._server.reading(reading.counts)

    def size(self) -> GallerySize:
        """Return how many identities and templates there are."""
        return self._server.reading(reading.size)

    @property
    def calibration(self) -> GalleryCalibration | None:
        """What was measured against this gallery, as it was then; None where nothing was."""
        text = self._server.now().calibration
        return None if text is None else GalleryCalibration.from_json(text)

    def keep_calibration(self, calibration: GalleryCalibration) -> None:
        """Put what was measured against this gallery in the place of what was before."""
        text = calibration.as_json()
        with changing(self._server, self._turn) as change:
            change.state = replace(change.state, calibration=text)

    def enrol(self, items: Iterable[Enrolment], *, replace: bool = False) -> Receipt:
        """Enrol a batch and return its receipt, once the server has taken it as a whole."""
        batch = checked_batch(items, self.dim)
        if not len(batch):
            return Receipt(())
        with changing(self._server, self._turn) as change:
            joined = _joined(change.view, batch.identities)
            old = changes.of_identities(change, batch.identities) if replace else []
            ids = changes.insert(change, batch)
            removed = changes.remove(change, old) if old else 0
        if joined:
            warnings.warn(
                f"{self.address.shown}: equal numbers are one identity: {', '.join(joined)}",
                stacklevel=2,
            )
        return Receipt(ids, removed)

    def remove(self, identity: str) -> int:
        """Remove an identity and return how many templates it had, those in quarantine too.

        No call finds it any more. Its bytes stay in the server's files until `purge`.
        """
        with changing(self._server, self._turn) as change:
            known = isinstance(identity, str)
            rows = changes.of_identities(change, [identity]) if known else []
            if not rows:
                raise reading.unknown(change.view, identity)
            return changes.remove(change, rows)

    def remove_templates(self, templates: Sequence[int]) -> None:
        """Remove single templates, in quarantine or not."""
        with changing(self._server, self._turn) as change:
            rows = present(change.view, templates)
            if rows:
                changes.remove(change, rows)

    def purge(self) -> None:
        """Write what is enrolled into new collections, and drop the old ones.

        Raises:
            DamagedGallery: what is read is not what was written; nothing is dropped.
        """
        with changing(self._server, self._turn) as change:
            copy_what_counts(self._server, change)
        with self._server.guarded():
            drop_older(self._server, change.generation)
        if self._server.local is None:
            warnings.warn(
                f"{self.address.shown}: purged; the server deletes the files of what it dropped "
                "after a time of its own (dataCoord.gc.dropTolerance), and keeps its log as long "
                "as it is set to",
                stacklevel=2,
            )

    def assign(self, templates: Sequence[int], identity: str) -> None:
        """Give templates to another identity, enrolled or new; their ids remain."""
        identity = checked_identity(identity, "assign")
        self._amend(templates, lambda one: replace(one, identity=identity))

    def annotate(self, template: int, metadata: Mapping[str, Any]) -> None:
        """Put metadata in the place of a template's."""
        text = checked_metadata(metadata, f"template {template}")
        self._amend([template], lambda one: replace(one, metadata=text))

    def quarantine(self, templates: Sequence[int], reason: str) -> None:
        """Let templates take part in nothing until they are released."""
        reason = checked_reason(reason)
        self._amend(templates, lambda one: replace(one, quarantine=reason))

    def quarantined(self) -> list[tuple[EnrolledTemplate, str]]:
        """Return the templates in quarantine with the reasons, the oldest template first."""
        return self._server.reading(reading.quarantined)

    def release(self, templates: Sequence[int]) -> None:
        """Let templates in quarantine take part again."""

        def released(one: TemplateRow) -> TemplateRow:
            if one.quarantine is None:
                raise GalleryError(
                    f"{self.address.shown}: template {one.template} is not in quarantine"
                )
            return replace(one, quarantine=None)

        self._amend(templates, released)

    def search(self, vectors: ArrayLike, k: int = 5, *, where: Where = None) -> list[list[Hit]]:
        """Return N lists of the K closest identities, closest first; (D,) is one query."""
        count = checked_count(k)
        queries = checked_queries(vectors, self.dim)
        meets = None if where is None else condition(where)
        return self._server.reading(
            lambda view: searching.closest(view, queries, min(count, view.state.templates), meets)
        )

    def above(
        self, vectors: ArrayLike, threshold: float, *, where: Where = None
    ) -> list[list[Hit]]:
        """Return N lists of all identities from a similarity on, closest first."""
        threshold = checked_threshold(threshold)
        queries = checked_queries(vectors, self.dim)
        meets = None if where is None else condition(where)
        return self._server.reading(lambda view: searching.above(view, queries, threshold, meets))

    def verify(self, identity: str, vector: ArrayLike) -> VerificationScore:
        """Return the similarity of a vector (D,) to one enrolled identity."""
        query = checked_queries(vector, self.dim)
        if len(query) != 1:
            raise GalleryError(f"verify compares one vector; got {len(query)}")

        def compared(view: View) -> VerificationScore:
            found = searching.similarities(view, identity, query[0])
            if not len(found):
                raise reading.unknown(view, identity)
            return VerificationScore(float(found.max()), len(found))

        return self._server.reading(compared)

    def check(self) -> Health:
        """Read all stored bytes and return what there is; raise where one is wrong."""
        return health(self.stored())

    def close(self) -> None:
        """Close the connection; the gallery cannot be used afterwards."""
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

    def _amend(
        self, templates: Sequence[int], changed: Callable[[TemplateRow], TemplateRow]
    ) -> None:
        """Change what templates are, all or none of them."""
        if len(templates):
            with changing(self._server, self._turn) as change:
                changes.amend(change, templates, changed)


def _joined(view: View, identities: Sequence[str]) -> list[str]:
    """Return what to say of identities that are enrolled in another written form, or go to be."""
    first = reading.forms_of(view, identities)
    return [
        f"{one!r} goes to {first[identity_key(one)]!r}"
        for one in dict.fromkeys(identities)
        if first.setdefault(identity_key(one), one) != one
    ]
