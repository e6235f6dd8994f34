"""Search: whose picture is this, or is it unknown?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, ImageError
from arcwise.evaluation import Threshold
from arcwise.gallery import (
    Decision,
    GalleryCalibration,
    GallerySize,
    Hit,
    OperatingPoint,
    decide,
    open_gallery,
)
from arcwise.verbs.model_of import model_of
from arcwise.verbs.queries import embed_queries, in_place, queries
from arcwise.verbs.threshold import point_for_search


@dataclass(frozen=True)
class Answer:
    """What a picture is.

    Attributes:
        image: the query's path.
        hits: the closest identities, closest first.
        decision: which of them it is, or unknown; None where no threshold decides.
    """

    image: str
    hits: tuple[Hit, ...]
    decision: Decision | None


@dataclass(frozen=True)
class Found:
    """The answers to a search.

    Attributes:
        answers: one for every readable picture, in their order.
        point: the threshold that decides, and what it promises in this gallery; None where the
            model has none, and in an empty gallery.
        size: how many identities and templates are enrolled.
        calibrated: what was measured against the gallery as it was then; None where nothing was.
        failures: pictures that could not be read.
        asked: every picture of the query in its order: its answer, or why it has none.
        ignored: files of the folders asked about that are no pictures.
        notes: what the reader of a folder or table had to decide.
    """

    answers: tuple[Answer, ...]
    point: OperatingPoint | None
    size: GallerySize
    calibrated: GalleryCalibration | None
    failures: tuple[ImageError, ...]
    asked: tuple[Answer | ImageError, ...]
    ignored: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def outgrown(self) -> bool:
        """Whether more is enrolled than when the gallery was calibrated."""
        return self.calibrated is not None and self.calibrated.outgrown(self.size)


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
        fpir: share of unknown pictures that may get any answer: what keeps it, or the nearest
            stricter one, decides. By default it is the lowest rate that was measured for such a
            gallery and still finds half of the pictures of enrolled identities.
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
        size, calibrated = store.size(), store.calibration
        point = point_for_search(loaded, store, far, fpir)
        embedded = embed_queries(loaded, pictures)
        found = store.search(embedded.vectors, k=max(k, 2))  # the decision looks at the runner-up
    answers = [
        Answer(pictures.image(row), tuple(hits[:k]), _decide(hits, point))
        for row, hits in zip(embedded.rows, found, strict=True)
    ]
    return Found(
        answers=tuple(answers),
        point=point,
        size=size,
        calibrated=calibrated,
        failures=tuple(embedded.failures),
        asked=tuple(in_place(embedded, answers)),
        ignored=pictures.ignored,
        notes=pictures.notes,
    )


def _decide(hits: Sequence[Hit], point: OperatingPoint | None) -> Decision | None:
    if point is None:
        return None
    far = point.basis.far if isinstance(point.basis, Threshold) else None
    return decide(hits, point.threshold, far=far, fpir=point.fpir if point.promises else None)
