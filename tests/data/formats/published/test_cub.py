"""CUB-200-2011: five lists joined by the number of the image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ArcwiseError
from tests.damage import damaged

SPECIES = {number: f"{number:03}.Bird_{number}" for number in range(1, 201)}
IMAGES = {1: f"{SPECIES[1]}/a.jpg", 2: f"{SPECIES[100]}/b.jpg", 3: f"{SPECIES[101]}/c d.jpg"}


@pytest.fixture
def cub(a_folder: Callable[..., Path]) -> Path:
    root = a_folder(*(f"images/{name}" for name in IMAGES.values()), name="CUB_200_2011")
    lists = {
        "images": [f"{number} {name}" for number, name in IMAGES.items()],
        "image_class_labels": ["3 101", "1 1", "2 100"],
        "classes": [f"{number} {name}" for number, name in SPECIES.items()],
        "train_test_split": ["1 1", "2 0", "3 1"],
        "bounding_boxes": ["2 1.0 2.0 30.5 40.0", "1 60.0 27.0 325.0 304.0", "3 0.0 0.0 9.0 9.0"],
    }
    for name, lines in lists.items():
        (root / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return root


def test_the_lists_are_joined_by_number(cub: Path) -> None:
    manifest = open_manifest(cub)
    assert manifest.table.to_pydict() == {
        "image": [f"images/{name}" for name in IMAGES.values()],
        "identity": [SPECIES[1], SPECIES[100], SPECIES[101]],
        "split": ["train", "train", "test"],
        "official_split": ["train", "test", "train"],
        "box": [[60, 27, 325, 304], [1, 2, 30.5, 40], [0, 0, 9, 9]],
    }
    assert "the first 100 classes train, the last 100 test" in manifest.understood
    assert manifest.read(2) == (cub / "images" / IMAGES[3]).read_bytes()
    assert open_manifest(cub.parent).identities == manifest.identities  # as the .tgz unpacks


def test_what_is_optional_may_be_missing(cub: Path) -> None:
    (cub / "bounding_boxes.txt").unlink()
    (cub / "train_test_split.txt").unlink()
    assert open_manifest(cub).table.column_names == ["image", "identity", "split"]


def test_another_number_of_classes_has_no_metric_split(cub: Path) -> None:
    classes = (cub / "classes.txt").read_text()
    (cub / "classes.txt").write_text(classes + "201 more\n")
    manifest = open_manifest(cub)
    assert manifest.column("split") is None
    assert manifest.column("official_split") == ["train", "test", "train"]
    assert "metric learning" not in manifest.understood


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("image_class_labels", "3 101\n", "", r"image_class_labels\.txt: lacks image_id '3' \(1"),
        ("image_class_labels", "3 101", "3 x", "line 1 is '3 x'"),
        ("image_class_labels", "3 101", "3 999", r"classes\.txt: lacks class_id '999'"),
        ("image_class_labels", "3 101", "1 101", "image_id '1' more than once"),
        ("train_test_split", "1 1\n", "", r"train_test_split\.txt: lacks image_id '1'"),
        ("bounding_boxes", "325.0", "inf", r"bounding_boxes\.txt: line 2"),
        ("bounding_boxes", " 304.0", "", r"bounding_boxes\.txt: line 2"),
        ("images", "1 ", "1 ../", "lies outside"),
    ],
)
def test_bad_lists_are_named(cub: Path, name: str, old: str, new: str, message: str) -> None:
    path = cub / f"{name}.txt"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ArcwiseError, match=message):
        open_manifest(cub)


def test_missing_images_are_counted(cub: Path) -> None:
    (cub / "images" / IMAGES[2]).unlink()
    manifest = open_manifest(cub)
    assert manifest.column("box") == [[60, 27, 325, 304], [0, 0, 9, 9]]
    assert manifest.ignored == (f"images/{IMAGES[2]}",)
    assert "1 of the 3 images that images.txt names" in manifest.notes[0]


@pytest.mark.parametrize("name", ["images", "image_class_labels", "classes", "bounding_boxes"])
def test_damage_is_an_error_that_names_the_file_or_fewer_rows(cub: Path, name: str) -> None:
    path = cub / f"{name}.txt"
    images = set(open_manifest(cub).images)
    for data in damaged(path.read_bytes()):
        path.write_bytes(data)
        try:
            manifest = open_manifest(cub)
        except ArcwiseError as error:
            assert str(cub) in str(error)  # noqa: PT017 - one of two right answers
        else:
            assert set(manifest.images) <= images
