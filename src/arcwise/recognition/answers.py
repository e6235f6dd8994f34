"""What a recogniser answers: frozen values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from arcwise.errors import ImageError
from arcwise.evaluation import Threshold, describe_claims
from arcwise.gallery import (
    Decision,
    GalleryCalibration,
    GallerySize,
    Hit,
    OperatingPoint,
    above_next,
    decide,
    operating_points,
)
from arcwise.runtime import Embedded

T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """The answer to one query.

    Attributes:
        image: the path of the query.
        hits: the closest identities, closest first.
        decision: which of them it is, or unknown; None where no threshold decides.
    """

    image: str
    hits: tuple[Hit, ...]
    decision: Decision | None


@dataclass(frozen=True)
class QueryObject:
    """An object in an image that is a query of its own.

    Attributes:
        image: the path of the image.
        box: left, top, width and height in its pixels; None where no object is found in it.
    """

    image: str
    box: tuple[float, float, float, float] | None


@dataclass(frozen=True)
class SearchResult:
    """The answers to a search.

    Attributes:
        answers: one for every readable image, in their order.
        point: the threshold that decides, and what it promises in this gallery; None where the
            model has none, and in an empty gallery.
        size: how many identities and templates are enrolled.
        calibration: what was measured against the gallery; None where nothing was.
        failures: images that could not be read.
        queries: every image of the query in its order: its answer, or why it has none.
        ignored: files of the folders searched with that are no images.
        notes: what the user has to know of the images.
        licence: under which the model's weights may be used, as its folder says.
        together: how many images the one answer is to; 0 where each image has its own.
        weighting: how images together counted, in words.
        unmeasured: why the rate of the threshold does not hold; empty where it does.
        objects: one for each of `queries`, where these are objects in images.
    """

    answers: tuple[Answer, ...]
    point: OperatingPoint | None
    size: GallerySize
    calibration: GalleryCalibration | None
    failures: tuple[ImageError, ...]
    queries: tuple[Answer | ImageError, ...]
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    licence: str = ""
    together: int = 0
    weighting: str = ""
    unmeasured: str = ""
    objects: tuple[QueryObject, ...] = ()

    @property
    def outgrown(self) -> bool:
        """Whether more is enrolled than when the gallery was calibrated."""
        return self.calibration is not None and self.calibration.outgrown(self.size)


@dataclass(frozen=True)
class Verified:
    """A claimed identity, checked.

    Attributes:
        accepted: whether the similarity reaches the threshold.
        similarity: largest cosine to the identity's templates.
        templates: how many it has.
        threshold: what decided.
        notes: what the user has to know of the image.
        together: how many images were decided on, once.
        weighting: how these counted, in words; empty for one.
        unmeasured: why the threshold's rate does not hold; empty where it does.
        failures: images that could not be read, and did not count.
    """

    accepted: bool
    similarity: float
    templates: int
    threshold: Threshold
    notes: tuple[str, ...] = ()
    together: int = 1
    weighting: str = ""
    unmeasured: str = ""
    failures: tuple[ImageError, ...] = ()

    @property
    def promise(self) -> str:
        """How many images of others would be accepted, in a sentence; empty where none holds.

        The rate is that of one template: of several, the closest one counts.
        """
        size = GallerySize(1, self.templates, self.templates, self.templates)
        points = operating_points(size, [self.threshold], ())
        if self.unmeasured:
            return ""
        if not points or not points[0].promises:
            return "how many images of others would be accepted is not known"
        rate = (points[0].fpir, *points[0].fpir_interval)
        return describe_claims(rate, at_most=self.templates > 1)


def decided(
    hits: Sequence[Hit], point: OperatingPoint | None, *, promised: bool
) -> Decision | None:
    """Return the decision on the hits of one query, with the rate where that is promised."""
    if point is None:
        return None
    if not promised:
        return decide(hits, point.threshold, neighbours=point.neighbours)
    far = point.basis.far if isinstance(point.basis, Threshold) else None
    fpir = point.fpir if point.promises else None
    return decide(hits, point.threshold, far=far, fpir=fpir, neighbours=point.neighbours)


def accepted_from(point: OperatingPoint, hits: Sequence[Hit]) -> float:
    """Return the similarity from which on an identity is accepted.

    Args:
        point: what decides; the difference to the next identities, or the similarity itself.
        hits: of the query, closest first, with as many next identities as `point` takes.
    """
    if not point.neighbours or not hits:
        return point.threshold
    mean_of_next = hits[0].similarity - above_next(hits, point.neighbours)
    return point.threshold + mean_of_next


def in_order(embedded: Embedded, answers: Sequence[T]) -> tuple[T | ImageError, ...]:
    """Return the answers and, where an image has none, its failure, in the order of the query.

    Args:
        embedded: the images.
        answers: one for each of its rows.
    """
    answer_at = dict(zip(embedded.rows.tolist(), answers, strict=True))
    failures = iter(embedded.failures)  # in the order of their rows
    rows = range(len(answers) + len(embedded.failures))
    return tuple(answer_at[row] if row in answer_at else next(failures) for row in rows)


def search_result(
    answers: tuple[Answer, ...],
    embedded: Embedded,
    size: GallerySize,
    calibration: GalleryCalibration | None,
    point: OperatingPoint | None,
    together: int,
) -> SearchResult:
    """Return the answers of a search with what they rest on, and the images that failed."""
    failures = tuple(embedded.failures)
    return SearchResult(
        answers=answers,
        point=point,
        size=size,
        calibration=calibration,
        failures=failures,
        queries=(*answers, *failures) if together > 1 else in_order(embedded, answers),
        notes=embedded.notes,
        together=together,
    )
