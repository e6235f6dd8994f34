"""Turned bodies: cans, bottles, jars; a profile spun about an upright axis."""

from __future__ import annotations

import math

import cv2
import numpy as np

from arcwise.synthetic.design import Design
from arcwise.synthetic.layers import Layer, frame, join, unit
from arcwise.synthetic.light import shade
from arcwise.synthetic.paint import Skin
from arcwise.synthetic.pixels import Plane
from arcwise.synthetic.pose import Pose
from arcwise.synthetic.shapes import STEPS, profile

# The angle whose sine is s, by table: np.arcsin over a picture costs as much as a texture look-up.
_SINES = 2048
_ARCSINE = np.arcsin(np.linspace(-1, 1, _SINES + 1)).astype(np.float32)


def draw_turned(
    design: Design, skin: Skin, pose: Pose, answers: Plane, size: tuple[int, int]
) -> Layer | None:
    """The body as a layer; see `bodies.draw`."""
    sin, cos = math.sin(pose.pitch), math.cos(pose.pitch)
    # A flattened flask is narrower from the side, and its skin turns by another angle than it does.
    flat = design.depth / design.width
    across = math.hypot(math.cos(pose.yaw), flat * math.sin(pose.yaw))
    turn = math.atan2(flat * math.sin(pose.yaw), math.cos(pose.yaw))
    radius, tilt = profile(design)
    widest = float(radius.max()) * across
    grow = 1 + pose.perspective * abs(sin)
    tall = design.height / 2 * cos + widest * abs(sin)
    box = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (widest * grow, tall * grow)
    window = frame(pose.on_picture(box[:, 0], box[:, 1]), size)
    if window is None:
        return None
    x, y = pose.from_picture(*window)
    x /= np.float32(across)
    pixel = 1 / pose.scale

    last = np.float32(STEPS - 1)
    at = _heights(design, radius, x, y, pose.pitch, flat * sin / across)
    step = at.astype(np.int32)
    here = np.take(radius, step, mode="clip")
    side = np.minimum(np.maximum(x / here, -1), 1)
    out = cv2.sqrt(1 - side * side)

    coverage = unit((here - np.abs(x)) * np.float32(across / pixel) + np.float32(0.5))
    left = last - at
    to_pixels = np.float32(design.height * cos / pixel / (STEPS - 1))
    coverage *= unit(np.minimum(left, at) * to_pixels + np.float32(0.5))

    angle = np.take(_ARCSINE, ((side + 1) * (_SINES / 2)).astype(np.int32))
    rows, around = skin.wrap.shape[:2]
    map_x = angle * np.float32(around / (2 * math.pi)) + np.float32(
        around * (0.5 - turn / (2 * math.pi))
    )
    map_y = np.minimum(np.maximum(at, 0), last) * np.float32((rows - 1) / (STEPS - 1))
    texture = cv2.remap(skin.wrap, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)

    lean = np.take(tilt, step, mode="clip")
    length = np.float32(1) / cv2.sqrt(1 + lean * lean)
    ny = (lean * np.float32(cos) + out * np.float32(sin)) * length
    dim = unit(left * np.float32(9 / (STEPS - 1)) + np.float32(0.45))  # the foot's own shadow
    planes = shade(texture, side * length, ny, answers, dim)

    light = join(planes, coverage)
    if sin > 0.03:
        # Height and depth of the lid's ellipse on the picture, in object units.
        middle, minor = -design.height / 2 * cos, float(radius[2]) * flat * sin / across
        ends = np.array([middle - minor, middle + minor]) * grow
        wide = np.array([-widest, widest]) * grow
        lid = frame(pose.on_picture(wide[[0, 1, 0, 1]], ends[[0, 0, 1, 1]]), size)
        if lid is not None:
            rows = slice(lid[0].start - window[0].start, lid[0].stop - window[0].start)
            columns = slice(lid[1].start - window[1].start, lid[1].stop - window[1].start)
            if rows.start >= 0 and columns.start >= 0:
                x, y = x[rows, columns] / radius[2], (y[rows, columns] - np.float32(middle)) / minor
                part = _lid(skin, x, y, turn, sin, minor / pixel, answers)
                through = 1 - part[..., 3]
                light[rows, columns] *= cv2.merge([through] * 4)
                light[rows, columns] += part
    return Layer(light, window[0].start, window[1].start)


def _heights(
    design: Design, radius: Plane, x: Plane, y: Plane, pitch: float, bulge: float
) -> Plane:
    """The step of the profile (h, w) that each pixel shows, fractional and not clipped.

    The height of the point a pixel shows depends on how far the surface bulges there, and that on
    the height: one or two rounds settle it for the pitches of hand-held photos.

    Args:
        design: whose body.
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
        here = np.take(radius, at.astype(np.int32), mode="clip")
        depth = cv2.sqrt(np.maximum(here * here - x2, 0))
        at = (y - depth * np.float32(bulge)) * stretch + middle
    return at


def _lid(
    skin: Skin, x: Plane, y: Plane, turn: float, sin: float, soft: float, answers: Plane
) -> Plane:
    """The light (h, w, 4) of a lid.

    Args:
        skin: whose lid.
        x: (h, w) rightward, 1 at the rim.
        y: (h, w) towards the camera along the lid, 1 at the rim.
        turn: angle of the lid about its middle, in radians.
        sin: sine of the camera's pitch.
        soft: pixels from the middle to the rim along y, for smooth edges.
        answers: the lit ball.
    """
    x, y = x.astype(np.float32), y.astype(np.float32)
    coverage = unit((1 - cv2.magnitude(x, y)) * np.float32(soft) + np.float32(0.5))
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
    return join(shade(texture, nx, ny, answers), coverage)
