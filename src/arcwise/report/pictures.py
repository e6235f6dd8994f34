"""Pictures small enough to stand inside a page, as addresses of themselves."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import cv2
import numpy as np

from arcwise.errors import ArcwiseError

SIZES = (320, 240, 192, 160, 128)
"""Pixels on the longer side, best first: a report shows pictures, it does not archive them."""

BUDGET = 2_000_000
"""Letters for all pictures of a page, so that it can be sent by mail."""

_JPEG_QUALITY = 85


def shrunk(image: np.ndarray, longest: int = SIZES[0]) -> np.ndarray:
    """Return a picture that is at most so many pixels long, itself where it is.

    Args:
        image: (H, W, 3) uint8 RGB.
        longest: pixels.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ArcwiseError(
            f"a picture is {image.dtype} of shape {image.shape}, expected uint8 (H, W, 3): "
            "decode it with arcwise.images first"
        )
    shrink = longest / max(image.shape[:2])
    if shrink >= 1:
        return image
    size = tuple(max(1, round(side * shrink)) for side in image.shape[1::-1])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def data_uri(image: np.ndarray, longest: int = SIZES[0]) -> str:
    """Return a picture as the address of itself.

    JPEG for photographs; PNG for small pictures, where it is exact.

    Args:
        image: (H, W, 3) uint8 RGB.
        longest: pixels; larger pictures are shrunk.
    """
    small = shrunk(image, longest)
    kind, options = ("jpeg", [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if max(image.shape[:2]) <= 64:
        kind, options = "png", []
    done, data = cv2.imencode(f".{kind}", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), options)
    assert done, "OpenCV encodes every uint8 picture"
    return f"data:image/{kind};base64,{base64.b64encode(data.tobytes()).decode()}"


def fitting(images: Sequence[np.ndarray]) -> list[str]:
    """Return the addresses of all pictures of a page, as large as its budget allows."""
    addresses: list[str] = []
    for longest in SIZES:
        addresses = [data_uri(image, longest) for image in images]
        if sum(map(len, addresses)) <= BUDGET:
            break
    return addresses
