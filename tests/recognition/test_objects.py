"""Several objects in one image: each is cut out, asked about and named, and each fails alone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from arcwise.errors import ArcwiseError, ImageError
from arcwise.images.detect import Face
from arcwise.recognition import Recogniser
from arcwise.recognition.images import image_rows
from arcwise.recognition.objects import cut, found_objects, objects_in_boxes
from tests.recognition.test_recogniser import SIDE, filled, images, model  # noqa: F401


@pytest.fixture
def shelf(images: list[np.ndarray]) -> np.ndarray:  # noqa: F811
    """Three of the images side by side, with a border of four pixels."""
    whole = np.zeros((SIDE + 8, 3 * SIDE + 16, 3), np.uint8)
    for number, row in enumerate((2, 30, 5)):
        left = 4 + number * (SIDE + 4)
        whole[4 : 4 + SIDE, left : left + SIDE] = images[row]
    return whole


BOXES = [(4.0 + number * (SIDE + 4), 4.0, float(SIDE), float(SIDE)) for number in range(3)]


def test_each_object_gets_its_own_answer(filled: Path, shelf: np.ndarray) -> None:  # noqa: F811
    found = found_objects(image_rows([shelf]), lambda image: [BOXES[1], BOXES[2], BOXES[0]])
    assert found.images == ["image 0, 1 of 3 at 4,4", "image 0, 2 of 3 at 24,4",
                            "image 0, 3 of 3 at 44,4"]  # fmt: skip
    with Recogniser(None, filled, mode="r") as recogniser:
        answers = recogniser.search(found).answers
    assert [one.decision.identity for one in answers] == ["p2", None, "p5"]
    assert [one.image for one in answers] == found.images


def test_boxes_that_are_given(filled: Path, shelf: np.ndarray, tmp_path: Path) -> None:  # noqa: F811
    path = str(tmp_path / "shelf.png")
    cv2.imwrite(path, shelf[..., ::-1])
    rows = image_rows([path, "gone.png", path])
    found = objects_in_boxes(rows, [[BOXES[2], BOXES[0]], BOXES[:2], []])
    with Recogniser(None, filled, mode="r") as recogniser:
        result = recogniser.search(found)
    assert [one.decision.identity for one in result.answers] == ["p5", "p2"]
    assert [one.name for one in result.failures] == ["gone.png", "gone.png", path]
    assert found.images[1] == f"{path}, 2 of 2 at 4,4"
    assert [one.place for one in found.rows] == [0, 0, 1, 1, 2]
    assert [one.box for one in found.rows] == [BOXES[2], BOXES[0], *BOXES[:2], None]


def test_an_image_without_objects_fails_alone(shelf: np.ndarray) -> None:
    found = found_objects(
        image_rows([shelf, shelf[:9, :9]]), lambda image: BOXES[:1] if image.shape[0] > 9 else []
    )
    assert len(found) == 2
    found.read(0)
    with pytest.raises(ImageError, match="nothing in it"):
        found.read(1)


@pytest.mark.parametrize(
    "box", [(90.0, 0.0, 5.0, 5.0), (0.0, 0.0, 0.0, 5.0), (0.0, float("nan"), 5.0, 5.0),
            (-9.0, 0.0, 8.0, 9.0), (0.0, 0.0, float("inf"), 5.0)],
)  # fmt: skip
def test_a_box_that_shows_nothing_fails_alone(shelf: np.ndarray, box) -> None:
    found = found_objects(image_rows([shelf]), lambda image: [BOXES[0], box])
    sound = [one.box for one in found.rows].index(BOXES[0])
    found.read(sound)
    with pytest.raises(ImageError, match="box"):
        found.read(1 - sound)


def test_a_detector_that_gives_something_else(shelf: np.ndarray) -> None:
    for wrong in ([1, 2, 3], "face", [None] * 4):
        with pytest.raises(ArcwiseError, match="expected faces, or boxes"):
            found_objects(image_rows([shelf]), lambda image, wrong=wrong: [wrong])


def test_a_face_is_cut_with_room_and_its_landmarks_with_it() -> None:
    image = np.arange(100 * 90 * 3, dtype=np.uint32).astype(np.uint8).reshape(90, 100, 3)
    points = np.array([(40, 30), (50, 30), (45, 36), (41, 42), (49, 42)], np.float32)
    face = Face((35.0, 20.0, 20.0, 30.0), points, 0.9)
    found = found_objects(image_rows([image]), lambda _: [face])
    assert (found.read(0) == image[5:65, 25:65]).all()
    assert found.column("landmarks") == [(points - (25, 5)).reshape(-1).tolist()]
    plain = found_objects(image_rows([image]), lambda _: [face], aligned=False)
    assert (plain.read(0) == image[20:50, 35:55]).all()
    assert plain.column("landmarks") is None


def test_a_box_ends_at_the_border() -> None:
    image = np.arange(10 * 12 * 3, dtype=np.uint8).reshape(10, 12, 3)
    part, corner = cut(image, (-3, 4, 9, 20))
    assert corner == (0, 4)
    assert (part == image[4:, :6]).all()
