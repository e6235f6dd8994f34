"""Cars-196: the annotations of MATLAB, whole and as the development kit has them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ArcwiseError

MODELS = [f"Make Model {number} 2012" for number in range(1, 197)]
CARS = [("000001.jpg", 1, 0), ("000002.jpg", 98, 1), ("000003.jpg", 99, 0)]
CORNERS = {"bbox_x1": 30, "bbox_y1": 52, "bbox_x2": 246, "bbox_y2": 147}


def records(rows: list[dict[str, Any]]) -> np.ndarray:
    """A struct array as MATLAB has it: (1, N), each value of a field a matrix."""
    found = np.empty((1, len(rows)), [(name, object) for name in rows[0]])
    for number, row in enumerate(rows):
        for name, value in row.items():
            found[name][0, number] = value
    return found


def annotated(cars: list[tuple[str, int, int]] = CARS, **other: Any) -> np.ndarray:
    return records(
        [
            {"relative_im_path": f"car_ims/{name}", **CORNERS, "class": model, "test": test} | other
            for name, model, test in cars
        ]
    )


def names(found: list[str]) -> np.ndarray:
    cells = np.empty((1, len(found)), object)
    cells[0, :] = found
    return cells


@pytest.fixture
def cars(a_folder: Callable[..., Path]) -> Path:
    root = a_folder(*(f"car_ims/{name}" for name, *_ in CARS), name="cars196")
    found = {"annotations": annotated(), "class_names": names(MODELS)}
    savemat(root / "cars_annos.mat", found, do_compression=True)
    return root


def test_the_annotations_of_the_whole_set(cars: Path) -> None:
    manifest = open_manifest(cars)
    assert manifest.table.to_pydict() == {
        "image": [f"car_ims/{name}" for name, *_ in CARS],
        "identity": [MODELS[0], MODELS[97], MODELS[98]],
        "split": ["train", "train", "test"],
        "official_split": ["train", "test", "train"],
        "box": [[30, 52, 216, 95]] * 3,
    }
    assert "the first 98 classes train, the last 98 test" in manifest.understood
    assert manifest.read(1) == (cars / "car_ims/000002.jpg").read_bytes()


@pytest.mark.parametrize("labelled", [True, False])
def test_the_development_kit(a_folder: Callable[..., Path], labelled: bool) -> None:
    root = a_folder("cars_train/00001.jpg", "cars_test/00001.jpg", name="cars")
    kit = root / "devkit"
    kit.mkdir()
    savemat(kit / "cars_meta.mat", {"class_names": names(MODELS)})
    one = CORNERS | {"class": 14, "fname": "00001.jpg"}
    savemat(kit / "cars_train_annos.mat", {"annotations": records([one])})
    test = CORNERS | {"fname": "00001.jpg"}
    savemat(kit / "cars_test_annos.mat", {"annotations": records([test])})
    if labelled:
        whole = records([one | {"class": 190}])
        savemat(kit / "cars_test_annos_withlabels.mat", {"annotations": whole})
    manifest = open_manifest(root)
    expected = ["cars_train/00001.jpg", "cars_test/00001.jpg"]
    assert manifest.images == expected[: 1 + labelled]
    assert manifest.column("split") == ["train", "test"][: 1 + labelled]
    assert manifest.column("official_split") == ["train", "test"][: 1 + labelled]
    assert manifest.identities == [MODELS[13], MODELS[189]][: 1 + labelled]
    if not labelled:
        assert manifest.ignored == ("cars_test/00001.jpg",)
        assert manifest.notes[0].startswith("1 images are left out: cars_test_annos.mat")


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({"annotations": annotated()}, "holds no class_names"),
        ({"class_names": names(MODELS)}, "holds no annotations"),
        ({"annotations": np.arange(3), "class_names": names(MODELS)}, "holds no annotations"),
        ({"annotations": annotated(), "class_names": names(MODELS[:50])}, r"annotation 2 .*to 50"),
        (
            {"annotations": annotated(**{"class": "x"}), "class_names": names(MODELS)},
            "annotation 1: class is x; expected a number",
        ),
        (
            {"annotations": annotated(bbox_x1=np.nan), "class_names": names(MODELS)},
            r"annotation 1: bbox_x1 is \[nan\]",
        ),
        (
            {"annotations": annotated(relative_im_path=7), "class_names": names(MODELS)},
            "annotation 1 has no relative_im_path; expected a file name",
        ),
        (
            {"annotations": annotated(relative_im_path="../x"), "class_names": names(MODELS)},
            "lies outside",
        ),
        (
            {"annotations": records([CORNERS]), "class_names": names(MODELS)},
            "annotation 1 has no relative_im_path",
        ),
    ],
)
def test_other_contents_are_named(cars: Path, found: dict[str, Any], message: str) -> None:
    savemat(cars / "cars_annos.mat", found)
    with pytest.raises(ArcwiseError, match=message):
        open_manifest(cars)


@pytest.mark.parametrize("compressed", [True, False])
def test_damage_is_an_error_or_changes_single_values(cars: Path, compressed: bool) -> None:
    path = cars / "cars_annos.mat"
    short = {"annotations": annotated(), "class_names": names(MODELS[:99])}
    savemat(path, short, do_compression=compressed)
    whole = path.read_bytes()
    draw = random.Random(0)
    for cut in (0, 1, 127, 128, 129, 136, *draw.sample(range(len(whole)), 30)):
        path.write_bytes(whole[:cut])
        with pytest.raises(ArcwiseError, match=r"cars_annos\.mat"):
            open_manifest(cars)
    for place in (*range(110, 180), *draw.sample(range(len(whole)), 50)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            manifest = open_manifest(cars)
        except ArcwiseError as error:
            assert "cars_annos.mat" in str(error)  # noqa: PT017 - one of two right answers
        else:
            assert 1 <= len(manifest) <= 3


def test_a_file_that_is_far_too_large_is_not_read(cars: Path) -> None:
    with open(cars / "cars_annos.mat", "r+b") as file:
        file.truncate(2**26 + 1)
    with pytest.raises(ArcwiseError, match="the real file has under 1 MB"):
        open_manifest(cars)
