"""Soft bodies: bags and pouches, a film pillowed by what is in it and creased at its seals."""

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


def _noise_tile() -> tuple[Plane, Plane]:
    """Slopes (256, 256) of a crumpled sheet, right and down; the same sheet for ever."""
    rng = np.random.default_rng(20)
    sheet = np.zeros((256, 256), np.float32)
    for sigma, weight in ((22, 1.0), (9, 0.55), (4, 0.28)):
        rough = rng.standard_normal((256, 256)).astype(np.float32)
        # creases: the fold lines where a smooth field changes sign
        smooth = cv2.GaussianBlur(np.tile(rough, (3, 3)), (0, 0), sigma)[256:512, 256:512]
        sheet += weight * sigma * np.abs(smooth / smooth.std())
    down, across = np.gradient(sheet)
    return across.astype(np.float32), down.astype(np.float32)


_CREASE_X, _CREASE_Y = _noise_tile()


def draw_soft(
    design: Design, skin: Skin, pose: Pose, answers: Plane, size: tuple[int, int], crumple: int
) -> Layer | None:
    """The body as a layer; see `bodies.draw`."""
    sin_yaw, cos_yaw = math.sin(pose.yaw), max(math.cos(pose.yaw), 0.35)
    sin, cos = math.sin(pose.pitch), math.cos(pose.pitch)
    fat = (0.12 + 0.1 * design.profile[0]) * design.width
    w, h = design.width, design.height
    half_width = w / 2 * cos_yaw + fat * abs(sin_yaw)
    grow = 1.04 + pose.perspective * abs(sin)
    box = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * (
        half_width * grow,
        (h / 2 + fat * abs(sin)) * grow,
    )
    window = frame(pose.on_picture(box[:, 0], box[:, 1]), size)
    if window is None:
        return None
    x, y = pose.from_picture(*window)
    pixel = 1 / pose.scale
    depth = np.float32(0.5 * fat)
    # The bulge shifts what a pixel shows when the bag is turned: one round of correction is enough.
    for _ in range(2):
        u = (x - depth * np.float32(sin_yaw)) / np.float32(w / 2 * cos_yaw)
        v = (y - depth * np.float32(sin)) / np.float32(h / 2 * cos)
        u2, v2 = np.minimum(u * u, 1), np.minimum(v * v, 1)
        if design.body == "pouch":  # stands on its foot: fullest low down
            v2 = unit((0.3 - v) / 1.3) ** 2
        depth = np.float32(fat) * (1 - u2) * (1 - v2 * v2)
    # The sides of a filled bag draw in between its seals.
    waist = (
        1 - np.float32(0.05) * (1 - np.minimum(v * v, 1)) if design.body == "bag" else np.float32(1)
    )
    coverage = unit((waist - np.abs(u)) * np.float32(w / 2 * cos_yaw / pixel) + np.float32(0.5))
    teeth = 0.012 * np.abs(np.mod(u * 14, 1) - 0.5) if design.body == "bag" else 0
    coverage *= unit((1 - teeth - np.abs(v)) * np.float32(h / 2 * cos / pixel) + np.float32(0.5))
    if design.body == "pouch":  # rounded corners
        corner = np.hypot(np.maximum(np.abs(u) - 0.86, 0) * w, np.maximum(np.abs(v) - 0.9, 0) * h)
        coverage *= unit((0.05 - corner) * (0.5 / pixel) + np.float32(0.5))

    rows, columns = skin.wrap.shape[:2]
    texture = cv2.remap(
        skin.wrap, (u + 1) * np.float32(columns / 2) - 0.5, (v + 1) * np.float32(rows / 2) - 0.5,
        cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip

    # Creases: a crumpled sheet, stronger near the seals, where the film is gathered.
    shift_x, shift_y = crumple % 97, crumple // 97 % 97
    map_x, map_y = u * 62 + (128 + shift_x - 48), v * 62 + (128 + shift_y - 48)
    strength = np.float32(0.1 if design.material == "paper" else 0.2) * (0.6 + v2)
    crease_x = cv2.remap(_CREASE_X, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    crease_y = cv2.remap(_CREASE_Y, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    slope_x = 2.4 * fat / w * 2 * u * (1 - v2) + strength * crease_x
    slope_y = 3.0 * fat / h * 2 * v * v2 + strength * crease_y
    length = np.float32(1) / cv2.sqrt(1 + slope_x * slope_x + slope_y * slope_y)
    nx = (slope_x * np.float32(cos_yaw) + np.float32(sin_yaw)) * length
    ny = (slope_y * np.float32(cos) + np.float32(cos_yaw * sin)) * length
    dim = 1 - np.float32(0.5) * unit(np.abs(u) - np.float32(0.75))
    planes = shade(texture, nx, ny, answers, dim)
    return Layer(join(planes, coverage), window[0].start, window[1].start)
