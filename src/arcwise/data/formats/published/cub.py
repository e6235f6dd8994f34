"""CUB-200-2011: `images.txt` and its companions (Wah et al., CNS-TR-2011-001)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from arcwise.data.formats.published.image_lists import (
    fixed_lists,
    folder_with,
    manifest_of_list,
    read_words,
    rows_with,
)
from arcwise.data.manifest import Manifest

IMAGES, LABELS, CLASSES = "images.txt", "image_class_labels.txt", "classes.txt"
OFFICIAL, BOXES = "train_test_split.txt", "bounding_boxes.txt"
SPECIES = 200
_FOLDERS = ("", "CUB_200_2011")


def recognises(path: Path) -> bool:
    """Return whether the lists of images, labels and classes lie in the folder."""
    return folder_with(path, [IMAGES, LABELS, CLASSES], _FOLDERS) is not None


def read(path: Path, *, identities: bool = True) -> Manifest:
    """Return the manifest of the birds: `split` by species, as metric learning has it.

    The first 100 species are `train`, the last 100 `test`, so that no tested species was trained
    on; the data set's own split, which has every species on both sides, is `official_split`. A
    data set of this layout with another number of classes gets no `split`. Lists are joined by
    the number of the image. `box` is in pixels, as the file has it.
    """
    del identities  # every line names one
    root = folder_with(path, [IMAGES, LABELS, CLASSES], _FOLDERS)
    assert root is not None, "recognises has found it"
    images = read_words(root / IMAGES, ("image_id", "path"))
    keys = images["image_id"]
    labels = read_words(root / LABELS, ("image_id", "class_id"), numbers=["class_id"])
    labelled = rows_with(root / LABELS, keys, labels, "image_id")
    classes = read_words(root / CLASSES, ("class_id", "name"), numbers=["class_id"])
    owners = np.array(labels["class_id"])[labelled]
    named = rows_with(root / CLASSES, owners.tolist(), classes, "class_id")
    columns: dict[str, list[str] | pa.Array] = {
        "image": [f"images/{name}" for name in images["path"]],
        "identity": [classes["name"][row] for row in named],
    }
    understood = "the lists of CUB-200-2011"
    if len(classes["name"]) == SPECIES:
        half = SPECIES // 2
        columns["split"] = ["train" if int(one) <= half else "test" for one in owners]
        understood += f", split as in metric learning: the first {half} classes train, the last "
        understood += f"{half} test"
    if (root / OFFICIAL).is_file():
        official = read_words(root / OFFICIAL, ("image_id", "is_training"), numbers=["is_training"])
        rows = rows_with(root / OFFICIAL, keys, official, "image_id")
        trained = np.array(official["is_training"])[rows] == "1"
        columns["official_split"] = np.where(trained, "train", "test").tolist()
        understood += "; its own split is the column official_split"
    if (root / BOXES).is_file():
        sides = ("x", "y", "width", "height")
        boxes = read_words(root / BOXES, ("image_id", *sides), numbers=sides)
        rows = rows_with(root / BOXES, keys, boxes, "image_id")
        numbers = np.column_stack([np.array(boxes[side], np.float32) for side in sides])
        columns["box"] = fixed_lists(numbers[rows])
    return manifest_of_list(path, columns, root=root, understood=understood, list_name=IMAGES)
