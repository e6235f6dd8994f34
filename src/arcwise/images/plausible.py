"""Whether landmarks can be those of a face in an image, and what is wrong where they cannot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.floating]

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

_RELATIVE = 1.5  # pixels from the corner; coordinates of 0 to 1 or -1 to 1 may lie a little beyond
_PLACE = 2.0  # pixels that a face has at least
_LINE = 0.05  # width of the cloud of points by its length; 0.38 and more in 10,562 photographs
_UNLIKE = 0.3  # misfit; at most 0.28 in these
_NO_FACE = 0.6  # about 0.5 where a head is seen from the side
_BETTER = 0.6  # of the misfit, where points were written in another way
_TURNED = 60.0  # degrees; at most 28 in these
_SWAPPED = [1, 0, 2, 4, 3]

_FLAT = TEMPLATE - TEMPLATE.mean(axis=0)
_FACE = _FLAT[:, 0] + 1j * _FLAT[:, 1]


def impossible(points: Points, height: int, width: int) -> str | None:
    """Return why no face in an image can have these landmarks; None where one can.

    Args:
        points: (5, 2) x, y of eyes, nose and mouth corners, image-left first, in pixels.
        height: of the image.
        width: of the image.
    """
    if (reason := _no_shape(points)) is not None:
        return reason
    if (mistake := _mistake(points)) is not None:
        return (
            f"landmarks {mistake}; expected x and y of image-left eye, right eye, nose, left and "
            "right mouth corner"
        )
    outside = _outside(points, height, width)
    if outside <= len(points) // 2:
        return None
    across, down = (f"{one.min():.4g} to {one.max():.4g}" for one in points.T)
    return (
        f"landmarks lie outside the image, {outside} of {len(points)}: x {across} and y {down} "
        f"of {width} x {height} pixels"
    )


def _no_shape(points: Points) -> str | None:
    """Return what is wrong with points that are no five different points; None for nothing."""
    if not np.isfinite(points).all():
        return "landmarks hold a NaN, an infinity or a gap"
    spread = np.ptp(points, axis=0).max()
    if spread < _PLACE or spread < 1e-6 * np.abs(points).max():
        if spread > 0 and np.abs(points).max() <= _RELATIVE:
            return (
                f"landmarks from {points.min():.3g} to {points.max():.3g} are all in one pixel, "
                "relative to the image's size perhaps; expected pixels"
            )
        return "all landmarks lie in one place"
    lengths = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    if lengths[1] < _LINE * lengths[0]:
        return "all landmarks lie on one line"
    return None


def doubtful(points: Points, height: int, width: int) -> str | None:
    """Return what is odd about landmarks that a face can have; None for nothing."""
    if outside := _outside(points, height, width):
        return f"{outside} of {len(points)} landmarks are outside the image"
    if abs(angle := _angle(points)) > _TURNED:
        return f"turned by {angle:.0f} degrees"
    return "unlike a face seen from in front" if _misfit(points) > _UNLIKE else None


def _mistake(points: Points) -> str | None:
    """Return in which wrong order a face's landmarks are; None where they are right."""
    misfit = _misfit(points)
    if misfit <= _UNLIKE:
        return None
    apart = points.reshape(2, 5).T  # all x first, then all y
    others = {
        "have left and right swapped": points[_SWAPPED],
        "have the eyes swapped": points[[1, 0, 2, 3, 4]],
        "have the mouth corners swapped": points[[0, 1, 2, 4, 3]],
        "have y before x": points[:, ::-1],
        "have the mouth before the eyes, or count y from below": points * (1, -1),
        "have the nose first": points[[1, 2, 0, 3, 4]],
        "have the nose last": points[[0, 1, 4, 2, 3]],
        "have the x of all points before their y": apart,
        "have the y of all points before their x": apart[:, ::-1],
    }
    fitting = {
        name: abs(_angle(other))
        for name, other in others.items()
        if _misfit(other) < min(_UNLIKE, _BETTER * misfit)
    }
    if fitting:  # of those that are mirror images of each other, the one that is upright
        return min(fitting, key=fitting.__getitem__)
    return "lie as in no face" if misfit > _NO_FACE else None


def _misfit(points: Points) -> float:
    """Return the share of the points' spread, 0 to 1, that no pose of a face explains."""
    flat = points - points.mean(axis=0)
    cloud = flat[:, 0] + 1j * flat[:, 1]
    spread = np.vdot(cloud, cloud).real * np.vdot(_FACE, _FACE).real
    return 1 - abs(np.vdot(cloud, _FACE)) ** 2 / spread if spread else 1.0


def _angle(points: Points) -> float:
    """Return the degrees by which a face is turned, clockwise as it is seen."""
    flat = points - points.mean(axis=0)
    return float(np.degrees(np.angle(np.vdot(_FACE, flat[:, 0] + 1j * flat[:, 1]))))


def _outside(points: Points, height: int, width: int) -> int:
    inside = (points >= 0).all(axis=1) & (points[:, 0] <= width) & (points[:, 1] <= height)
    return int((~inside).sum())
