"""Scaling that does not shimmer: area when shrinking, linear when growing."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def scale(
    image: NDArray[np.uint8], height: int, width: int, out: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """Return the image at another size, (height, width, 3), in `out` where that is given.

    A side that shrinks is averaged over areas, a side that grows is interpolated; when one does
    each, the shrinking goes first (OpenCV's area mode is only that when both sides shrink).
    """
    rows, columns = image.shape[:2]
    if (rows, columns) == (height, width):
        return np.ascontiguousarray(image) if out is None else _copied(image, out)
    shrunk = (min(rows, height), min(columns, width))
    grows = shrunk != (height, width)
    scaled: NDArray[Any] = image
    if shrunk != (rows, columns):
        into = None if grows else out
        scaled = cv2.resize(scaled, shrunk[::-1], dst=into, interpolation=cv2.INTER_AREA)
    if grows:
        scaled = cv2.resize(scaled, (width, height), dst=out, interpolation=cv2.INTER_LINEAR)
    return np.asarray(scaled, np.uint8)


def _copied(image: NDArray[np.uint8], out: NDArray[np.uint8]) -> NDArray[np.uint8]:
    np.copyto(out, image)
    return out


def fit(height: int, width: int, inside_height: int, inside_width: int) -> tuple[int, int]:
    """Return the largest (height, width) of the same proportions in a box, at least one pixel."""
    factor = min(inside_height / height, inside_width / width)
    return (
        min(max(round(height * factor), 1), inside_height),
        min(max(round(width * factor), 1), inside_width),
    )
