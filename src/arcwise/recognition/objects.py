"""Several objects in one image, each of which is asked about: by a detector, or by given boxes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from arcwise.errors import ArcwiseError, ImageError
from arcwise.images.detect import Face
from arcwise.runtime import ImageRows, decode_source

Box = tuple[float, float, float, float]
"""Left, top, width, height in pixels."""

Detect = Callable[[NDArray[np.uint8]], Sequence[Face | Box]]
"""From an image (H, W, 3) uint8 RGB to what is in it, as `images.detect.FaceDetector.detect`."""

_AROUND = 0.5  # of a face's width and height, on each side: what turning it onto a template needs
_KEPT = 2  # images in memory, decoded


class FoundObject(NamedTuple):
    """An object in an image, or why there is none.

    Attributes:
        name: what to call it: its image, its number and where it is.
        place: the row of that image, among those that were looked at.
        box: where it is; None where nothing is found.
        around: share of the box's width and height that is cut with it, on each side.
        landmarks: what it is aligned by, in pixels of what is cut.
        failure: why it cannot be asked about.
    """

    name: str
    place: int
    box: Box | None = None
    around: float = 0.0
    landmarks: list[float] | None = None
    failure: ImageError | None = None


@dataclass(frozen=True, eq=False)
class FoundObjects:
    """The objects in some images, as rows that a model embeds; each is cut out when it is read.

    Attributes:
        whole: the images.
        rows: the objects, those of an image one after the other.
        notes: what the user has to know of them.
    """

    whole: ImageRows
    rows: Sequence[FoundObject]
    notes: tuple[str, ...] = ()
    _decoding: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def name(self) -> str:
        """What to call all of them in an error."""
        return self.whole.name

    @property
    def images(self) -> list[str]:
        """What to call each object."""
        return [one.name for one in self.rows]

    def column(self, name: str) -> list[Any] | None:
        """Return the landmarks, which are all that is known of the objects."""
        points = [one.landmarks for one in self.rows]
        return points if name == "landmarks" and any(points) else None

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return the pixels of an object.

        Raises:
            ImageError: there is none, its image cannot be read, or its box is outside.
        """
        one = self.rows[index]
        if one.failure is not None:
            raise one.failure
        assert one.box is not None
        with self._decoding:  # several threads ask for the objects of one image
            image = self._image(one.place)
        return cut(image, one.box, one.around, one.name)[0]

    @cached_property
    def _image(self) -> Callable[[int], NDArray[np.uint8]]:
        return lru_cache(_KEPT)(
            lambda place: decode_source(self.whole.read(place), self.whole.images[place])
        )


def found_objects(images: ImageRows, detect: Detect, *, aligned: bool = True) -> FoundObjects:
    """Return everything that a detector finds, as rows; an image without anything fails alone.

    The objects of an image are numbered from left to right by where they begin, and of two that
    begin in one column the upper one is first.

    Args:
        images: to look at.
        detect: finds faces or boxes.
        aligned: whether a face is to be turned by its landmarks, and is cut with what that needs.

    Raises:
        ArcwiseError: the detector does not give faces or boxes.
    """
    rows: list[FoundObject] = []
    for place, name in enumerate(images.images):
        try:
            image = decode_source(images.read(place), name)
        except ImageError as problem:
            rows.append(FoundObject(name, place, failure=problem))
            continue
        found = sorted(detect(image), key=_left_and_top)
        if not found:
            nothing = ImageError(name, "the detector finds nothing in it")
            rows.append(FoundObject(name, place, failure=nothing))
        for number, one in enumerate(found, 1):
            if not isinstance(one, Face):
                rows.append(_in_box(name, place, number, len(found), _box(one)))
                continue
            row = _in_box(name, place, number, len(found), one.box)
            rows.append(_with_landmarks(row, image, one) if aligned else row)
    return FoundObjects(images, rows)


def objects_in_boxes(images: ImageRows, boxes: Sequence[Sequence[Box]]) -> FoundObjects:
    """Return the parts of each image that are in its boxes, as rows; one without any fails alone.

    Args:
        images: to cut.
        boxes: those of each.
    """
    rows = []
    for place, (name, each) in enumerate(zip(images.images, boxes, strict=True)):
        if not each:
            nothing = ImageError(name, "no box of it is given")
            rows.append(FoundObject(name, place, failure=nothing))
        rows += [_in_box(name, place, row, len(each), box) for row, box in enumerate(each, 1)]
    return FoundObjects(images, rows)


def _in_box(name: str, place: int, number: int, count: int, box: Box) -> FoundObject:
    return FoundObject(f"{name}, {number} of {count} at {box[0]:.0f},{box[1]:.0f}", place, box)


def _with_landmarks(row: FoundObject, image: NDArray[np.uint8], face: Face) -> FoundObject:
    try:
        _, corner = cut(image, face.box, _AROUND, row.name)
    except ImageError as problem:
        return row._replace(failure=problem)
    points = (face.landmarks - np.array(corner, np.float32)).reshape(-1).tolist()
    return row._replace(around=_AROUND, landmarks=points)


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


def _left_and_top(one: Face | Box) -> tuple[float, float]:
    left, top, _, _ = one.box if isinstance(one, Face) else _box(one)
    return left, top


def _box(one: object) -> Box:
    try:
        left, top, width, height = (float(number) for number in one)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise ArcwiseError(
            f"the detector gave {one!r}; expected faces, or boxes (left, top, width, height)"
        ) from None
    return left, top, width, height
