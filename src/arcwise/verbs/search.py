"""Search: whose picture is this, or is it unknown?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, ImageError
from arcwise.evaluation import SearchThreshold, Threshold
from arcwise.gallery import Decision, Hit, decide, expected_fpir, open_gallery
from arcwise.verbs.model_of import model_of
from arcwise.verbs.queries import embed_queries, in_place, queries
from arcwise.verbs.threshold import threshold_for_search


@dataclass(frozen=True)
class Answer:
    """What a picture is.

    Attributes:
        image: the query's path.
        hits: the closest identities, closest first.
        decision: which of them it is, or unknown; None when the model has no threshold.
    """

    image: str
    hits: tuple[Hit, ...]
    decision: Decision | None


@dataclass(frozen=True)
class Found:
    """The answers to a search.

    Attributes:
        answers: one for every readable picture, in their order.
        threshold: what decides, and how it was measured; None when the model has none.
        enrolled: identities in the gallery.
        measured_for: the largest gallery that the model's search thresholds hold for; 0 without.
        expected_fpir: share of unknown pictures expected to be taken for somebody in a gallery of
            this size, if comparisons were independent; None where no single comparison's
            threshold decides.
        failures: pictures that could not be read.
        asked: every picture of the query in its order: its answer, or why it has none.
        ignored: files of the folders asked about that are no pictures.
        notes: what the reader of a folder or table had to decide.
    """

    answers: tuple[Answer, ...]
    threshold: Threshold | SearchThreshold | None
    enrolled: int
    measured_for: int
    expected_fpir: float | None
    failures: tuple[ImageError, ...]
    asked: tuple[Answer | ImageError, ...]
    ignored: tuple[str, ...]
    notes: tuple[str, ...]


def search(
    gallery: str | Path,
    images: Sequence[str | Path | Manifest],
    *,
    k: int = 5,
    far: float | None = None,
    fpir: float | None = None,
    model: str | Path | None = None,
) -> Found:
    """Find each picture's closest identities and decide, at a stated error rate.

    Args:
        gallery: the file.
        images: picture files, or folders, zips and tables of them. One of several that is not
            there or cannot be read fails alone.
        k: how many identities to return.
        far: false-accept rate of one comparison.
        fpir: share of unknown pictures that may get any answer. By default the lowest that was
            measured for a gallery at least as large; without one, the lowest `far`.
        model: where the gallery's model is now, if it moved.

    Raises:
        ImageError: the only picture asked about cannot be read.
        ArcwiseError: no gallery, no model, or no threshold for the rate.
    """
    if k < 1:
        raise ArcwiseError(f"k is {k}; expected 1 or more: how many identities to show")
    pictures = queries(images)
    loaded = model_of(gallery, model)
    with open_gallery(gallery, mode="r", model=loaded) as store:
        enrolled = len(store.identities())
        threshold = threshold_for_search(loaded, enrolled, far, fpir)
        embedded = embed_queries(loaded, pictures)
        found = store.search(embedded.vectors, k=max(k, 2))  # the decision looks at the runner-up
    answers = [
        Answer(pictures.image(row), tuple(hits[:k]), _decide(hits, threshold))
        for row, hits in zip(embedded.rows, found, strict=True)
    ]
    independent = None
    if isinstance(threshold, Threshold):
        independent = expected_fpir(threshold.far, enrolled)
    return Found(
        answers=tuple(answers),
        threshold=threshold,
        enrolled=enrolled,
        measured_for=max((t.gallery for t in loaded.search_thresholds), default=0),
        expected_fpir=independent,
        failures=tuple(embedded.failures),
        asked=tuple(in_place(embedded, answers)),
        ignored=pictures.ignored,
        notes=pictures.notes,
    )


def _decide(hits: Sequence[Hit], threshold: Threshold | SearchThreshold | None) -> Decision | None:
    if threshold is None:
        return None
    if isinstance(threshold, Threshold):
        return decide(hits, threshold.threshold, far=threshold.far)
    return decide(hits, threshold.threshold, fpir=threshold.fpir)
