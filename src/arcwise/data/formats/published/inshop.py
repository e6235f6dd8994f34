"""In-Shop Clothes Retrieval: `list_eval_partition.txt` (DeepFashion, Liu et al., CVPR 2016)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from arcwise.data.formats.published.image_lists import (
    boxes,
    found_in,
    listed,
    read_lines,
    read_words,
)
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

PARTITION = "list_eval_partition.txt"
BOXES = "list_bbox_inshop.txt"
_FOLDERS = ("Eval", "Anno", "")
_POSES = {
    "1": "front",
    "2": "side",
    "3": "back",
    "4": "zoom-out",
    "5": "zoom-in",
    "6": "stand-alone",
}
_CLOTHES = {"1": "upper-body", "2": "lower-body", "3": "full-body"}
_CORNERS = ("x_1", "y_1", "x_2", "y_2")


def recognises(path: Path) -> bool:
    """Whether the list is there, and is this data set's (others have one of the same name)."""
    found = found_in(path, [PARTITION], _FOLDERS)
    return found is not None and _header(found / PARTITION)[:2] == ["image_name", "item_id"]


def read(path: Path, *, identities: bool = True) -> Manifest:
    """The manifest of the clothes: `split` is train, query or gallery, `identity` the item.

    `superclass` is the kind of clothes (`WOMEN/Dresses`); where the list of boxes is there, `box`,
    `clothes` and `pose` come from it, joined by name.
    """
    del identities  # every line names one
    folder = found_in(path, [PARTITION], _FOLDERS)
    assert folder is not None, "recognises said so"
    title = folder / PARTITION
    columns = read_words(title, ("image_name", "item_id", "evaluation_status"), skip=2)
    names, splits = columns["image_name"], columns["evaluation_status"]
    _counted(title, len(names))
    for number, split in enumerate(splits, 3):
        if split not in ("train", "query", "gallery"):
            raise ArcwiseError(
                f"{title}: line {number}: evaluation_status is {split!r}; expected train, query "
                "or gallery"
            )
    root = next((path / one for one in ("Img", "img") if (path / one / "img").is_dir()), path)
    shown: dict[str, list[str] | pa.Array] = {
        "image": names,
        "identity": columns["item_id"],
        "split": splits,
        "superclass": ["/".join(name.split("/")[1:-2]) for name in names],
    }
    found = found_in(path, [BOXES], ("Anno", "Eval", ""))
    if found is not None:
        shown |= _boxes(found / BOXES, names)
    return listed(
        path,
        shown,
        root=root,
        understood="In-Shop Clothes Retrieval, split into train, query and gallery as "
        f"{PARTITION} says",
        list_name=PARTITION,
    )


def _boxes(path: Path, names: list[str]) -> dict[str, pa.Array]:
    """The columns of the list of boxes for these pictures; null for one that it does not have."""
    kinds = ("image_name", "clothes_type", "pose_type")
    columns = read_words(path, (*kinds, *_CORNERS), skip=2, numbers=(*kinds[1:], *_CORNERS))
    rows = {name: row for row, name in enumerate(columns["image_name"])}
    places = np.array([rows.get(name, -1) for name in names])
    left, top, right, bottom = (np.array(columns[name], np.float32) for name in _CORNERS)
    numbers = np.column_stack([left, top, right - left, bottom - top])[places]
    numbers[places < 0] = np.nan

    def kind(name: str, words: dict[str, str]) -> pa.Array:
        values = [words.get(one) for one in columns[name]]
        return pa.array([values[row] if row >= 0 else None for row in places], pa.string())

    return {
        "box": boxes(numbers),
        "clothes": kind("clothes_type", _CLOTHES),
        "pose": kind("pose_type", _POSES),
    }


def _counted(path: Path, found: int) -> None:
    """A list whose first line states another number than it holds was cut off."""
    stated = read_lines(path)[0].strip()
    if stated != str(found):
        raise ArcwiseError(
            f"{path}: line 1 states {stated[:20]} pictures, below it are {found}; the file was "
            "perhaps cut off: get it anew"
        )


def _header(path: Path) -> list[str]:
    try:
        with open(path, "rb") as file:
            file.readline(1000)
            return file.readline(1000).decode("utf-8", "replace").split()
    except OSError:
        return []
