"""Search: whose image is this, or is it unknown?"""

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
from arcwise.verbs.gallery_model import gallery_model
from arcwise.verbs.gallery_query import (
    embed_query_images,
    in_order,
    query_images,
    search_operating_point,
)
from arcwise.verbs.together import TOGETHER, pooled, unmeasured, weighting


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
        notes: what the reader of a folder or table had to decide.
        licence: under which the model's weights may be used, as its folder says.
        together: how many images the one answer is to; 0 where each image has its own.
        weighting: how images together counted, in words.
        unmeasured: why the rate of the threshold does not hold; empty where it does.
    """

    answers: tuple[Answer, ...]
    point: OperatingPoint | None
    size: GallerySize
    calibration: GalleryCalibration | None
    failures: tuple[ImageError, ...]
    queries: tuple[Answer | ImageError, ...]
    ignored: tuple[str, ...]
    notes: tuple[str, ...]
    licence: str = ""
    together: int = 0
    weighting: str = ""
    unmeasured: str = ""

    @property
    def outgrown(self) -> bool:
        """Whether more is enrolled than when the gallery was calibrated."""
        return self.calibration is not None and self.calibration.outgrown(self.size)


def search(
    gallery: str | Path,
    images: Sequence[str | Path | Manifest],
    *,
    k: int = 5,
    together: bool = False,
    far: float | None = None,
    fpir: float | None = None,
    model: str | Path | None = None,
) -> SearchResult:
    """Find each image's closest identities and decide, at a stated error rate.

    For several images together the rate was not measured, nor for templates of several where the
    threshold is not of this gallery: `unmeasured` says so, and the decisions state none.

    Args:
        gallery: the file.
        images: image files, or folders, zips and tables of them. One of several that is not
            there or cannot be read fails alone.
        k: how many identities to return.
        together: whether all images are of one identity, searched with and decided on once.
        far: false-accept rate of one comparison.
        fpir: share of unknown images that may get any answer: what keeps it, or the nearest
            stricter one, decides. By default it is the lowest rate that was measured for such a
            gallery and still finds half of the images of enrolled identities.
        model: where the gallery's model is now, if it moved.

    Raises:
        ImageError: the only query cannot be read.
        ArcwiseError: no gallery, no model, or no threshold for the rate.
    """
    if k < 1:
        raise ArcwiseError(f"k is {k}; expected 1 or more: how many identities to show")
    queries = query_images(images)
    loaded = gallery_model(gallery, model)
    with open_gallery(gallery, mode="r", model=loaded) as store:
        size, calibration = store.size(), store.calibration
        point = search_operating_point(loaded, store, far, fpir)
        embedded = embed_query_images(loaded, queries)
        vectors, names = embedded.vectors, [queries.image(row) for row in embedded.rows]
        count = len(vectors) if together else 0
        if count > 1:
            vectors = pooled(vectors, embedded.quality)[0][None]
            names = [f"{count} images together ({names[0]}, …)"]
        hits = store.search(vectors, k=max(k, 2))  # the decision looks at the runner-up
    several = any(TOGETHER in hit.metadata for of_query in hits for hit in of_query)
    own = point is not None and point.in_this_gallery
    reason = unmeasured(count, several and not own, str(gallery)) if point is not None else ""
    answers = [
        Answer(name, tuple(of_query[:k]), _decide(of_query, point, promised=not reason))
        for name, of_query in zip(names, hits, strict=True)
    ]
    return SearchResult(
        answers=tuple(answers),
        point=point,
        size=size,
        calibration=calibration,
        failures=tuple(embedded.failures),
        queries=(
            (*answers, *embedded.failures) if count > 1 else tuple(in_order(embedded, answers))
        ),
        ignored=queries.ignored,
        notes=(*queries.notes, *embedded.notes),
        licence=loaded.licence,
        together=count,
        weighting=weighting(loaded) if count > 1 else "",
        unmeasured=reason,
    )


def _decide(
    hits: Sequence[Hit], point: OperatingPoint | None, *, promised: bool
) -> Decision | None:
    if point is None:
        return None
    if not promised:
        return decide(hits, point.threshold)
    far = point.basis.far if isinstance(point.basis, Threshold) else None
    return decide(hits, point.threshold, far=far, fpir=point.fpir if point.promises else None)
