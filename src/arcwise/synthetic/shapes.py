"""Profiles of turned bodies: radius along the height, as shares of the largest radius."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from arcwise.synthetic.design import Design
from arcwise.synthetic.pixels import Plane

STEPS = 256


def _points(design: Design) -> list[tuple[float, float]]:
    """(share of the height from the top, share of the largest radius), top first."""
    a, b, c, d = design.profile
    rim = 0.8 + 0.1 * a
    lid = 0.8 + 0.16 * a
    cap = 0.42 + 0.3 * a
    neck = 0.34 + 0.1 * a
    shoulder = 0.3 + 0.14 * b
    return {
        "can": [
            (0, rim),
            (0.025, rim + 0.02),
            (0.03, rim),
            (0.085 + 0.04 * b, 1),
            (0.94, 1),
            (1, 0.84),
        ],
        "tin": [(0, 1), (0.03, 1), (0.035, 0.97), (0.965, 0.97), (0.97, 1), (1, 1)],
        "canister": [
            (0, 0.99),
            (0.02, 1.03),
            (0.08, 1.03),
            (0.081, 0.98),
            (0.98, 0.98),
            (0.985, 1),
            (1, 1),
        ],
        "cup": [(0, 1), (0.035, 1), (0.04, 0.94), (0.9, 0.76 + 0.1 * a), (1, 0.72 + 0.1 * a)],
        "jar": [
            (0, lid - 0.02),
            (0.015, lid),
            (0.165, lid),
            (0.17, lid - 0.06),
            (0.2, lid - 0.06),
            (0.27 + 0.06 * b, 1),
            (0.93, 1),
            (0.98, 0.96),
            (1, 0.9),
        ],
        "spray": [
            (0, 0.3),
            (0.02, 0.5 + 0.2 * a),
            (0.06, 0.66 + 0.2 * a),
            (0.165, 0.8 + 0.12 * a),
            (0.17, 0.72),
            (0.2, 0.8),
            (0.23 + 0.04 * b, 1),
            (0.98, 1),
            (0.985, 1.02),
            (1, 1.0),
        ],
        "flask": [
            (0, cap - 0.04),
            (0.012, cap),
            (0.158, cap),
            (0.16, cap * 0.85),
            (0.18, cap * 0.85),
            (0.24 + 0.05 * b, 0.9),
            (0.34 + 0.1 * b, 1),
            (0.62, 1 - 0.12 * c),
            (0.9, 1),
            (0.97, 0.98),
            (1, 0.9),
        ],
        "bottle": [
            (0, neck),
            (0.085, neck),
            (0.087, neck - 0.06),
            (0.11, neck - 0.05),
            (0.14 + 0.06 * c, neck - 0.02),
            (shoulder, 0.92),
            (shoulder + 0.08, 1),
            (0.62, 1 - 0.1 * d * c),
            (0.94, 1),
            (0.985, 0.96),
            (1, 0.88),
        ],
    }[design.body]


@lru_cache(maxsize=512)
def profile(design: Design) -> tuple[Plane, Plane]:
    """Radius and outward tilt along the height of a turned body.

    Returns:
        radius: (256,) in object units, top to bottom.
        tilt: (256,) the normal's downward part over its sideways part: -d radius / d height.
    """
    at, share = np.array(_points(design)).T
    along = np.linspace(0, 1, STEPS)
    radius = np.interp(along, at, share) * design.width / 2
    smooth = np.convolve(np.pad(radius, 4, mode="edge"), np.hanning(11)[1:-1] / 5, "valid")
    tilt = -np.gradient(smooth, design.height / (STEPS - 1))
    return smooth.astype(np.float32), np.clip(tilt, -3, 3).astype(np.float32)
