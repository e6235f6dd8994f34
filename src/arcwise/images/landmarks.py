"""Five landmarks → an aligned crop, the way face networks were trained to see one."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from arcwise.errors import ArcwiseError

TEMPLATE: NDArray[np.float64] = np.array(
    [
        (38.2946, 51.6963),
        (73.5318, 51.5014),
        (56.0252, 71.7366),
        (41.5493, 92.3655),
        (70.7299, 92.2041),
    ]
)
"""(5, 2) x, y of eyes, nose and mouth corners in a 112 x 112 crop, image-left first (ArcFace)."""

TEMPLATE.setflags(write=False)


def template(size: int = 112) -> NDArray[np.float64]:
    """(5, 2) where the landmarks belong in a square crop of `size` pixels.

    Multiples of 128 that are none of 112 (128, 256, 512) get 8/112 more room on either side, as
    the published crops of those sizes have; everything else is the 112 template, scaled.
    """
    if size % 128 == 0 and size % 112:
        return (TEMPLATE + np.array([8.0, 0.0])) * (size / 128)
    return TEMPLATE * (size / 112)


def umeyama(source: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    """(2, 3) similarity transform (rotation, one scale, shift; no mirror) nearest to the points.

    Least squares over `source` → `target`: Umeyama, TPAMI 13(4), 1991, equations 40-43.

    Args:
        source: (K, 2) points.
        target: (K, 2) points, where they should go.

    Raises:
        ArcwiseError: fewer than two points, not finite, or all source points in one place.
    """
    a, b = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if a.shape != b.shape or a.ndim != 2 or a.shape[1] != 2 or len(a) < 2:
        raise ArcwiseError(f"expected two lists of at least 2 points; got {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ArcwiseError("landmarks hold a NaN or an infinity")
    centre_a, centre_b = a.mean(axis=0), b.mean(axis=0)
    a, b = a - centre_a, b - centre_b
    spread = (a**2).sum()
    if spread <= 1e-12 * max(1.0, (centre_a**2).sum()):
        raise ArcwiseError("all landmarks lie in one place")
    u, singular, vt = np.linalg.svd(b.T @ a)
    sign = np.array([1.0, np.sign(np.linalg.det(u @ vt)) or 1.0])
    matrix = (u * sign) @ vt * ((singular * sign).sum() / spread)
    return np.column_stack([matrix, centre_b - matrix @ centre_a])


def align(image: NDArray[np.uint8], landmarks: ArrayLike, size: int = 112) -> NDArray[np.uint8]:
    """(size, size, 3) uint8 RGB: the face turned, scaled and shifted onto the template.

    What lies outside the picture is black.

    Args:
        image: (H, W, 3) uint8 RGB.
        landmarks: (5, 2) x, y in pixels of the image: eyes, nose, mouth corners, image-left first.
        size: side of the crop, in pixels.

    Raises:
        ArcwiseError: other than five points, or points no face can have.
    """
    points = np.asarray(landmarks, np.float64)
    if points.size != 10:
        raise ArcwiseError(f"a face has 5 landmarks (10 numbers); got {points.size} numbers")
    matrix = umeyama(points.reshape(5, 2), template(size))
    flags = cv2.INTER_LINEAR
    crop: NDArray[Any] = cv2.warpAffine(image, matrix, (size, size), flags=flags, borderValue=0)
    return crop
