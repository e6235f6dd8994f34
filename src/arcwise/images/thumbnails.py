"""Thumbnails: the small image that is kept with a template, for a person to see."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

LONGEST = 160
"""Pixels on the longer side, at most."""

_QUALITY = 85


def thumbnail(image: NDArray[np.uint8]) -> bytes:
    """Return an image (H, W, 3) uint8 RGB as a small JPEG; the same bytes for the same image."""
    shrink = LONGEST / max(image.shape[:2])
    if shrink < 1:
        size = [max(1, round(side * shrink)) for side in image.shape[1::-1]]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    turned = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", turned, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    assert done, "OpenCV encodes every uint8 image"
    return data.tobytes()
