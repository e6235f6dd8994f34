"""A gallery on a server, asked like a `Recogniser` on this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import TracebackType
from typing import Any, Self

import numpy as np

from arcwise.client.connection import Body, Connection
from arcwise.client.gallery_messages import (
    AuditAnswer,
    CalibrationAnswer,
    ChangedAnswer,
    GalleryAnswer,
    HeldTemplate,
    IdentitiesAnswer,
    IdentityAnswer,
    QuarantineAnswer,
    RemovedAnswer,
)
from arcwise.client.messages import (
    EmbedAnswer,
    EnrolAnswer,
    ExplainAnswer,
    SearchAnswer,
    VerifyAnswer,
)
from arcwise.client.reading import value_of
from arcwise.client.results import joined, of_together, search_result
from arcwise.client.sending import Images, Sent, Waiting, in_place
from arcwise.errors import GalleryError, ImageError, UnreadableImages
from arcwise.gallery import Receipt
from arcwise.recognition import Answer, SearchResult, Verified
from arcwise.runtime import Embedded

KEY = "ARCWISE_KEY"
"""The variable of the environment that holds the key where none is given."""


class Client:
    """A gallery that `arcwise serve` serves; its calls are those of a `Recogniser`.

    Threads may share one. Images are sent as files; more than one request takes go in several.
    What the server answers is read into the same frozen values that a `Recogniser` gives.

    Args:
        url: `https://host/v1/galleries/NAME`.
        key: of the server; by default what the variable ARCWISE_KEY holds, if anything.
        timeout: seconds that the server may be silent.

    Raises:
        ArcwiseError: the address is none of a gallery.
    """

    def __init__(self, url: str, key: str | None = None, *, timeout: float = 60.0) -> None:
        self.url = url
        self._connection = Connection(url, key or os.environ.get(KEY) or None, timeout)

    def about(self) -> GalleryAnswer:
        """Return what is enrolled, by which model, what decides, and the limits of a request."""
        return value_of(GalleryAnswer, self._connection.ask("GET", ""))

    @property
    def aligns(self) -> bool:
        """Whether the server's model turns a face by its landmarks."""
        return self.about().aligns

    def calibration(
        self, *, far: float | None = None, fpir: float | None = None
    ) -> CalibrationAnswer:
        """Return what decides a search at a rate, and the measurement that it rests on."""
        query = {"far": far, "fpir": fpir}
        return value_of(CalibrationAnswer, self._connection.ask("GET", "/calibration", query))

    def embed(self, images: Images) -> Embedded:
        """Return the embeddings of the readable images, and why the others have none.

        Args and errors are those of `Recogniser.embed`.
        """
        waiting = Waiting(images, self._limits)
        parts, rows = [], []
        for sent in waiting.requests():
            try:
                part = value_of(EmbedAnswer, self._ask_about("/embed", {}, sent))
            except (ImageError, UnreadableImages) as problem:
                waiting.note(sent, problem)
                continue
            rows += [sent.rows[row] for row in part.rows]
            absent = [row for row in range(len(sent.rows)) if row not in part.rows]
            for row, failure in zip(absent, part.failures, strict=True):
                waiting.failures[sent.rows[row]] = ImageError(sent.names[row], failure.reason)
            parts.append(part)
        waiting.check_any()
        vectors = np.array([one for part in parts for one in part.vectors], np.float32)
        quality = None
        if parts and parts[0].quality is not None:
            every = [one for part in parts for one in part.quality or ()]
            quality = np.array(every, np.float32)
        return Embedded(
            vectors,
            np.array(rows, np.int64),
            [waiting.failures[row] for row in sorted(waiting.failures)],
            notes=tuple(note for part in parts for note in part.notes),
            quality=quality,
        )

    def search(
        self,
        images: Images,
        *,
        k: int = 5,
        together: bool = False,
        far: float | None = None,
        fpir: float | None = None,
        where: str | None = None,
        everyone: bool = False,
    ) -> SearchResult:
        """Find each image's closest identities and decide, at a stated error rate.

        Args and errors are those of `Recogniser.search`.
        """
        waiting = Waiting(images, self._limits)
        query = {
            "k": k, "together": together, "far": far, "fpir": fpir, "where": where,
            "everyone": everyone,
        }  # fmt: skip
        requests = [waiting.one_request()] if together else waiting.requests()
        answered: dict[int, Answer | ImageError] = {}
        results: list[SearchResult] = []
        for sent in requests:
            try:
                answer = value_of(SearchAnswer, self._ask_about("/search", query, sent))
            except (ImageError, UnreadableImages) as problem:
                waiting.note(sent, problem)
                continue
            results.append(search_result(answer))
            said = results[-1].queries
            if answer.together > 1:
                return of_together(results[-1], waiting)
            for row, name, one in zip(sent.rows, sent.names, said, strict=True):
                named = ImageError(name, one.reason) if isinstance(one, ImageError) else None
                answered[row] = named or replace(one, image=name)  # type: ignore[type-var]
        waiting.check_any()
        queries = in_place(waiting.names, answered, waiting.failures)
        notes = dict.fromkeys(note for one in results for note in one.notes)
        return replace(
            results[-1],
            queries=queries,
            answers=tuple(one for one in queries if isinstance(one, Answer)),
            failures=tuple(one for one in queries if isinstance(one, ImageError)),
            notes=tuple(notes),
        )

    def verify(self, identity: str, images: Images, *, far: float | None = None) -> Verified:
        """Compare one image, or several taken together, as `Recogniser.verify` does."""
        waiting = Waiting(images, self._limits)
        query = {"identity": identity, "far": far}
        answer = value_of(VerifyAnswer, self._ask_about("/verify", query, waiting.one_request()))
        return Verified(
            accepted=answer.accepted,
            similarity=answer.similarity,
            templates=answer.templates,
            threshold=answer.threshold,
            notes=tuple(answer.notes),
            together=answer.together,
            weighting=answer.weighting,
            unmeasured=answer.unmeasured,
            failures=(
                *waiting.failures.values(),
                *(ImageError(one.image, one.reason) for one in answer.failures),
            ),
        )

    def explain(self, identity: str, image: Images, *, grid: int = 7) -> ExplainAnswer:
        """Return which of G x G parts of one image its similarity to an identity rests on."""
        asked = {"identity": identity, "grid": grid}, Waiting(image, self._limits).one_request()
        return value_of(ExplainAnswer, self._ask_about("/explain", *asked))

    def enrol(
        self,
        identity: str,
        images: Images,
        *,
        metadata: Mapping[str, Any] | None = None,
        together: bool = False,
        replace: bool = False,
    ) -> Receipt:
        """Enrol images of one identity, all of them or none; return once they are on disk there.

        Args and errors are those of `Recogniser.enrol`; `replace` takes an admin key.
        """
        waiting = Waiting(images, self._limits)
        sent = waiting.one_request()
        if waiting.failures:
            raise next(iter(waiting.failures.values()))
        answer = self._enrolled(
            identity, sent, metadata, together=together, replace=replace, partial=False
        )
        return Receipt(tuple(answer.templates), answer.replaced)

    def enrol_readable(
        self,
        identity: str,
        images: Images,
        *,
        metadata: Mapping[str, Any] | None = None,
        together: bool = False,
        replace: bool = False,
        new: bool = False,
        least_quality: float | None = None,
    ) -> EnrolAnswer:
        """Enrol those images of one identity that can be used; the others are in `failures`.

        Args:
            identity: whose they are.
            images: as `embed` takes them; more than one request takes go in several.
            metadata: as for `enrol`.
            together: as for `enrol`; all go in one request.
            replace: as for `enrol`.
            new: whether an identity that is enrolled is refused.
            least_quality: images below it are refused; only for a model that estimates one.

        Raises:
            ArcwiseError: no image can be used.
            GalleryError: the identity is enrolled and should not be.
        """
        waiting = Waiting(images, self._limits)
        parts: list[EnrolAnswer] = []
        for sent in [waiting.one_request()] if together else waiting.requests():
            first = not parts
            try:
                parts.append(
                    self._enrolled(
                        identity,
                        sent,
                        metadata,
                        together=together,
                        replace=replace and first,
                        new=new and first,
                        least_quality=least_quality,
                        partial=True,
                    )
                )
            except (ImageError, UnreadableImages) as problem:
                waiting.note(sent, problem)
        waiting.check_any()
        return joined(parts, waiting)

    def identities(self) -> dict[str, int]:
        """Return how many templates each enrolled identity has."""
        counts: dict[str, int] = {}
        query: dict[str, Any] = {"limit": 1000, "after": None}
        while True:
            page = self._connection.ask("GET", "/identities", query)
            answer = value_of(IdentitiesAnswer, page)
            counts |= {one.identity: one.templates for one in answer.identities}
            if answer.after is None:
                return counts
            query["after"] = answer.after

    def identity(self, identity: str) -> IdentityAnswer:
        """Return an identity with its templates.

        Raises:
            GalleryError: it is not enrolled.
        """
        found = self._connection.ask("GET", "/identity", {"identity": identity})
        return value_of(IdentityAnswer, found)

    def thumbnail(self, template: int) -> bytes | None:
        """Return the small image of a template; None where there is none, or no such template."""
        try:
            return self._connection.ask("GET", f"/templates/{template}/thumbnail")
        except GalleryError:
            return None

    def rename(self, identity: str, to: str) -> list[int]:
        """Rename an identity, and return the templates that it has."""
        return self._changed("PATCH", "/identity", {"to": to}, {"identity": identity})

    def assign(self, template: int, identity: str) -> None:
        """Give a template to another identity, enrolled or new."""
        self._changed("PUT", f"/templates/{template}/identity", {"identity": identity})

    def annotate(self, template: int, metadata: Mapping[str, Any]) -> None:
        """Put metadata in the place of a template's; what is recorded of its image stays."""
        self._changed("PUT", f"/templates/{template}/metadata", dict(metadata))

    def remove(self, identity: str) -> RemovedAnswer:
        """Remove an identity, in all its written forms."""
        answer = self._connection.ask("DELETE", "/identity", {"identity": identity}, changes=True)
        return value_of(RemovedAnswer, answer)

    def remove_template(self, template: int) -> None:
        """Remove one template."""
        self._connection.ask("DELETE", f"/templates/{template}", changes=True)

    def purge(self) -> None:
        """Make every byte of what was removed unreadable."""
        self._connection.ask("POST", "/purge", changes=True)

    def quarantined(self) -> list[HeldTemplate]:
        """Return the templates in quarantine with the reasons."""
        return value_of(QuarantineAnswer, self._connection.ask("GET", "/quarantine")).templates

    def quarantine(self, templates: Sequence[int], reason: str) -> None:
        """Let templates take part in nothing until they are released."""
        self._changed("POST", "/quarantine", {"templates": list(templates), "reason": reason})

    def release(self, templates: Sequence[int]) -> None:
        """Let templates in quarantine take part again."""
        self._changed("POST", "/release", {"templates": list(templates)})

    def audit(self) -> AuditAnswer:
        """Return what does not look right among the templates, for a person to judge.

        Raises:
            ArcwiseError: another audit runs there, or more is enrolled than the server compares.
        """
        return value_of(AuditAnswer, self._connection.ask("GET", "/audit"))

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @cached_property
    def _limits(self) -> Any:
        return self.about().limits

    def _ask_about(self, path: str, query: Mapping[str, Any], sent: Sent) -> Any:
        return self._connection.ask("POST", path, query, sent.body())

    def _enrolled(
        self, identity: str, sent: Sent, metadata: Mapping[str, Any] | None, **query: Any
    ) -> EnrolAnswer:
        answer = self._connection.ask(
            "POST", "/enrol", {"identity": identity, **query}, sent.body(metadata), changes=True
        )
        return value_of(EnrolAnswer, answer)

    def _changed(
        self, method: str, path: str, document: Any, query: Mapping[str, Any] | None = None
    ) -> list[int]:
        body = Body("application/json", json.dumps(document, allow_nan=False).encode())
        answer = self._connection.ask(method, path, query, body, changes=True)
        return value_of(ChangedAnswer, answer).templates
