"""Watchlist: a folder of images screened against a gallery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from arcwise.client import Client
from arcwise.errors import ArcwiseError, ImageError
from arcwise.gallery import GallerySize, OperatingPoint, shown_address
from arcwise.recognition.answers import QueryObject
from arcwise.recognition.objects import FoundObjects
from arcwise.runtime import model_cache
from arcwise.verbs.asking import asked
from arcwise.verbs.query_images import query_images
from arcwise.verbs.query_objects import object_finder, query_objects


@dataclass(frozen=True)
class WatchlistHit:
    """An image, and somebody enrolled whom it is like.

    Attributes:
        image: its path; of an object in an image, with its number and place.
        identity: who.
        similarity: of the image to the closest template of this identity.
        template: number of that template.
        metadata: of that template.
        object: which part of which image it is; None for a whole image.
    """

    image: str
    identity: str
    similarity: float
    template: int
    metadata: dict[str, Any]
    object: QueryObject | None = None


@dataclass(frozen=True)
class Screened:
    """What a screening found.

    Attributes:
        gallery: its path.
        images: that were compared.
        hits: everyone from the threshold on, the most similar first.
        failures: images that could not be read, and are not compared.
        ignored: files that are no images.
        notes: what the user has to know, a line each.
        point: the threshold, and what it promises; None where nobody is enrolled.
        size: of what was compared with.
        unmeasured: why the rate does not hold; empty where it does.
        thumbnails: the small images of templates in hits, of those that have one.
        objects: whether faces or objects in images were compared, which `images` then counts.
    """

    gallery: str
    images: int
    hits: tuple[WatchlistHit, ...]
    failures: tuple[ImageError, ...]
    ignored: tuple[str, ...]
    notes: tuple[str, ...]
    point: OperatingPoint | None
    size: GallerySize
    unmeasured: str
    thumbnails: dict[int, bytes] = field(default_factory=dict, repr=False)
    objects: bool = False

    @property
    def images_with_hits(self) -> int:
        """How many of the images have a hit."""
        return len({one.image for one in self.hits})

    @property
    def expected(self) -> float | None:
        """Images with a hit that one expects, at most, where all are of others; None if unknown."""
        if self.point is None or not self.point.promises or self.unmeasured:
            return None
        return self.images * self.point.fpir


def screen(
    gallery: str | Path,
    images: Sequence[str | Path],
    *,
    where: str | None = None,
    fpir: float | None = None,
    model: str | Path | None = None,
    cached: bool = True,
    detector: str | Path | None = None,
    boxes: str | Path | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Screened:
    """Compare images with a gallery and return everyone from the threshold on.

    Embeddings are kept in the user's cache folder, so that a screening that was stopped goes on
    where it was, and one against another gallery of the same model computes nothing.

    Args:
        gallery: the file, or its address on a server, which keeps no embeddings.
        images: image files, or folders, zips and tables of them.
        where: a condition on metadata: only templates that meet it are compared with.
        fpir: share of images of others that may have a hit.
        model: where the gallery's model is now, if it moved.
        cached: whether embeddings are looked for, and kept, in the user's cache folder.
        detector: a YuNet .onnx file: each face that it finds in an image is compared. Embeddings of
            objects are not kept.
        boxes: a table of `image` and `box`: each object in a box is compared.
        progress: called with (images done, images in all).

    Raises:
        ArcwiseError: no gallery, no model, no threshold, or no image that can be read.
    """
    find = object_finder(detector, boxes)
    queries = query_images(images)
    cache = None
    with asked(gallery, model) as recogniser:
        rows = queries if find is None else find(queries, recogniser.aligns)
        objects = query_objects(rows) if isinstance(rows, FoundObjects) else [None] * len(rows)
        if isinstance(recogniser, Client):
            store = recogniser
            found = recogniser.search(rows, everyone=True, where=where, fpir=fpir)
        else:
            store = recogniser.gallery
            cache = model_cache(recogniser.model) if cached else None
            try:
                found = recogniser.search(
                    rows, everyone=True, where=where, fpir=fpir, cache=cache, progress=progress
                )
            finally:
                if cache is not None:
                    cache.close()
        hits = [
            WatchlistHit(
                answer.image, hit.identity, hit.similarity, hit.template, hit.metadata, part
            )
            for answer, part in zip(found.queries, objects, strict=True)
            if not isinstance(answer, ImageError)
            for hit in answer.hits
        ]
        small = {one: store.thumbnail(one) for one in {hit.template for hit in hits}}
    kept = () if cache is None else cache.notes
    notes = tuple(dict.fromkeys((*queries.notes, *rows.notes, *found.notes, *kept)))
    return Screened(
        gallery=shown_address(gallery),
        images=len(found.answers),
        hits=tuple(sorted(hits, key=lambda one: (-one.similarity, one.image, one.identity))),
        failures=found.failures,
        ignored=queries.ignored,
        notes=notes,
        point=found.point,
        size=found.size,
        unmeasured=found.unmeasured,
        thumbnails={one: image for one, image in small.items() if image is not None},
        objects=find is not None,
    )


def hits_path(out: str | Path) -> Path:
    """Return the path of a new table of hits, before any work is done for it.

    Raises:
        ArcwiseError: it exists, or ends otherwise.
    """
    path = Path(out)
    if path.suffix.lower() not in (".parquet", ".csv"):
        raise ArcwiseError(f"{out}: expected a table, ending in .csv or .parquet")
    if path.exists():
        raise ArcwiseError(f"{out} exists; name another table with --out, or remove it")
    return path


def write_hits(result: Screened, out: Path) -> Path:
    """Write a row for each hit to a new .csv or .parquet, and return its path."""
    import pyarrow as pa

    from arcwise.data.writing import write_table

    hits = result.hits
    enrolled = [one.metadata.get("image") for one in hits]
    parts = [one.object for one in hits]
    files = [one.image if one.object is None else one.object.image for one in hits]
    columns = {"image": pa.array(files, pa.string())}
    if any(parts):
        boxes = [None if one is None else one.box for one in parts]
        words = [" ".join(f"{side:g}" for side in box) if box else None for box in boxes]
        columns["box"] = pa.array(words, pa.string())
    table = pa.table(
        {
            **columns,
            "identity": pa.array([one.identity for one in hits], pa.string()),
            "similarity": pa.array([round(one.similarity, 6) for one in hits], pa.float64()),
            "template": pa.array([one.template for one in hits], pa.int64()),
            "enrolled_image": pa.array(
                [one if isinstance(one, str) else None for one in enrolled], pa.string()
            ),
        }
    )
    with write_table(out) as write:
        write(table)
    return out
