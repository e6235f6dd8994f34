"""VGGFace2's folders and tables; CASIA-WebFace and LFW, which are folders without tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ArcwiseError
from tests.damage import damaged

IMAGES = ["train/n000002/0001_01.jpg", "train/n000002/0002_01.jpg", "test/n000001/0001_01.jpg"]
FILES = {
    "meta/identity_meta.csv": "Class_ID, Name, Sample_Num, Flag, Gender\n"
    'n000001, "14th_Dalai_Lama", 424, 0, m,\n'
    'n000002, "Name, with ""quotes"" and commas", 315, 1, f,\n',
    "meta/bb_landmark/loose_bb_train.csv": "NAME_ID,X,Y,W,H\n"
    '"n000002/0002_01",-3,4,50,60\n"n000002/0001_01",161,140,224,324\n"n000009/0001_01",1,2,3,4\n',
    "meta/bb_landmark/loose_bb_test.csv": 'NAME_ID,X,Y,W,H\n"n000001/0001_01",60,60,79,109\n',
    "meta/bb_landmark/loose_landmark_train.csv": "NAME_ID,P1X,P1Y,P2X,P2Y,P3X,P3Y,P4X,P4Y,P5X,P5Y\n"
    '"n000002/0001_01",75.5,110.25,103,104,90,120,80,140,101,139\n',
}


@pytest.fixture
def vgg(a_folder: Callable[..., Path]) -> Path:
    root = a_folder(*IMAGES, name="VGGFace2")
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_the_tables_are_joined_by_name(vgg: Path) -> None:
    manifest = open_manifest(vgg)
    assert manifest.table.to_pydict() == {
        "image": [IMAGES[2], *IMAGES[:2]],
        "split": ["test", "train", "train"],
        "identity": ["n000001", "n000002", "n000002"],
        "box": [[60, 60, 79, 109], [161, 140, 224, 324], [-3, 4, 50, 60]],
        "landmarks": [None, [75.5, 110.25, 103, 104, 90, 120, 80, 140, 101, 139], None],
        "person": ["14th_Dalai_Lama", *['Name, with "quotes" and commas'] * 2],
        "gender": ["m", "f", "f"],
    }
    assert manifest.notes == (
        "1 lines of loose_bb_*.csv have no image",
        "2 images have no landmarks: loose_landmark_*.csv lacks them",
    )
    assert "box, landmarks, person, gender" in manifest.understood


def test_tables_beside_the_folders_and_people_unknown(vgg: Path) -> None:
    (vgg / "meta/bb_landmark/loose_bb_train.csv").rename(vgg / "loose_bb_train.csv")
    (vgg / "meta/identity_meta.csv").write_text("Class_ID, Name, Sample_Num, Flag, Gender\n")
    manifest = open_manifest(vgg)
    assert manifest.column("box") == [[60, 60, 79, 109], [161, 140, 224, 324], [-3, 4, 50, 60]]
    assert manifest.column("person") == [None] * 3


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("meta/identity_meta.csv", ", 315, 1, f,", "", "line 3 is .*expected 5 values"),
        ("meta/identity_meta.csv", "Class_ID", "ID", "line 1 is"),
        ("meta/bb_landmark/loose_bb_train.csv", "161", "left", "line 3: X is 'left'"),
        ("meta/bb_landmark/loose_bb_train.csv", "161", "nan", "line 3: X is nan"),
        ("meta/bb_landmark/loose_bb_train.csv", "161,", "", "row 2 has 4 columns"),
        ("meta/bb_landmark/loose_bb_train.csv", "NAME_ID,X", "NAME_ID,Z", "the header is"),
        ("meta/bb_landmark/loose_bb_train.csv", "0002_01", "0001_01", "more than once"),
    ],
)
def test_bad_tables_are_named(vgg: Path, name: str, old: str, new: str, message: str) -> None:
    assert old in FILES[name]
    (vgg / name).write_text(FILES[name].replace(old, new, 1))
    with pytest.raises(ArcwiseError, match=message):
        open_manifest(vgg)


def test_images_elsewhere_leave_the_tables_unused(vgg: Path) -> None:
    (vgg / "meta" / "sample.jpg").write_bytes(b"x")
    manifest = open_manifest(vgg)
    assert manifest.column("box") is None
    assert manifest.notes[0].startswith("test, train, named like splits, are taken for")
    assert manifest.notes[1:] == (
        "the tables of VGGFace2 are not used: images lie outside of train and test",
    )


def test_without_tables_it_is_a_folder_with_splits(vgg: Path) -> None:
    for name in FILES:
        (vgg / name).unlink()
    manifest = open_manifest(vgg)
    assert manifest.table.column_names == ["image", "split", "identity"]


def test_casia_webface_and_lfw_are_folders_per_identity(a_folder: Callable[..., Path]) -> None:
    casia = open_manifest(a_folder("0000045/001.jpg", "0000099/001.jpg", name="CASIA-WebFace"))
    assert casia.identities == ["0000045", "0000099"]
    lfw = open_manifest(
        a_folder("lfw/Al_Ab/Al_Ab_0001.jpg", "lfw/Bo_Cd/Bo_Cd_0001.jpg", name="download")
    )
    assert lfw.identities == ["Al_Ab", "Bo_Cd"]


@pytest.mark.parametrize("name", [name for name in FILES if "test" not in name])
def test_damage_is_an_error_that_names_the_file_or_fewer_rows(vgg: Path, name: str) -> None:
    path = vgg / name
    images = set(open_manifest(vgg).images)
    for data in damaged(path.read_bytes()):
        path.write_bytes(data)
        try:
            manifest = open_manifest(vgg)
        except ArcwiseError as error:
            assert str(vgg) in str(error)  # noqa: PT017 - one of two right answers
        else:
            assert set(manifest.images) <= images
