"""What a server answered, as the values that a `Recogniser` gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from arcwise.client.messages import EnrolAnswer, FailedImage, QueryAnswer, SearchAnswer
from arcwise.client.sending import Waiting
from arcwise.errors import ImageError
from arcwise.recognition import Answer, SearchResult


def search_result(answer: SearchAnswer) -> SearchResult:
    """Return the answers to the images of one request."""
    queries = tuple(map(_query, answer.queries))
    return SearchResult(
        answers=tuple(one for one in queries if isinstance(one, Answer)),
        point=answer.point,
        size=answer.size,
        calibration=answer.calibration,
        failures=tuple(one for one in queries if isinstance(one, ImageError)),
        queries=queries,
        notes=tuple(answer.notes),
        licence=answer.licence,
        together=answer.together,
        weighting=answer.weighting,
        unmeasured=answer.unmeasured,
    )


def _query(one: QueryAnswer) -> Answer | ImageError:
    if one.error is not None:
        return ImageError(one.image, one.error)
    return Answer(one.image, tuple(one.hits), one.decision)


def of_together(result: SearchResult, waiting: Waiting) -> SearchResult:
    """Return the one answer to all images, with those that could not be read here."""
    failures = (*waiting.failures.values(), *result.failures)
    return replace(result, failures=failures, queries=(*result.answers, *failures))


def joined(parts: Sequence[EnrolAnswer], waiting: Waiting) -> EnrolAnswer:
    """Return what several requests enrolled as one answer."""
    last = parts[-1]
    here = [FailedImage(one.name, one.reason) for one in waiting.failures.values()]
    qualities = [one for part in parts for one in part.qualities or ()]
    return replace(
        last,
        templates=[one for part in parts for one in part.templates],
        images=[one for part in parts for one in part.images],
        replaced=sum(part.replaced for part in parts),
        failures=[*here, *(one for part in parts for one in part.failures)],
        refused=[one for part in parts for one in part.refused],
        qualities=None if last.qualities is None else qualities,
        notes=list(dict.fromkeys(note for part in parts for note in part.notes)),
    )
