"""The objects in the images of a query, by a detector or in the boxes of a table."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from arcwise.errors import ArcwiseError
from arcwise.images.detect import FaceDetector
from arcwise.recognition.answers import QueryObject
from arcwise.recognition.images import ImageList
from arcwise.recognition.objects import Box, FoundObjects, found_objects, objects_in_boxes

Find = Callable[[ImageList, bool], FoundObjects]
"""From images, and whether the model turns faces by landmarks, to the objects in them."""


def object_finder(
    detector: str | Path | None, boxes: str | Path | None, *, together: bool = False
) -> Find | None:
    """Return what finds the objects in images; None where each image is one query.

    Args:
        detector: a YuNet .onnx file, which finds faces.
        boxes: a table of `image` and `box`, in any form of a manifest.
        together: whether all images are to be one query.

    Raises:
        ArcwiseError: both are named, or objects are to be one query, or a file is something else.
    """
    if detector is None and boxes is None:
        return None
    if detector is not None and boxes is not None:
        raise ArcwiseError("got --detector and --boxes; expected one of the two")
    if together:
        raise ArcwiseError(
            "--together takes all images for one identity, and each object of an image is a query "
            "of its own: leave out --together, or search with images of the one object"
        )
    if boxes is not None:
        table = _read_boxes(boxes)
        return lambda images, aligned: _in_boxes(images, table, str(boxes))
    assert detector is not None
    faces = FaceDetector(detector)
    return lambda images, aligned: found_objects(images, faces.detect, aligned=aligned)


def query_objects(found: FoundObjects) -> tuple[QueryObject, ...]:
    """Return which part of which image each row is."""
    names = found.whole.images
    return tuple(QueryObject(names[one.place], one.box) for one in found.rows)


def _read_boxes(path: str | Path) -> dict[str, list[Box]]:
    """Return the boxes of each image of a table, by its absolute path.

    Raises:
        ArcwiseError: no such table, or a row without a box.
    """
    from arcwise.data.formats.opening import open_manifest

    table = open_manifest(path, identities=False)
    column = table.column("box") or [None] * len(table)
    missing = next((row for row, box in enumerate(column, 1) if box is None), None)
    if missing is not None:
        raise ArcwiseError(
            f"{path}: row {missing} has no box; expected a column `box` with left, top, width and "
            'height in pixels, such as "40 25 100 80", in every row'
        )
    boxes: dict[str, list[Box]] = {}
    for image, box in zip(table.images, column, strict=True):
        boxes.setdefault(_place(os.path.join(table.root, image)), []).append(tuple(box))
    return boxes


def _in_boxes(images: ImageList, boxes: dict[str, list[Box]], table: str) -> FoundObjects:
    """Return the parts of images that are in the boxes of a table.

    Raises:
        ArcwiseError: the table has boxes of other images, and none of these.
    """
    once = {_place(name): row for row, name in enumerate(images.images)}  # a table has a row a box
    others = sorted(boxes.keys() - once.keys())
    if len(others) == len(boxes):
        raise ArcwiseError(
            f"{table}: has no box of any of the images that are asked about; its first is of "
            f"{others[0]}"
        )
    notes = [f"{table}: the boxes of {one} are not asked about" for one in others[:1]]
    if len(others) > 1:
        notes = [f"{notes[0]}, nor those of {len(others) - 1:,} other images"]
    whole = ImageList([images.sources[row] for row in once.values()])
    found = objects_in_boxes(whole, [boxes.get(place, []) for place in once])
    return replace(found, notes=tuple(notes))


def _place(path: str) -> str:
    return os.path.realpath(path)
