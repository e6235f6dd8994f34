"""Search: whose image is this, or is it unknown?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from arcwise.recognition import Answer, SearchResult
from arcwise.verbs.asking import asked
from arcwise.verbs.query_images import query_images
from arcwise.verbs.query_objects import object_finder, query_objects

if TYPE_CHECKING:
    from arcwise.data.manifest import Manifest

__all__ = ["Answer", "SearchResult", "search"]


def search(
    gallery: str | Path,
    images: Sequence[str | Path | Manifest],
    *,
    k: int = 5,
    where: str | None = None,
    everyone: bool = False,
    together: bool = False,
    far: float | None = None,
    fpir: float | None = None,
    model: str | Path | None = None,
    detector: str | Path | None = None,
    boxes: str | Path | None = None,
) -> SearchResult:
    """Find each image's closest identities and decide, at a stated error rate.

    Args:
        gallery: the file, or its address on a server.
        images: image files, or folders, zips and tables of them. One of several that is not
            there or cannot be read fails alone.
        k: how many identities to return.
        where: a condition on metadata: only templates that meet it take part.
        everyone: whether to return all identities from the threshold on, however many.
        together: whether all images are of one identity, as for `Recogniser.search`.
        far: false-accept rate of one comparison.
        fpir: share of unknown images that may get any answer.
        model: where the gallery's model is now, if it moved.
        detector: a YuNet .onnx file: each face that it finds in an image is a query of its own.
        boxes: a table of `image` and `box`: each object in a box is a query of its own.

    Raises:
        ImageError: the only query cannot be read.
        ArcwiseError: no gallery, no model, no threshold for the rate, or a condition that cannot
            be read; or objects of images are asked about together.
    """
    find = object_finder(detector, boxes, together=together)
    queries = query_images(images)
    with asked(gallery, model) as recogniser:
        objects = None if find is None else find(queries, recogniser.aligns)
        found = recogniser.search(
            queries if objects is None else objects,
            k=k,
            where=where,
            everyone=everyone,
            together=together,
            far=far,
            fpir=fpir,
        )
    parts = () if objects is None else query_objects(objects)
    notes = (*queries.notes, *(() if objects is None else objects.notes), *found.notes)
    return replace(found, ignored=queries.ignored, notes=notes, objects=parts)
