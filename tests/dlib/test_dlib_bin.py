"""dlib itself and the imported network give the same embeddings. Run by `make test-dlib`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from arcwise import runtime
from arcwise.images import decode
from arcwise.images.detect import FaceDetector, most_central
from arcwise.images.landmarks import align
from arcwise.verbs import import_dlib

dlib = pytest.importorskip("dlib", reason="needs dlib-bin: make test-dlib")
if find_spec(import_dlib.MODULE) is None:
    pytest.skip("needs the network's file: make test-dlib", allow_module_level=True)

TOLERANCE = 1e-5  # of a number of an embedding; 5e-7 was measured


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> runtime.Model:
    folder = tmp_path_factory.mktemp("imported") / "model"
    import_dlib.import_dlib(folder)
    return runtime.load(folder)


def check(model: runtime.Model, chips: NDArray[np.uint8]) -> None:
    theirs = dlib.face_recognition_model_v1(str(import_dlib.published_file()))
    expected = np.array([theirs.compute_face_descriptor(chip, 0) for chip in chips])
    got = model.engine(model.preparation.tensor(chips))
    assert np.abs(got - expected).max() < TOLERANCE
    lengths = np.linalg.norm(got, axis=1) * np.linalg.norm(expected, axis=1)
    assert (1 - (got * expected).sum(1) / lengths).max() < 1e-6


def test_random_images(model: runtime.Model) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (4, 150, 150, 3), np.uint8)
    smooth = np.stack([cv2.GaussianBlur(one, (0, 0), 9) for one in noise])
    check(model, np.concatenate([noise, smooth, np.zeros_like(noise[:1])]))


def test_faces(model: runtime.Model, data_dir: Path) -> None:
    with ZipFile(data_dir / "lfw112" / "images_1.zip") as archive:
        faces = [name for name in archive.namelist() if name.endswith(".jpg")][::200]
        images = [decode(archive.read(name), name) for name in faces]
    check(model, np.stack([model.preparation.pixels(image) for image in images]))


def test_chips_lie_as_dlib_cuts_them(data_dir: Path) -> None:
    """Its detector and its landmarks against ours, at a few pixels of 150."""
    found = Path(import_dlib.published_file()).parent
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(found / "shape_predictor_5_face_landmarks.dat"))
    ours = FaceDetector(data_dir / "models" / "yunet_n_dynamic.onnx")
    similar = []
    with ZipFile(data_dir / "lfw112" / "raw_sample_250.zip") as archive:
        for name in archive.namelist()[:40:4]:
            image = decode(archive.read(name), name)
            boxes = detector(image, 1)
            face = most_central(ours.detect(image), *image.shape[:2])
            nearest = min(boxes, key=lambda box: abs(box.center().x - face.centre[0]))
            theirs = dlib.get_face_chip(image, predictor(image, nearest), 150, 0.25)
            chip = align(image, face.landmarks, 150, "dlib")
            similar.append(np.corrcoef(chip.ravel(), theirs.ravel())[0, 1])
    assert np.median(similar) > 0.85
