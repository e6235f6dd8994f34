"""Faces in an image, by a detector the user brings (YuNet, through OpenCV)."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from arcwise.errors import ArcwiseError
from arcwise.images.resize import fit, scale


@dataclass(frozen=True, eq=False)
class Face:
    """One face in an image.

    Attributes:
        box: left, top, width, height in pixels; may reach outside the image.
        landmarks: (5, 2) float32 x, y: eyes, nose, mouth corners, image-left first.
        score: the detector's confidence, 0 to 1.
    """

    box: tuple[float, float, float, float]
    landmarks: NDArray[np.float32]
    score: float

    @property
    def area(self) -> float:
        """Pixels the box covers."""
        return self.box[2] * self.box[3]

    @property
    def centre(self) -> tuple[float, float]:
        """x, y of the middle of the box."""
        left, top, width, height = self.box
        return left + width / 2, top + height / 2


def most_central(faces: Sequence[Face], height: int, width: int) -> Face:
    """Return the face whose middle is nearest to that of the image."""
    return min(faces, key=lambda one: math.dist(one.centre, (width / 2, height / 2)))


class FaceDetector:
    """OpenCV's FaceDetectorYN around a YuNet model file, which is the user's own.

    Args:
        model: the `.onnx` file.
        score: the least confidence of a face.
        longest: an image with a longer side is shrunk to this before looking, in pixels; the
            answer is in pixels of the image as given.

    Raises:
        ArcwiseError: the file is missing or is no such model.
    """

    def __init__(
        self, model: str | os.PathLike[str], *, score: float = 0.8, longest: int = 1024
    ) -> None:
        path = Path(model)
        if not path.is_file():
            raise ArcwiseError(f"{path}: no such detector model; expected a YuNet .onnx file")
        try:
            self._network = cv2.FaceDetectorYN.create(str(path), "", (320, 320), score)
            self._network.detect(np.zeros((320, 320, 3), np.uint8))
        except cv2.error:
            raise ArcwiseError(f"{path}: OpenCV cannot run it as a YuNet face detector") from None
        self._longest = longest
        self._lock = threading.Lock()  # setting the size and looking are two calls

    def detect(self, image: NDArray[np.uint8]) -> list[Face]:
        """Return the faces in an image, largest first.

        Args:
            image: (H, W, 3) uint8 RGB.
        """
        height, width = image.shape[:2]
        small = image
        if max(height, width) > self._longest:
            small = scale(image, *fit(height, width, self._longest, self._longest))
        rows, columns = small.shape[:2]
        with self._lock:
            self._network.setInputSize((columns, rows))
            _, detections = self._network.detect(np.ascontiguousarray(small[..., ::-1]))
        if detections is None:
            return []
        back = np.array([width / columns, height / rows] * 7, np.float32)
        faces = [_face(row[:14] * back, float(row[14])) for row in detections]
        return sorted(faces, key=lambda face: face.area, reverse=True)


def _face(numbers: NDArray[np.float32], score: float) -> Face:
    left, top, width, height = (float(number) for number in numbers[:4])
    return Face((left, top, width, height), numbers[4:].reshape(5, 2).copy(), score)
