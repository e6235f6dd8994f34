"""Several objects in one image, each of which is asked about: by a detector, or by given boxes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arcwise.errors import ArcwiseError, ImageError
from arcwise.images.detect import Face
from arcwise.recognition.images import ImageList
from arcwise.runtime import ImageRows, ImageSource, decode_source

Box = tuple[float, float, float, float]
"""Left, top, width, height in pixels."""

Detect = Callable[[NDArray[np.uint8]], Sequence[Face | Box]]
"""From an image (H, W, 3) uint8 RGB to what is in it, as `images.detect.FaceDetector.detect`."""

_AROUND = 0.5  # of a face's width and height, on each side: what turning it onto a template needs


@dataclass(frozen=True, eq=False)
class FoundObjects(ImageList):
    """The objects in some images, as images of their own.

    Attributes:
        boxes: of each one in its image; None for an image in which nothing was found.
        places: the row of that image, among those that were looked at.
    """

    boxes: Sequence[Box | None] = ()
    places: Sequence[int] = ()
    called: Sequence[str] = ()

    @cached_property
    def images(self) -> list[str]:
        """What to call each object: its image, its number and where it is."""
        return list(self.called)


def found_objects(images: ImageRows, detect: Detect, *, aligned: bool = True) -> FoundObjects:
    """Return everything that a detector finds, as rows; an image without anything fails alone.

    Args:
        images: to look at.
        detect: finds faces or boxes.
        aligned: whether a face is to be turned by its landmarks, and is cut with what that needs.

    Raises:
        ArcwiseError: the detector does not give faces or boxes.
    """
    return _cut_out(images, lambda image, place: detect(image), aligned=aligned)


def objects_in_boxes(images: ImageRows, boxes: Sequence[Box]) -> FoundObjects:
    """Return the part of each image that is in its box, as rows.

    Args:
        images: of which one may be there several times.
        boxes: one for each.
    """
    return _cut_out(images, lambda image, place: [boxes[place]], aligned=False)


def _cut_out(
    images: ImageRows,
    find: Callable[[NDArray[np.uint8], int], Sequence[Face | Box]],
    *,
    aligned: bool,
) -> FoundObjects:
    rows: list[_Row] = []
    for place, name in enumerate(images.images):
        try:
            image = decode_source(images.read(place), name)
        except ImageError as problem:
            rows.append(_Row(problem, name, place))
            continue
        found = list(find(image, place))
        if not found:
            rows.append(_Row(ImageError(name, "the detector finds nothing in it"), name, place))
        rows += [
            _row(image, one, f"{name}, {number} of {len(found)}", place, aligned=aligned)
            for number, one in enumerate(found, 1)
        ]
    known = any(one.landmarks is not None for one in rows)
    return FoundObjects(
        [one.source for one in rows],
        [one.landmarks for one in rows] if known else None,
        name=images.name,
        boxes=[one.box for one in rows],
        places=[one.place for one in rows],
        called=[one.name for one in rows],
    )


class _Row(NamedTuple):
    """An object, or why there is none."""

    source: ImageSource | ImageError
    name: str
    place: int
    box: Box | None = None
    landmarks: list[float] | None = None


def _row(
    image: NDArray[np.uint8], one: Face | Box, name: str, place: int, *, aligned: bool
) -> _Row:
    face = isinstance(one, Face)
    box = one.box if face else _box(one)
    name = f"{name} at {box[0]:.0f},{box[1]:.0f}"
    try:
        pixels, corner = cut(image, box, _AROUND if face and aligned else 0.0, name)
    except ImageError as problem:
        return _Row(problem, name, place, box)
    if not (face and aligned):
        return _Row(pixels, name, place, box)
    points = (one.landmarks - np.array(corner, np.float32)).reshape(-1).tolist()
    return _Row(pixels, name, place, box, points)


def cut(
    image: NDArray[np.uint8], box: Box, around: float = 0.0, name: str = "the box"
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """Return the part of an image in a box, and the column and row where it begins.

    Args:
        image: (H, W, 3).
        box: where it reaches outside, it ends at the border.
        around: share of its width and height that is added on each side.
        name: for an error.

    Raises:
        ImageError: nothing of the image is in the box.
    """
    height, width = image.shape[:2]
    left, top, wide, high = box
    x0, x1 = left - around * wide, left + (1 + around) * wide
    y0, y1 = top - around * high, top + (1 + around) * high
    if not (np.isfinite(box).all() and wide > 0 and high > 0):
        raise ImageError(name, f"the box is {box}; expected left, top, width and height in pixels")
    x0, x1 = (min(max(0, round(x)), width) for x in (x0, x1))
    y0, y1 = (min(max(0, round(y)), height) for y in (y0, y1))
    part = image[y0:y1, x0:x1]
    if not part.size:
        raise ImageError(name, f"the box {box} is outside the image of {width} × {height} pixels")
    return np.ascontiguousarray(part), (x0, y0)


def _box(one: object) -> Box:
    try:
        left, top, width, height = (float(number) for number in one)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise ArcwiseError(
            f"the detector gave {one!r}; expected faces, or boxes (left, top, width, height)"
        ) from None
    return left, top, width, height
