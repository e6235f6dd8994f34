"""The detector: the largest face, in the image's own pixels, whatever its size."""

from __future__ import annotations

import csv
from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np
import pytest

from arcwise.errors import ArcwiseError
from arcwise.images import decode
from arcwise.images.detect import FaceDetector


@pytest.fixture(scope="module")
def detector(data_dir: Path) -> FaceDetector:
    return FaceDetector(data_dir / "models" / "yunet_n_dynamic.onnx")


def test_faces_are_where_another_detector_found_them(
    detector: FaceDetector, data_dir: Path
) -> None:
    folder = data_dir / "lfw112"
    with open(folder / "images.csv", newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    errors = []
    with ZipFile(folder / "raw_sample_250.zip") as photographs:
        for name in photographs.namelist()[::6]:
            faces = detector.detect(decode(photographs.read(name), name))
            assert [face.area for face in faces] == sorted((f.area for f in faces), reverse=True)
            points = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
            known = [[float(rows[name][f"{point}_{axis}"]) for axis in "xy"] for point in points]
            errors.append(np.abs(faces[0].landmarks - known).mean())
    assert np.median(errors) < 4  # pixels of 250


def test_a_large_photograph_gives_landmarks_in_its_own_pixels(
    detector: FaceDetector, data_dir: Path
) -> None:
    with ZipFile(data_dir / "lfw112" / "raw_sample_250.zip") as photographs:
        name = photographs.namelist()[0]
        image = decode(photographs.read(name), name)
    large = cv2.resize(image, (2500, 2500))
    small, large_found = detector.detect(image)[0], detector.detect(large)[0]
    assert np.abs(large_found.landmarks / 10 - small.landmarks).max() < 6


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 1500, 3), (300, 200, 3)])
def test_no_face_is_an_empty_list(detector: FaceDetector, shape: tuple[int, ...]) -> None:
    assert detector.detect(np.full(shape, 128, np.uint8)) == []


def test_a_model_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArcwiseError, match="no such detector"):
        FaceDetector(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(ArcwiseError, match="YuNet"):
        FaceDetector(tmp_path / "text.onnx")


def test_a_network_of_another_kind_is_refused(data_dir: Path) -> None:
    with pytest.raises(ArcwiseError, match="YuNet"):
        FaceDetector(data_dir / "models" / "mobilefacenet_foamliu.onnx")
