"""Scaling that does not shimmer: area when shrinking, linear when growing."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def scale(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """(height, width, 3): the picture at another size.

    A side that shrinks is averaged over areas, a side that grows is interpolated; when one does
    each, the shrinking goes first (OpenCV's area mode is only that when both sides shrink).
    """
    rows, columns = image.shape[:2]
    if (rows, columns) == (height, width):
        return np.ascontiguousarray(image)
    scaled: NDArray[Any] = image
    shrunk = (min(rows, height), min(columns, width))
    if shrunk != (rows, columns):
        scaled = cv2.resize(scaled, shrunk[::-1], interpolation=cv2.INTER_AREA)
    if shrunk != (height, width):
        scaled = cv2.resize(scaled, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(scaled, np.uint8)


def fit(height: int, width: int, inside_height: int, inside_width: int) -> tuple[int, int]:
    """The largest (height, width) of the same proportions inside a box, at least one pixel."""
    factor = min(inside_height / height, inside_width / width)
    return (
        min(max(round(height * factor), 1), inside_height),
        min(max(round(width * factor), 1), inside_width),
    )
