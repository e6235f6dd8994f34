"""Turned bodies: cans, bottles and jars, each a profile spun about an upright axis."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np

from arcwise.synthetic.camera import Pose
from arcwise.synthetic.design import Design
from arcwise.synthetic.layers import Layer, Plane, clip_unit, pixel_window, premultiplied
from arcwise.synthetic.light import shade
from arcwise.synthetic.paint import Skin

STEPS = 256


def _points(design: Design) -> list[tuple[float, float]]:
    """Return (share of the height from the top, share of the largest radius), top first."""
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
    """Return radius and outward tilt along the height of a turned body.

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


# The angle whose sine is s, by table: np.arcsin over an image costs as much as a texture look-up.
_SINES = 2048
_ARCSINE = np.arcsin(np.linspace(-1, 1, _SINES + 1)).astype(np.float32)


def draw_turned(
    design: Design, skin: Skin, pose: Pose, matcap: Plane, size: tuple[int, int]
) -> Layer | None:
    """Return a turned body as a layer; see `bodies.draw`."""
    sin, cos = math.sin(pose.pitch), math.cos(pose.pitch)
    # A flattened flask is narrower from the side, and its skin turns by another angle.
    flat = design.depth / design.width
    across = math.hypot(math.cos(pose.yaw), flat * math.sin(pose.yaw))
    turn = math.atan2(flat * math.sin(pose.yaw), math.cos(pose.yaw))
    radius, tilt = profile(design)
    widest = float(radius.max()) * across
    grow = 1 + pose.perspective * abs(sin)
    tall = design.height / 2 * cos + widest * abs(sin)
    box = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (widest * grow, tall * grow)
    window = pixel_window(pose.on_canvas(box[:, 0], box[:, 1]), size)
    if window is None:
        return None
    x, y = pose.from_canvas(*window)
    x /= np.float32(across)
    pixel = 1 / pose.scale

    last = np.float32(STEPS - 1)
    at = _heights(design, radius, x, y, pose.pitch, flat * sin / across)
    step = at.astype(np.int32)
    radius_at = np.take(radius, step, mode="clip")
    side = np.minimum(np.maximum(x / radius_at, -1), 1)
    out = cv2.sqrt(1 - side * side)

    coverage = clip_unit((radius_at - np.abs(x)) * np.float32(across / pixel) + np.float32(0.5))
    left = last - at
    to_pixels = np.float32(design.height * cos / pixel / (STEPS - 1))
    coverage *= clip_unit(np.minimum(left, at) * to_pixels + np.float32(0.5))

    angle = np.take(_ARCSINE, ((side + 1) * (_SINES / 2)).astype(np.int32))
    rows, columns_around = skin.wrap.shape[:2]
    map_x = angle * np.float32(columns_around / (2 * math.pi)) + np.float32(
        columns_around * (0.5 - turn / (2 * math.pi))
    )
    map_y = np.minimum(np.maximum(at, 0), last) * np.float32((rows - 1) / (STEPS - 1))
    texture = cv2.remap(skin.wrap, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)

    lean = np.take(tilt, step, mode="clip")
    length = np.float32(1) / cv2.sqrt(1 + lean * lean)
    ny = (lean * np.float32(cos) + out * np.float32(sin)) * length
    dim = clip_unit(left * np.float32(9 / (STEPS - 1)) + np.float32(0.45))  # the foot's own shadow
    planes = shade(texture, side * length, ny, matcap, dim)

    light = premultiplied(planes, coverage)
    if sin > 0.03:
        # Height and depth of the lid's ellipse on the canvas, in object units.
        middle, minor = -design.height / 2 * cos, float(radius[2]) * flat * sin / across
        ends = np.array([middle - minor, middle + minor]) * grow
        wide = np.array([-widest, widest]) * grow
        lid = pixel_window(pose.on_canvas(wide[[0, 1, 0, 1]], ends[[0, 0, 1, 1]]), size)
        if lid is not None:
            rows = slice(lid[0].start - window[0].start, lid[0].stop - window[0].start)
            columns = slice(lid[1].start - window[1].start, lid[1].stop - window[1].start)
            if rows.start >= 0 and columns.start >= 0:
                x, y = x[rows, columns] / radius[2], (y[rows, columns] - np.float32(middle)) / minor
                part = _lid(skin, x, y, turn, sin, minor / pixel, matcap)
                through = 1 - part[..., 3]
                light[rows, columns] *= cv2.merge([through] * 4)
                light[rows, columns] += part
    return Layer(light, window[0].start, window[1].start)


def _heights(
    design: Design, radius: Plane, x: Plane, y: Plane, pitch: float, bulge: float
) -> Plane:
    """Return the step of the profile (h, w) that each pixel shows, fractional and not clipped.

    The height of the point depends on the bulge of the surface there, and the bulge on the height.
    One or two rounds of substitution are enough for the pitches of hand-held photos.

    Args:
        design: of the body.
        radius: its profile.
        x: (h, w) rightward, in object units of the unflattened body.
        y: (h, w) downward.
        pitch: the camera's, in radians.
        bulge: how far down a unit towards the camera moves a point; less for a flattened body.
    """
    stretch = np.float32((STEPS - 1) / (math.cos(pitch) * design.height))
    middle, x2 = np.float32((STEPS - 1) / 2), x * x
    at = y * stretch + middle
    for _ in range(2 if abs(pitch) > 0.2 else 1):
        radius_at = np.take(radius, at.astype(np.int32), mode="clip")
        depth = cv2.sqrt(np.maximum(radius_at * radius_at - x2, 0))
        at = (y - depth * np.float32(bulge)) * stretch + middle
    return at


def _lid(
    skin: Skin, x: Plane, y: Plane, turn: float, sin: float, soft: float, matcap: Plane
) -> Plane:
    """Return the light (h, w, 4) of a lid.

    Args:
        skin: with the texture of the lid.
        x: (h, w) rightward, 1 at the rim.
        y: (h, w) towards the camera along the lid, 1 at the rim.
        turn: angle of the lid about its middle, in radians.
        sin: sine of the camera's pitch.
        soft: pixels from the middle to the rim along y, for smooth edges.
        matcap: of `light.render_matcap`.
    """
    x, y = x.astype(np.float32), y.astype(np.float32)
    coverage = clip_unit((1 - cv2.magnitude(x, y)) * np.float32(soft) + np.float32(0.5))
    half = np.float32(skin.top.shape[0] / 2)
    c, s = np.float32(math.cos(turn)) * half, np.float32(math.sin(turn)) * half
    texture = cv2.remap(
        skin.top,
        x * c - y * s + half,
        x * s + y * c + half,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    # Level, so it faces up; the hint of a dome moves what it mirrors.
    nx, ny = x * np.float32(0.1), y * np.float32(0.06) - np.float32(math.sqrt(1 - sin * sin))
    return premultiplied(shade(texture, nx, ny, matcap), coverage)
