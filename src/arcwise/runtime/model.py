"""A loaded model: images in, points on the sphere out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from arcwise.bundle import Bundle, reference_image
from arcwise.bundle.description import ONNX
from arcwise.data.image_files import read_image_bytes
from arcwise.data.parallel import each_row
from arcwise.errors import ArcwiseError, ImageError
from arcwise.evaluation import SearchThreshold, Threshold
from arcwise.images.decode import decode
from arcwise.images.landmarks import Template, align
from arcwise.images.pillow import is_pillow, pillow_pixels
from arcwise.images.preparation import Preparation
from arcwise.images.thumbnails import LONGEST, thumbnail
from arcwise.runtime.engines import Engine, Floats, embed_prepared, embed_with_quality

if TYPE_CHECKING:
    from PIL.Image import Image

ImageSource: TypeAlias = "str | PathLike[str] | bytes | NDArray[np.uint8] | Image"
"""What can be embedded: a path, an encoded image, (H, W, 3) uint8 RGB pixels, a Pillow image."""


class QualifiedEmbeddings(NamedTuple):
    """Embeddings, and how much each is worth in a set.

    Attributes:
        vectors: (N, D) float32, unit length.
        quality: (N,) float32, 0 or more; None for a model that estimates none.
    """

    vectors: Floats
    quality: Floats | None


@dataclass(frozen=True, eq=False)
class Model:
    """Embeds images; made by `arcwise.load`. May be used from several threads.

    Attributes:
        name: for people: the architecture and the beginning of the fingerprint, or a file's name.
        path: the model folder or file.
        fingerprint: sha256 of what decides an embedding; vectors of equal ones are comparable.
        dim: D, the size of an embedding.
        preparation: how an image becomes the network's input.
        engine: the function behind it; `engine.kind` is "onnx" or "torch".
        bundle: the model folder's description; None for a bare `.onnx`.
    """

    name: str
    path: Path
    fingerprint: str
    dim: int
    preparation: Preparation
    engine: Engine = field(repr=False)
    bundle: Bundle | None = field(default=None, repr=False)

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        """Similarities for stated false-accept rates; empty until the model is calibrated."""
        return () if self.bundle is None else self.bundle.thresholds

    @property
    def search_thresholds(self) -> tuple[SearchThreshold, ...]:
        """Similarities for stated rates of unknown images answered, by size of the gallery."""
        return () if self.bundle is None else self.bundle.search_thresholds

    @property
    def licence(self) -> str:
        """Under which licence the weights may be used, in words; empty where nothing says it."""
        return "" if self.bundle is None else self.bundle.licence

    @property
    def cache_name(self) -> str:
        """The fingerprint, and the file's digest where that is int8: equal ones embed equally."""
        if self.bundle is None or self.engine.kind != "onnx" or self.bundle.precision != "int8":
            return self.fingerprint
        return f"{self.fingerprint}-{self.bundle.files[ONNX][:16]}"

    @property
    def aligns(self) -> bool:
        """Whether an image is turned by its landmarks, where they are known."""
        return self.bundle is not None and self.bundle.alignment is not None

    @property
    def estimates_quality(self) -> bool:
        """Whether it estimates the quality of each image."""
        return self.bundle is not None and self.bundle.reference_quality is not None

    def embed(self, items: Iterable[ImageSource], *, batch_size: int = 64) -> Floats:
        """Return (N, D) float32 embeddings of unit length, in the order of the items.

        Args:
            items: paths (`archive.zip/member` too), encoded images as bytes, decoded ones as
                (H, W, 3) uint8 RGB arrays, or Pillow images of any mode; mixed as you like.
            batch_size: images computed at once; at most twice as many are held in memory.

        Raises:
            ImageError: an image cannot be used. A job that must go on takes `embed_manifest`.
            ArcwiseError: an item is of another kind, or its embedding is zero or not finite.
        """
        return self.embed_with_quality(items, batch_size=batch_size).vectors

    def embed_with_quality(
        self, items: Iterable[ImageSource], *, batch_size: int = 64
    ) -> QualifiedEmbeddings:
        """Return the embeddings and, of a model that estimates some, the qualities of the items.

        Args and errors are those of `embed`.
        """
        return self._joined(
            [
                self.embed_pixels_with_quality(pixels, batch_size=batch_size, names=names)
                for names, pixels in self._batches(items, batch_size)
            ]
        )

    def estimate(
        self, items: Iterable[ImageSource], *, batch_size: int = 64
    ) -> NDArray[np.float64]:
        """Return (N,) what the lengths of the embeddings say, such as ages, in the items' order.

        An image is embedded as it is, without its mirror image.

        Args:
            items: as `embed` takes them.
            batch_size: images computed at once.

        Raises:
            ImageError: an image cannot be used.
            ArcwiseError: an item is of another kind, or the model's lengths say nothing.
        """
        reading = None if self.bundle is None else self.bundle.length
        if reading is None:
            raise ArcwiseError(f"{self.name}: {self._why_no_estimate()}")
        batches = self._batches(items, batch_size, "estimate")
        lengths = [self.lengths(pixels) for _, pixels in batches]
        return reading.values(np.concatenate([np.empty(0), *lengths]))

    def _why_no_estimate(self) -> str:
        loss = "" if self.bundle is None else self.bundle.training.get("loss", "")
        if "length (" in str(loss):  # as `training.described_loss` writes it
            return (
                "the lengths of its embeddings were trained to tell a number, but the line from "
                "one to the other is not known: it is fitted on held-out identities whose number "
                "is known; train with some (--holdout)"
            )
        return (
            "the lengths of its embeddings say nothing; expected a model trained with a loss such "
            "as arcface+length, some identities held out"
        )

    def lengths(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return (N,) lengths of the embeddings of prepared images, (N, height, width, 3) uint8."""
        vectors = self.engine(self.preparation.tensor(pixels))
        return np.linalg.norm(vectors.astype(np.float64), axis=1)

    def _batches(
        self, items: Iterable[ImageSource], size: int, method: str = "embed"
    ) -> Iterator[tuple[list[str], NDArray[np.uint8]]]:
        """Yield names and prepared pixels (B, height, width, 3) of so many items at once."""
        images = listed(items, method)
        prepared = each_row(
            lambda index: self._prepared(images[index], index), len(images), ahead=size
        )
        while batch := list(islice(prepared, size)):
            yield [name for name, _ in batch], np.stack([pixels for _, pixels in batch])

    def embed_pixels(
        self,
        pixels: NDArray[np.uint8],
        *,
        batch_size: int = 64,
        names: Sequence[str] | None = None,
    ) -> Floats:
        """Return (N, D) float32 embeddings of unit length, of images that are prepared already.

        Args:
            pixels: (N, height, width, 3) uint8 RGB, from `preparation.pixels`.
            batch_size: images computed at once.
            names: what to call the images in an error.
        """
        return self.embed_pixels_with_quality(pixels, batch_size=batch_size, names=names).vectors

    def embed_pixels_with_quality(
        self,
        pixels: NDArray[np.uint8],
        *,
        batch_size: int = 64,
        names: Sequence[str] | None = None,
    ) -> QualifiedEmbeddings:
        """Return what `embed_pixels` does and, of a model that estimates some, the qualities.

        Args are those of `embed_pixels`.
        """
        results: list[QualifiedEmbeddings] = []
        for start in range(0, len(pixels), batch_size):
            part = pixels[start : start + batch_size]
            quality = None
            if self.estimates_quality:
                vectors, quality = embed_with_quality(self.engine, self.preparation, part)
            else:
                vectors = embed_prepared(self.engine, self.preparation, part)
            lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
            bad = np.flatnonzero(~(np.isfinite(lengths[:, 0]) & (lengths[:, 0] > 0)))
            if len(bad):
                first = start + int(bad[0])
                raise ArcwiseError(
                    f"{f'image {first}' if names is None else names[first]}: its embedding by "
                    f"{self.name} is zero or not finite, {len(bad)} of {len(vectors)} in the batch."
                    " The weights are broken: check that training did not diverge, and export again"
                )
            if quality is not None and not (np.isfinite(quality) & (quality >= 0)).all():
                raise ArcwiseError(
                    f"{self.name} estimates qualities that are negative or not finite: its weights "
                    "are broken; check that training did not diverge"
                )
            results.append(QualifiedEmbeddings((vectors / lengths).astype(np.float32), quality))
        return self._joined(results)

    def _joined(self, parts: Sequence[QualifiedEmbeddings]) -> QualifiedEmbeddings:
        """Return all parts as one, with no row where there is none."""
        vectors = [np.empty((0, self.dim), np.float32), *(one.vectors for one in parts)]
        quality = [one.quality for one in parts if one.quality is not None]
        joined = None
        if self.estimates_quality:
            joined = np.concatenate([np.empty(0, np.float32), *quality])
        return QualifiedEmbeddings(np.concatenate(vectors), joined)

    def prepare(
        self, image: NDArray[np.uint8], landmarks: ArrayLike | None = None
    ) -> NDArray[np.uint8]:
        """Return the image as `embed_pixels` takes it, (height, width, 3) uint8 RGB.

        Args:
            image: (H, W, 3) uint8 RGB.
            landmarks: (5, 2) or (10,) x, y in the image. A model with alignment
                turns the face onto its template by them; without them, and for other models, the
                image is taken as it is.
        """
        return self.preparation.pixels(self._turned(image, landmarks, self.preparation.height))

    def thumbnail(self, image: NDArray[np.uint8], landmarks: ArrayLike | None = None) -> bytes:
        """Return a small JPEG of the image for a person to see.

        It is made of the whole image and not of what the network takes, which may be smaller and
        cut; a face that the model turns is turned here too.

        Args:
            image: (H, W, 3) uint8 RGB.
            landmarks: as `prepare` takes them.
        """
        return thumbnail(self._turned(image, landmarks, LONGEST))

    def _turned(
        self, image: NDArray[np.uint8], landmarks: ArrayLike | None, size: int
    ) -> NDArray[np.uint8]:
        """Return the face turned onto the model's template where its landmarks are known."""
        if landmarks is None or self.bundle is None or self.bundle.alignment is None:
            return image
        return align(image, landmarks, size, cast(Template, self.bundle.alignment))

    def takes_whole(self, image: NDArray[np.uint8], landmarks: ArrayLike | None = None) -> bool:
        """Return whether this is a model of turned faces, and cannot turn this one.

        Args:
            image: (H, W, 3); one of the size of a crop passes for a crop.
            landmarks: as `prepare` takes them.
        """
        crop = (self.preparation.height, self.preparation.width)
        return self.aligns and landmarks is None and image.shape[:2] != crop

    def notes_on_whole(self, count: int, images: int) -> tuple[str, ...]:
        """Return what to say of so many of the images that `takes_whole`; nothing for none.

        Args:
            count: of those.
            images: that are embedded, whole images or parts of them.
        """
        if self.bundle is None or not count:
            return ()
        return (
            f"{count:,} of {images:,} faces are not turned onto the model's template, and their "
            "embeddings mean little: they have no landmarks and not the size of a crop. `arcwise "
            "search` and `arcwise watchlist` find and turn the faces of a photo with --detector "
            "yunet.onnx; to cut them for all else: arcwise data align DATA CROPS --detector "
            "yunet.onnx "
            f"--template {self.bundle.alignment} --size {self.preparation.height}",
        )

    def _prepared(self, source: ImageSource, index: int) -> tuple[str, NDArray[np.uint8]]:
        name = fspath(source) if isinstance(source, str | PathLike) else ""
        name = name or f"image {index}"
        image = decode_source(source, name)
        try:
            return name, self.prepare(image)
        except ArcwiseError as problem:
            raise ImageError(name, str(problem)) from None


def listed(items: Iterable[ImageSource], method: str = "") -> list[ImageSource]:
    """Return images as a list.

    Args:
        items: the images.
        method: what got them, for the message.

    Raises:
        ArcwiseError: it is a single image.
    """
    single = isinstance(items, str | PathLike | bytes | bytearray | memoryview)
    if single or not isinstance(items, Iterable) or getattr(items, "ndim", 4) != 4:
        call = f"{method}([image])" if method else "[image]"
        raise ArcwiseError(
            f"{method} got one {type(items).__name__}, expected a list: write {call}".lstrip()
        )
    return list(items)


def decode_source(source: ImageSource, name: str) -> NDArray[np.uint8]:
    """Return the (H, W, 3) uint8 RGB pixels of a source; of an array, itself.

    Raises:
        ImageError: the image cannot be used.
        ArcwiseError: the source is of another kind.
    """
    if isinstance(source, str | PathLike):
        if not fspath(source):
            raise ImageError(name, "an empty path; expected that of an image")
        return decode(read_image_bytes("", fspath(source)), name)
    if isinstance(source, bytes | bytearray | memoryview):
        return decode(bytes(source), name)
    if isinstance(source, np.ndarray):
        return source
    if is_pillow(source):
        return pillow_pixels(source, name)
    raise ArcwiseError(
        f"{name} is of type {type(source).__name__}, expected a path, bytes, a uint8 array or a "
        "Pillow image"
    )


def reference_embedding(engine: Engine, preparation: Preparation) -> Floats:
    """Return the (D,) unit-length embedding of the reference image, which loading checks."""
    pixels = preparation.pixels(reference_image())[None]
    dim = engine(preparation.tensor(pixels)).shape[1]
    model = Model("this encoder", Path(), "", dim, preparation, engine)
    return model.embed_pixels(pixels, names=["the reference image"])[0]


def reference_quality(engine: Engine, preparation: Preparation) -> float:
    """Return the quality of the reference image, by an encoder that estimates one."""
    pixels = preparation.pixels(reference_image())[None]
    return float(embed_with_quality(engine, preparation, pixels)[1][0])
