"""Search: whose picture is this, or is it unknown?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, ImageError
from arcwise.evaluation import Threshold
from arcwise.gallery import Decision, Hit, decide, expected_fpir, open_gallery
from arcwise.verbs.model_of import model_of
from arcwise.verbs.queries import embed_queries, queries
from arcwise.verbs.threshold import threshold_for


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
        expected_fpir: share of unknown pictures expected to be taken for somebody in a gallery of
            this size, if comparisons were independent; None without a threshold.
        failures: pictures that could not be read.
    """

    answers: tuple[Answer, ...]
    threshold: Threshold | None
    expected_fpir: float | None
    failures: tuple[ImageError, ...]


def search(
    gallery: str | Path,
    images: Sequence[str | Path | Manifest],
    *,
    k: int = 5,
    far: float | None = None,
    model: str | Path | None = None,
) -> Found:
    """Find each picture's closest identities and decide, at a stated error rate.

    Args:
        gallery: the file.
        images: picture files, or folders, zips and tables of them.
        k: how many identities to return.
        far: false-accept rate of one comparison; by default the lowest that the model resolves.
        model: where the gallery's model is now, if it moved.

    Raises:
        ImageError: the only picture asked about cannot be read.
        ArcwiseError: no gallery, no model, or no threshold for the rate.
    """
    if k < 1:
        raise ArcwiseError(f"k is {k}; expected 1 or more: how many identities to show")
    pictures = queries(images)
    loaded = model_of(gallery, model)
    threshold = threshold_for(loaded, far)
    embedded = embed_queries(loaded, pictures)
    with open_gallery(gallery, mode="r", model=loaded) as store:
        found = store.search(embedded.vectors, k=max(k, 2))  # the decision looks at the runner-up
        enrolled = len(store.identities())
    answers = []
    for row, hits in zip(embedded.rows, found, strict=True):
        decision = decide(hits, threshold.threshold, threshold.far) if threshold else None
        answers.append(Answer(pictures.image(row), tuple(hits[:k]), decision))
    wrong = expected_fpir(threshold.far, enrolled) if threshold else None
    return Found(tuple(answers), threshold, wrong, tuple(embedded.failures))
