"""A small image for a person to see."""

from __future__ import annotations

import cv2
import numpy as np

from arcwise.images.decode import decode
from arcwise.images.resize import fit, scale

LARGEST = 512
"""Longer side of a thumbnail, at most."""

_QUALITY = 80


def thumbnail(content: bytes, side: int) -> bytes:
    """Return a JPEG of an encoded image, no larger than it is.

    Args:
        content: the image file.
        side: longer side, in pixels.

    Raises:
        ImageError: the image cannot be read.
    """
    pixels = decode(content, "")
    height, width = pixels.shape[:2]
    if max(height, width) > side:
        pixels = scale(pixels, *fit(height, width, side, side))
    bgr = np.ascontiguousarray(pixels[..., ::-1])
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return encoded.tobytes()
