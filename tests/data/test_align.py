"""Aligned data sets: every picture is a crop, or is counted as what it was."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from arcwise.data.manifest import open_manifest
from arcwise.errors import ArcwiseError
from arcwise.images import decode
from arcwise.images.landmarks import TEMPLATE
from arcwise.images.landmarks import align as align_face
from arcwise.verbs.data_align import align

MARKS = " ".join(f"{number:g}" for number in (TEMPLATE / 4).ravel())


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
        assert (done.crops, done.several, done.faceless) == (1, (), ("photos/2.png",))
        assert [error.name for error in done.unreadable] == ["photos/3.png", "photos/4.png"]
        assert "in one place" in str(done)
        crops = open_manifest(done.path)
        assert crops.identities == ["Al"]
        assert crops.column("age") == [3.0]
        assert crops.column("landmarks") is None
        expected = align_face(decode(a_picture(0), "x"), np.array(MARKS.split(), float), 112)
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
    assert done.faceless == ("some.zip/Nobody/noise.png",)
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
    with pytest.raises(ArcwiseError, match="no crop of 2 pictures; none has a face"):
        align(a_folder("Al/1.png", "Al/2.png"), tmp_path / "crops", detector=detector)
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
