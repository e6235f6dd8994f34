"""Aligned data sets: every picture is a crop, or is counted as what it was."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from arcwise.data.check import check
from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ArcwiseError
from arcwise.images import decode
from arcwise.images.detect import Face, FaceDetector
from arcwise.images.landmarks import TEMPLATE, five_points
from arcwise.images.landmarks import align as align_face
from arcwise.verbs.data_align import Aligned, Policies, Several, align

NAMES = ("Al/1.png",)
MARKS = " ".join(f"{number:g}" for number in (TEMPLATE / 12).ravel())


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A folder with one picture, 120 wide and 80 high."""
    pixels = np.random.default_rng(1).integers(0, 256, (80, 120, 3), np.uint8)
    (tmp_path / "photograph" / "Al").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "photograph" / "Al" / "1.png"), pixels)
    return tmp_path / "photograph"


def test_landmarks_of_the_table_are_used(
    a_folder: Callable[..., Path], a_picture: Callable[..., bytes], tmp_path: Path
) -> None:
    root = a_folder("1.png", "2.png", "3.png", "4.png")
    (root / "4.png").write_bytes(b"")
    lines = [
        "image,identity,landmarks,box,age",
        f"photos/1.png,Al,{MARKS},,3",
        "photos/2.png,Bob,,,",
    ]
    lines += [f"photos/3.png,Cy,{'5 5 ' * 5},,", f"photos/4.png,Cy,{MARKS},,"]
    (tmp_path / "set.csv").write_text("\n".join(lines))
    for form in ("crops", "crops.zip"):
        done = align(tmp_path / "set.csv", tmp_path / form)
        assert (done.crops, done.several, done.faceless) == (1, [], ["photos/2.png"])
        assert [error.name for error in done.impossible] == ["photos/3.png"]
        assert [error.name for error in done.unreadable] == ["photos/4.png"]
        assert "in one place" in str(done)
        crops = open_manifest(done.path)
        assert crops.identities == ["Al"]
        assert crops.column("age") == [3.0]
        assert crops.column("landmarks") is None
        expected = align_face(decode(a_picture(0), "x"), np.array(MARKS.split(), float), 112)
        assert np.abs(decode(crops.read(0), "x").astype(int) - expected).max() <= 1


def test_the_template_is_the_one_named(a_folder: Callable[..., Path], tmp_path: Path) -> None:
    a_folder("1.png")
    (tmp_path / "set.csv").write_text(f"image,identity,landmarks\nphotos/1.png,Al,{MARKS}\n")
    align(tmp_path / "set.csv", tmp_path / "crops", size=150, template="dlib")
    crops, photos = open_manifest(tmp_path / "crops"), open_manifest(tmp_path / "set.csv")
    marks = np.array(MARKS.split(), float)
    expected = align_face(decode(photos.read(0), "x"), marks, 150, "dlib")
    assert np.abs(decode(crops.read(0), "x").astype(int) - expected).max() <= 1


def test_without_landmarks_and_detector_it_says_what_to_bring(
    a_folder: Callable[..., Path], tmp_path: Path
) -> None:
    root = a_folder("Al/1.png")
    with pytest.raises(ArcwiseError, match=r"--detector yunet\.onnx"):
        align(root, tmp_path / "crops")
    with pytest.raises(ArcwiseError, match="no such detector model"):
        align(root, tmp_path / "crops", detector=tmp_path / "none.onnx")
    with pytest.raises(ArcwiseError, match="size is 7"):
        align(root, tmp_path / "crops", detector="x", size=7)
    with pytest.raises(ArcwiseError, match="expected png or jpg"):
        align(root, tmp_path / "crops", detector="x", encoding="gif")  # type: ignore[arg-type]
    assert not (tmp_path / "crops").exists()


def test_a_detector_finds_the_faces_of_photographs(
    data_dir: Path, a_picture: Callable[..., bytes], tmp_path: Path
) -> None:
    detector = data_dir / "models" / "yunet_n_dynamic.onnx"
    with (
        ZipFile(data_dir / "lfw112" / "raw_sample_250.zip") as archive,
        ZipFile(tmp_path / "some.zip", "w") as some,
    ):
        for name in archive.namelist()[:24]:
            some.writestr(name, archive.read(name))
        some.writestr("Nobody/noise.png", a_picture(0, ".png", 200, 200))
    done = align(tmp_path / "some.zip", tmp_path / "crops", detector=detector, encoding="jpg")
    assert done.crops == 24
    assert done.faceless == ["some.zip/Nobody/noise.png"]
    assert 0 < len(done.several) < 12
    crops = open_manifest(done.path)
    with open(data_dir / "lfw112" / "images.csv", newline="") as file:
        where = {row["path"]: row["zip"] for row in csv.DictReader(file)}
    similar = []
    for row, image in enumerate(crops.images):
        with ZipFile(data_dir / "lfw112" / where[image]) as archive:
            published = decode(archive.read(image), image)[28:84, 28:84].ravel()
        crop = decode(crops.read(row), image)[28:84, 28:84].ravel()
        similar.append(np.corrcoef(crop, published)[0, 1])
    assert np.median(similar) > 0.8


def test_no_face_at_all_is_an_error_and_leaves_nothing(
    data_dir: Path, a_folder: Callable[..., Path], tmp_path: Path
) -> None:
    detector = data_dir / "models" / "yunet_n_dynamic.onnx"
    with pytest.raises(ArcwiseError, match="no crop of 2 images; none has a face"):
        align(a_folder("Al/1.png", "Al/2.png"), tmp_path / "crops", detector=detector)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


class Detector(FaceDetector):
    """Finds the faces it is told of, in every picture."""

    def __init__(self, *faces: Face) -> None:
        self._faces = sorted(faces, key=lambda face: face.area, reverse=True)

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        return self._faces


def face(left: float, top: float, side: float) -> Face:
    points = (TEMPLATE * (side / 112) + np.array([left, top])).astype(np.float32)
    return Face((left, top, side, side), points, 0.9)


LARGE, CENTRAL = face(0, 0, 48), face(40, 40, 30)


def crops_of(root: Path, out: Path, detector: Detector, policies: Policies) -> Aligned:
    return align(root, out, detector=detector, policies=policies)


@pytest.mark.parametrize(("several", "taken"), [("largest", LARGE), ("central", CENTRAL)])
def test_of_several_faces_one_is_taken(
    several: Several, taken: Face, tmp_path: Path, photograph: Path
) -> None:
    done = crops_of(photograph, tmp_path / "c", Detector(LARGE, CENTRAL), Policies(several))
    assert done.several == ["Al/1.png"]
    assert f"several faces, the {'largest' if taken is LARGE else 'most central'} taken (1)" in (
        str(done)
    )
    picture, crop = (open_manifest(one) for one in (photograph, done.path))
    expected = align_face(decode(picture.read(0), "x"), taken.landmarks)
    assert (decode(crop.read(0), "x") == expected).all()


def test_what_is_no_plain_portrait_can_be_left_out(tmp_path: Path, photograph: Path) -> None:
    with pytest.raises(ArcwiseError, match="the policies leave all of them out"):
        crops_of(photograph, tmp_path / "c", Detector(LARGE, CENTRAL), Policies("leave-out"))
    turned = LARGE.landmarks.copy()
    turned[2, 0] = turned[0, 0] - 5  # the nose beyond the left eye
    side = Detector(Face(LARGE.box, turned, 0.9))
    with pytest.raises(ArcwiseError, match="the policies leave all of them out"):
        crops_of(photograph, tmp_path / "c", side, Policies(profile="leave-out"))
    assert not (tmp_path / "c").exists()
    done = crops_of(photograph, tmp_path / "kept", side, Policies())
    assert (done.crops, done.profiles) == (1, ["Al/1.png"])
    assert "profiles, kept (1); are landmarks written x y, x y" in str(done)


def test_without_a_face_the_middle_can_be_taken(tmp_path: Path, photograph: Path) -> None:
    done = crops_of(photograph, tmp_path / "c", Detector(), Policies(none="centre"))
    assert (done.crops, done.faceless) == (1, ["Al/1.png"])
    assert "no face found, the middle taken (1)" in str(done)
    image = decode(open_manifest(photograph).read(0), "x")
    crop = decode(open_manifest(done.path).read(0), "x")
    middle = cv2.resize(image[:, 20:100], (112, 112), interpolation=cv2.INTER_LINEAR)
    assert (crop == middle).all()


@pytest.mark.parametrize("name", ["several", "none", "profile"])
def test_unknown_policies_are_refused(name: str) -> None:
    with pytest.raises(ArcwiseError, match=f"{name} is 'best'; expected one of"):
        Policies(**{name: "best"})


def test_68_points_and_all_other_columns_and_pairs_go_with_the_crops(
    tmp_path: Path, photograph: Path
) -> None:
    points = np.random.default_rng(0).uniform(20, 80, (68, 2)).round(1)
    points[[36, 42, 30, 48, 54]] = points[[39, 45, 30, 48, 54]] = TEMPLATE.round(1) * 0.7
    text = " ".join(map(str, points.ravel()))
    (tmp_path / "set.csv").write_text(
        "image,identity,landmarks,box,template,media,quality,age,shot\n"
        + "".join(f"photograph/{n},Al,{text},1 2 3 4,t{n[3]},m,0.5,7,{n[3]}\n" for n in NAMES)
    )
    source = open_manifest(tmp_path / "set.csv")
    named = pa.table({"a": ["t1"], "b": ["t1"], "same": [True], "fold": [3]})
    source = replace(source, pairs=named, notes=("of old",))
    for form in ("crops", "crops.zip"):
        done = align(source, tmp_path / form)
        assert (done.crops, done.pairs) == (1, 1)
        assert "1 crops, 1 pairs to verify" in str(done)
        assert "note: of old" in str(done)
        crops = open_manifest(done.path)
        row = crops.table.drop_columns("image").to_pylist()[0]
        assert row == {
            "identity": "Al",
            "template": "t1",
            "media": "m",
            "quality": 0.5,
            "age": 7.0,
            "shot": "1",
        }
        assert crops.pairs is not None
        assert crops.pairs.to_pylist() == named.to_pylist()
        expected = align_face(decode(source.read(0), "x"), five_points(points.astype(np.float32)))
        assert (decode(crops.read(0), "x") == expected).all()


def test_pairs_of_pictures_are_called_as_the_crops_are(
    a_folder: Callable[..., Path], tmp_path: Path
) -> None:
    root = a_folder("Al/1.png", "Al/2.png", "Bo/1.png")
    lines = [f"photos/{name},{name[:2]},{MARKS}" for name in ("Al/1.png", "Al/2.png")]
    lines += ["photos/Bo/1.png,Bo,"]
    (tmp_path / "set.csv").write_text("\n".join(["image,identity,landmarks", *lines]))
    assert root == tmp_path / "photos"
    a, b = ["photos/Al/1.png"] * 2, ["photos/Al/2.png", "photos/Bo/1.png"]
    pairs = pa.table({"a": a, "b": b, "same": [True, False]})
    done = align(replace(open_manifest(tmp_path / "set.csv"), pairs=pairs), tmp_path / "crops")
    assert (done.crops, done.pairs) == (2, 1)  # Bo has no crop
    crops = open_manifest(done.path)
    assert crops.pairs is not None
    assert crops.pairs.to_pylist() == [{"a": "Al/1.png", "b": "Al/2.png", "same": True}]


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        (TEMPLATE / 112, "relative"),
        (TEMPLATE + 200, "outside"),
        (TEMPLATE[[1, 0, 2, 4, 3]], "left and right"),
        (TEMPLATE[:, ::-1], "y before x"),
        (TEMPLATE * np.nan, "NaN"),
        (TEMPLATE[:4], "8 numbers"),
    ],
)
def test_landmarks_that_cannot_be_are_listed(
    points: NDArray[np.float64],
    reason: str,
    a_folder: Callable[..., Path],
    a_picture: Callable[..., bytes],
    tmp_path: Path,
) -> None:
    root = a_folder()
    for name in ("1.png", "2.png"):
        (root / name).write_bytes(a_picture(0, ".png", 112, 112))
    rows = [" ".join(f"{number:g}" for number in one.ravel()) for one in (TEMPLATE, points)]
    lines = [f"photos/{number}.png,Al,{row}" for number, row in enumerate(rows, 1)]
    (tmp_path / "set.csv").write_text("\n".join(["image,identity,landmarks", *lines]))
    done = align(tmp_path / "set.csv", tmp_path / "crops")
    assert (done.crops, [one.name for one in done.impossible]) == (1, ["photos/2.png"])
    assert reason in done.impossible[0].reason
    assert "landmarks that cannot be, left out (1)" in str(done)
    report = check(open_manifest(tmp_path / "set.csv"))
    assert [one.image for one in report.landmarks] == ["photos/2.png"]
    assert reason in report.landmarks[0].reason
    assert report.problems == 2  # and two copies of one picture


def test_odd_landmarks_are_kept_and_said(tmp_path: Path, photograph: Path) -> None:
    points = TEMPLATE[:, ::-1] * (1, -1) * 0.5 + (30, 70)  # turned by 90 degrees
    text = " ".join(f"{number:g}" for number in points.ravel())
    (tmp_path / "set.csv").write_text(f"image,identity,landmarks\nphotograph/Al/1.png,Al,{text}\n")
    done = align(tmp_path / "set.csv", tmp_path / "crops")
    assert (done.crops, done.impossible) == (1, [])
    assert "Al/1.png: turned by -90 degrees" in done.doubtful[0]
    report = check(open_manifest(tmp_path / "set.csv"))
    assert (len(report.odd_landmarks), report.problems) == (1, 0)
