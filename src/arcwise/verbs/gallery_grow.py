"""Gallery grow: strangers who come back become identities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from arcwise.recognition import Growth, Recogniser
from arcwise.verbs.query_images import query_images


def grow(
    gallery: str | Path,
    images: Sequence[str | Path],
    *,
    fpir: float = 0.01,
    least_quality: float | None = None,
    model: str | Path | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Growth:
    """Search images in their order, and keep those of nobody; see `Recogniser.grow`.

    Args:
        gallery: the file.
        images: image files, or folders, zips and tables of them.
        fpir: share of images of others that may meet a sighting, among all of them.
        least_quality: what the model must estimate of an image that is kept, at least.
        model: where the gallery's model is now, if it moved.
        progress: called with (images embedded, images in all).

    Raises:
        ArcwiseError: no gallery, no model, no threshold, or no image that can be read.
    """
    queries = query_images(images)
    with Recogniser(model, gallery) as recogniser:
        grown = recogniser.grow(queries, fpir=fpir, least_quality=least_quality, progress=progress)
    return replace(grown, notes=(*queries.notes, *grown.notes))
