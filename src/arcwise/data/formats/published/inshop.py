"""In-Shop Clothes Retrieval: `list_eval_partition.txt` (DeepFashion, Liu et al., CVPR 2016)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from arcwise.data.formats.published.image_lists import (
    fixed_lists,
    folder_with,
    manifest_of_list,
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
    """Return whether the list is there, and this data set's (others have a list of that name)."""
    folder = folder_with(path, [PARTITION], _FOLDERS)
    return folder is not None and _header(folder / PARTITION)[:2] == ["image_name", "item_id"]


def read(path: Path, *, identities: bool = True) -> Manifest:
    """Return the manifest of the clothes: `split` is train, query or gallery, `identity` the item.

    `superclass` is the kind of clothes (`WOMEN/Dresses`); where the list of boxes is there, `box`,
    `clothes` and `pose` come from it, joined by name.
    """
    del identities  # every line names one
    folder = folder_with(path, [PARTITION], _FOLDERS)
    assert folder is not None, "recognises has found it"
    title = folder / PARTITION
    columns = read_words(title, ("image_name", "item_id", "evaluation_status"), skip=2)
    names, splits = columns["image_name"], columns["evaluation_status"]
    _check_count(title, len(names))
    for number, split in enumerate(splits, 3):
        if split not in ("train", "query", "gallery"):
            raise ArcwiseError(
                f"{title}: line {number}: evaluation_status is {split!r}; expected train, query "
                "or gallery"
            )
    root = next((path / one for one in ("Img", "img") if (path / one / "img").is_dir()), path)
    table: dict[str, list[str] | pa.Array] = {
        "image": names,
        "identity": columns["item_id"],
        "split": splits,
        "superclass": ["/".join(name.split("/")[1:-2]) for name in names],
    }
    box_folder = folder_with(path, [BOXES], ("Anno", "Eval", ""))
    if box_folder is not None:
        table |= _boxes(box_folder / BOXES, names)
    return manifest_of_list(
        path,
        table,
        root=root,
        understood="In-Shop Clothes Retrieval, split into train, query and gallery as "
        f"{PARTITION} says",
        list_name=PARTITION,
    )


def _boxes(path: Path, names: list[str]) -> dict[str, pa.Array]:
    """Return the columns of the list of boxes for these images; null for one it does not have."""
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
        "box": fixed_lists(numbers),
        "clothes": kind("clothes_type", _CLOTHES),
        "pose": kind("pose_type", _POSES),
    }


def _check_count(path: Path, count: int) -> None:
    """Raise an error if the first line states another number than the list holds."""
    stated = read_lines(path)[0].strip()
    if stated != str(count):
        raise ArcwiseError(
            f"{path}: line 1 states {stated[:20]} images, below it are {count}; the file was "
            "perhaps cut off: get it anew"
        )


def _header(path: Path) -> list[str]:
    try:
        with open(path, "rb") as file:
            file.readline(1000)
            return file.readline(1000).decode("utf-8", "replace").split()
    except OSError:
        return []
