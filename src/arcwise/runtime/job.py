"""Embedding many images, such as a data set; those that cannot be read are listed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from arcwise.data.parallel import each_row
from arcwise.errors import ArcwiseError, ImageError, UnreadableImages
from arcwise.runtime.cache import EmbeddingCache, content_key
from arcwise.runtime.engines import Floats
from arcwise.runtime.model import ImageSource, Model, decode_source


@runtime_checkable
class ImageRows(Protocol):
    """Images by row; a `Manifest` is such."""

    @property
    def name(self) -> str:
        """What to call all of them in an error."""
        ...

    @property
    def images(self) -> list[str]:
        """What to call each of them."""
        ...

    def __len__(self) -> int: ...

    def column(self, name: str) -> list[Any] | None:
        """Return what is known of each image, such as its `landmarks`; None for nothing."""
        ...

    def read(self, index: int) -> ImageSource:
        """Return one image; raise an ImageError where it cannot be read."""
        ...


@dataclass(frozen=True, eq=False)
class Embedded:
    """The embeddings of a data set.

    Attributes:
        vectors: (M, D) float32, unit length.
        quality: (M,) float32, of a model that estimates qualities; None for others.
        rows: (M,) int64, the manifest's row of each vector, ascending; rows that failed are absent.
        failures: why, one for each row that is absent, in the order of the rows.
        reused: how many of the vectors were in the cache.
        notes: what the user has to know of the images, in sentences. Those in the cache do not
            count.
        thumbnails: M small JPEGs of the images; empty where none were asked for.
    """

    vectors: Floats
    rows: NDArray[np.int64]
    failures: list[ImageError]
    reused: int = 0
    notes: tuple[str, ...] = ()
    quality: Floats | None = None
    thumbnails: tuple[bytes, ...] = ()

    def __str__(self) -> str:
        text = f"{len(self.rows)} images embedded"
        return f"{text}, {len(self.failures)} could not be read" if self.failures else text


class _Prepared(NamedTuple):
    """An image that waits for the network."""

    key: bytes
    pixels: NDArray[np.uint8]


def embed_manifest(
    model: Model,
    manifest: ImageRows,
    *,
    batch_size: int = 64,
    workers: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    cache: EmbeddingCache | None = None,
    thumbnails: bool = False,
) -> Embedded:
    """Return the embeddings of a manifest's images; list and pass over the unreadable ones.

    Args:
        model: of `arcwise.load`.
        manifest: one that has images, or other images by row; their `landmarks` serve a model with
            alignment.
        batch_size: images computed at once; about twice as many are held in memory.
        workers: threads that decode; by default one for each core.
        progress: called with (rows done, rows in all), about once a batch.
        cache: of `model_cache`; what is in it is not computed, and every batch is put there.
        thumbnails: whether to make them, for which every image is prepared, also one in the cache.

    Raises:
        ImageError: the only image failed.
        UnreadableImages: every image failed.
        ArcwiseError: an embedding is zero or not finite.
    """
    names = manifest.images
    landmarks = manifest.column("landmarks") or [None] * len(names)
    whole = np.zeros(len(names), bool)
    small: dict[int, bytes] = {}

    def prepared(row: int) -> Floats | _Prepared | ImageError:
        try:
            content, key = manifest.read(row), b""
            if cache is not None and isinstance(content, bytes):
                key = content_key(content, landmarks[row] if model.aligns else None)
                if not thumbnails and (cached := cache.get(key)) is not None:
                    return cached
            image = decode_source(content, names[row])
            whole[row] = model.takes_whole(image, landmarks[row])
            pixels = model.prepare(image, landmarks[row])
            if thumbnails:
                small[row] = model.thumbnail(image, landmarks[row])
            return _Prepared(key, pixels)
        except ImageError as problem:
            return problem
        except ArcwiseError as problem:
            return ImageError(names[row], str(problem))

    # An embedding and, where one is estimated, its quality are one row, here and in the cache.
    numbers = np.empty((len(names), model.dim + model.estimates_quality), np.float32)
    embedded = np.zeros(len(names), bool)
    failures: list[ImageError] = []
    batch: dict[int, _Prepared] = {}
    reused = 0
    for row, result in enumerate(each_row(prepared, len(names), workers=workers, ahead=batch_size)):
        if isinstance(result, ImageError):
            failures.append(result)
        elif isinstance(result, _Prepared):
            batch[row] = result
        else:
            numbers[row], embedded[row] = result, True
            reused += 1
        full, last = len(batch) == batch_size, row + 1 == len(names)
        if batch and (full or last):
            waiting = list(batch)
            numbers[waiting], embedded[waiting] = _computed(model, batch, names, cache), True
            batch = {}
        steady = reused > 0 and row % batch_size == 0  # where all is in the cache no batch fills
        if progress is not None and (full or last or steady):
            progress(row + 1, len(names))
    rows = np.flatnonzero(embedded)
    if failures and len(names) == 1:
        raise failures[0]
    if failures and not len(rows):
        raise _none_read(failures, manifest.name)
    notes = model.notes_on_whole(int(whole.sum()), len(rows))
    numbers = numbers[rows] if failures else numbers
    quality = None
    if model.estimates_quality:
        numbers, quality = np.ascontiguousarray(numbers[:, :-1]), numbers[:, -1].copy()
    shown = tuple(small[row] for row in rows.tolist()) if thumbnails else ()
    return Embedded(numbers, rows, failures, reused, notes, quality, shown)


def _none_read(failures: list[ImageError], name: str) -> UnreadableImages:
    listed = "; ".join(str(failure) for failure in failures[:3])
    absent = any(failure.reason.startswith("no such file") for failure in failures)
    return UnreadableImages(
        f"none of the {len(failures)} images of {name} could be read ({listed}"
        f"{'; …' if len(failures) > 3 else ''}){'; check these paths' * absent}",
        failures,
    )


def model_cache(model: Model) -> EmbeddingCache:
    """Return the cache of a model's embeddings, with their qualities where it estimates some."""
    return EmbeddingCache(model.cache_name, model.dim + model.estimates_quality)


def _computed(
    model: Model, batch: dict[int, _Prepared], names: list[str], cache: EmbeddingCache | None
) -> Floats:
    """Return the (B, D) embeddings of a batch, or (B, D + 1) with qualities; keep them."""
    pixels = np.stack([one.pixels for one in batch.values()])
    vectors, quality = model.embed_pixels_with_quality(
        pixels, batch_size=len(pixels), names=[names[row] for row in batch]
    )
    rows = vectors if quality is None else np.column_stack([vectors, quality])
    if cache is not None:
        cache.put([one.key for one in batch.values()], rows)
    return rows
