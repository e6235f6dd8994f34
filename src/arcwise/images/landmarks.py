"""Landmarks → an aligned crop, the way face networks were trained to see one."""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from arcwise.errors import ArcwiseError
from arcwise.images.plausible import TEMPLATE, impossible
from arcwise.images.resize import scale

Template = Literal["five-point", "dlib"]
"""Where a network was trained to see a face: as ArcFace, or as dlib cuts it."""

_LEAST_SCALE = 0.5  # bilinear interpolation passes over pixels where it shrinks further

# Eyes, nose tip and mouth corners of dlib's mean face (image_transforms/interpolation.h,
# `get_face_chip_details`), whose width and height are about 1. The margin is 0.2 and
# not dlib's own 0.25, as the landmarks of other detectors are not quite those of dlib.
_DLIB_FACE = np.array(
    [
        (0.2281715, 0.2240780),
        (0.7520815, 0.2240780),
        (0.4901270, 0.5156250),
        (0.2541490, 0.7802330),
        (0.7261040, 0.7802330),
    ]
)
_DLIB_MARGIN = 0.2


def template(size: int = 112, name: Template = "five-point") -> NDArray[np.float64]:
    """Return where the landmarks belong in a square crop of `size` pixels, (5, 2) x, y.

    That of dlib shows the chin, and the face in the middle; that of ArcFace ends below the mouth.
    Of the latter, multiples of 128 that are none of 112 (128, 256, 512) get 8/112 more room on
    either side, as the published crops of those sizes have; other sizes are the 112 template,
    scaled.
    """
    if name == "dlib":
        return (_DLIB_FACE + _DLIB_MARGIN) / (1 + 2 * _DLIB_MARGIN) * size
    if size % 128 == 0 and size % 112:
        return (TEMPLATE + np.array([8.0, 0.0])) * (size / 128)
    return TEMPLATE * (size / 112)


def umeyama(source: ArrayLike, target: ArrayLike) -> NDArray[np.float64]:
    """Return the (2, 3) similarity transform (rotation, scale, shift) nearest to the points.

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


def five_points(landmarks: ArrayLike) -> NDArray[np.float64]:
    """Return the (5, 2) x, y of eyes, nose tip and mouth corners, of 5 or of 68 landmarks.

    Of the 68 of Multi-PIE and 300-W (Sagonas et al., ICCV Workshops 2013), an eye is the middle
    between its corners.

    Args:
        landmarks: 10 or 136 numbers, x and y in turn, image-left first.

    Raises:
        ArcwiseError: another number of numbers.
    """
    points = np.asarray(landmarks, np.float64)
    if points.size == 10:
        return points.reshape(5, 2)
    if points.size != 136:
        raise ArcwiseError(
            f"a face has 5 landmarks (10 numbers) or 68 (136 numbers); got {points.size} numbers"
        )
    points = points.reshape(68, 2)
    left, right = points[[36, 39]].mean(axis=0), points[[42, 45]].mean(axis=0)
    return np.stack([left, right, *points[[30, 48, 54]]])


def is_profile(points: NDArray[np.floating]) -> bool:
    """Return whether the nose is beyond an eye, seen along the line between the eyes.

    The tip of a nose is about as far in front of the eyes as half of what lies between these, or a
    little more, so it passes one of them where a head is turned by 40 to 45 degrees.

    Args:
        points: (5, 2) eyes, nose, mouth corners.
    """
    eyes = points[1] - points[0]
    along = (points[2] - points[0]) @ eyes
    return not 0 <= along <= eyes @ eyes or not eyes.any()


def align(
    image: NDArray[np.uint8],
    landmarks: ArrayLike,
    size: int = 112,
    onto: Template = "five-point",
) -> NDArray[np.uint8]:
    """Return the face turned, scaled and shifted onto the template, (size, size, 3) uint8 RGB.

    What lies outside the image is black. Bilinear; a face that shrinks to less than half is first
    averaged over areas.

    Args:
        image: (H, W, 3) uint8 RGB.
        landmarks: 5 or 68 points x, y in pixels of the image, as `five_points` takes them.
        size: side of the crop, in pixels.
        onto: the template.

    Raises:
        ArcwiseError: another number of points, or points no face in the image can have.
    """
    points, targets = five_points(landmarks), template(size, onto)
    if (reason := impossible(points, *image.shape[:2])) is not None:
        raise ArcwiseError(reason)
    matrix = umeyama(points, targets)
    factor = float(np.hypot(*matrix[:, 0]))
    if factor < _LEAST_SCALE:
        height, width = image.shape[:2]
        rows, columns = max(1, round(height * factor)), max(1, round(width * factor))
        image = scale(image, rows, columns)
        points = (points + 0.5) * (columns / width, rows / height) - 0.5  # centres of pixels
        matrix = umeyama(points, targets)
    flags = cv2.INTER_LINEAR
    crop: NDArray[Any] = cv2.warpAffine(image, matrix, (size, size), flags=flags, borderValue=0)
    return crop
