"""A loaded model: pictures in, points on the sphere out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from arcwise.bundle import Bundle, reference_image
from arcwise.data.picture import read_picture
from arcwise.errors import ArcwiseError, ImageError
from arcwise.evaluation import SearchThreshold, Threshold
from arcwise.images.decode import decode
from arcwise.images.landmarks import align
from arcwise.images.preparation import Preparation
from arcwise.runtime.ahead import in_order
from arcwise.runtime.engines import Engine, Floats, cores
from arcwise.runtime.pillow import is_pillow, pillow_pixels

if TYPE_CHECKING:
    from PIL.Image import Image

Picture: TypeAlias = "str | PathLike[str] | bytes | NDArray[np.uint8] | Image"


@dataclass(frozen=True, eq=False)
class Model:
    """Embeds pictures; made by `arcwise.load`. May be used from several threads.

    Attributes:
        name: for people: the architecture and the beginning of the fingerprint, or a file's name.
        path: the model folder or file.
        fingerprint: sha256 of what decides an embedding; vectors of equal ones are comparable.
        dim: D, the size of an embedding.
        preparation: how a picture becomes the network's input.
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
        """Similarities for stated rates of unknown pictures answered, by size of the gallery."""
        return () if self.bundle is None else self.bundle.search_thresholds

    @property
    def aligns(self) -> bool:
        """Whether a picture is turned by its landmarks, where they are known."""
        return self.bundle is not None and self.bundle.alignment is not None

    def embed(self, items: Iterable[Picture], *, batch_size: int = 64) -> Floats:
        """(N, D) float32 embeddings of unit length, in the order of the items.

        Args:
            items: paths (`archive.zip/member` too), encoded pictures as bytes, decoded ones as
                (H, W, 3) uint8 RGB arrays, or Pillow images of any mode; mixed as you like.
            batch_size: pictures computed at once; at most twice as many are held in memory.

        Raises:
            ImageError: a picture cannot be used. A job that must go on takes `embed_manifest`.
            ArcwiseError: an item is of another kind, or its embedding is zero or not finite.
        """
        single = isinstance(items, str | PathLike | bytes | bytearray | memoryview)
        if single or not isinstance(items, Iterable) or getattr(items, "ndim", 4) != 4:
            raise ArcwiseError(
                f"embed got one {type(items).__name__}, expected a list: write embed([picture])[0]"
            )
        pictures = list(items)
        found = [np.empty((0, self.dim), np.float32)]
        batch: list[NDArray[np.uint8]] = []
        names: list[str] = []
        for name, pixels in in_order(
            len(pictures),
            lambda index: self._prepared(pictures[index], index),
            workers=cores(),
            ahead=batch_size,
        ):
            names.append(name)
            batch.append(pixels)
            if len(batch) == batch_size or len(names) == len(pictures):
                called = names[-len(batch) :]
                found.append(
                    self.embed_pixels(np.stack(batch), batch_size=batch_size, names=called)
                )
                batch = []
        return np.concatenate(found)

    def embed_pixels(
        self,
        pixels: NDArray[np.uint8],
        *,
        batch_size: int = 64,
        names: Sequence[str] | None = None,
    ) -> Floats:
        """(N, D) float32 embeddings of unit length, of pictures that are prepared already.

        Args:
            pixels: (N, height, width, 3) uint8 RGB, from `preparation.pixels`.
            batch_size: pictures computed at once.
            names: what to call the pictures in an error.
        """
        found = [np.empty((0, self.dim), np.float32)]
        for start in range(0, len(pixels), batch_size):
            pictures = self.preparation.tensor(pixels[start : start + batch_size])
            vectors = self.engine(pictures)
            if self.preparation.flip:
                vectors = vectors + self.engine(np.ascontiguousarray(pictures[..., ::-1]))
            lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
            bad = np.flatnonzero(~(np.isfinite(lengths[:, 0]) & (lengths[:, 0] > 0)))
            if len(bad):
                first = start + int(bad[0])
                raise ArcwiseError(
                    f"{f'picture {first}' if names is None else names[first]}: its embedding by "
                    f"{self.name} is zero or not finite, {len(bad)} of {len(vectors)} in the batch."
                    " The weights are broken: check that training did not diverge, and export again"
                )
            found.append((vectors / lengths).astype(np.float32))
        return np.concatenate(found)

    def prepare(
        self, image: NDArray[np.uint8], landmarks: ArrayLike | None = None
    ) -> NDArray[np.uint8]:
        """(height, width, 3) uint8 RGB: the picture as `embed_pixels` takes it.

        Args:
            image: (H, W, 3) uint8 RGB.
            landmarks: (5, 2) or (10,) x, y in the picture. A model with "five-point" alignment
                turns the face onto its template by them; without them, and for other models, the
                picture is taken as it is.
        """
        if landmarks is not None and self.aligns:
            image = align(image, landmarks, self.preparation.height)
        return self.preparation.pixels(image)

    def _prepared(self, item: Picture, index: int) -> tuple[str, NDArray[np.uint8]]:
        name = fspath(item) if isinstance(item, str | PathLike) else ""
        name = name or f"picture {index}"
        image = open_picture(item, name)
        try:
            return name, self.prepare(image)
        except ArcwiseError as problem:
            raise ImageError(name, str(problem)) from None


def open_picture(item: Picture, name: str) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB pixels of a path, encoded bytes, a Pillow image, or an array as it is.

    Raises:
        ImageError: the picture cannot be used.
        ArcwiseError: the item is of another kind.
    """
    if isinstance(item, str | PathLike):
        if not fspath(item):
            raise ImageError(name, "an empty path; expected that of a picture")
        return decode(read_picture("", fspath(item)), name)
    if isinstance(item, bytes | bytearray | memoryview):
        return decode(bytes(item), name)
    if isinstance(item, np.ndarray):
        return item
    if is_pillow(item):
        return pillow_pixels(item, name)
    raise ArcwiseError(
        f"{name} is of type {type(item).__name__}, expected a path, bytes, a uint8 array or a "
        "Pillow image"
    )


def reference_embedding(engine: Engine, preparation: Preparation) -> Floats:
    """Return the (D,) unit-length embedding of the reference image, which loading checks."""
    pixels = preparation.pixels(reference_image())[None]
    dim = engine(preparation.tensor(pixels)).shape[1]
    model = Model("this encoder", Path(), "", dim, preparation, engine)
    return model.embed_pixels(pixels, names=["the reference image"])[0]
