"""A product in a pose under a light, drawn as a layer: turned, folded or soft."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from arcwise.synthetic.camera import Pose
from arcwise.synthetic.design import FOLDED, TURNED, Design
from arcwise.synthetic.layers import Canvas, Layer, Plane, clip_unit, pixel_window, premultiplied
from arcwise.synthetic.light import shade, shade_flat
from arcwise.synthetic.paint import Skin
from arcwise.synthetic.turned import draw_turned


def draw(
    design: Design, skin: Skin, pose: Pose, matcap: Plane, size: tuple[int, int], crumple: int = 0
) -> Layer | None:
    """Return the product as a layer on a (height, width) canvas; None when it is outside.

    Args:
        design: of the product.
        skin: the textures of the design.
        pose: of the product before the camera.
        matcap: of `light.render_matcap`.
        size: height and width of the canvas in pixels.
        crumple: which creases a soft body has in this photo.
    """
    if design.body in TURNED:
        return draw_turned(design, skin, pose, matcap, size)
    if design.body in FOLDED:
        return _draw_folded(design, skin, pose, matcap, size)
    return _draw_soft(design, skin, pose, matcap, size, crumple)


def _faces(design: Design) -> list[tuple[str, NDArray[np.float64]]]:
    """Return the faces of a folded body: name, and four corners (4, 3) from the top left."""
    w, h, d = design.width / 2, design.height / 2, design.depth / 2
    eave = -h if design.body == "box" else -h + 0.19 * design.height
    faces = [
        ("front", [(-w, eave, d), (w, eave, d), (w, h, d), (-w, h, d)]),
        ("left", [(-w, eave, -d), (-w, eave, d), (-w, h, d), (-w, h, -d)]),
        ("right", [(w, eave, d), (w, eave, -d), (w, h, -d), (w, h, d)]),
    ]
    if design.body == "box":
        faces.append(("top", [(-w, -h, -d), (w, -h, -d), (w, -h, d), (-w, -h, d)]))
    else:  # a gable: two folded-in triangles, a roof, and the crimped fin along its ridge
        ridge, v, tip = -h + 0.075 * design.height, 0.88 * w, 0.001
        faces += [
            ("left_gable", [(-w, eave, -d), (-w, eave, d), (-v, ridge, tip), (-v, ridge, -tip)]),
            ("right_gable", [(w, eave, d), (w, eave, -d), (v, ridge, -tip), (v, ridge, tip)]),
            ("roof", [(-w, ridge, 0), (w, ridge, 0), (w, eave, d), (-w, eave, d)]),
            ("fin", [(-w, -h, 0), (w, -h, 0), (w, ridge, 0), (-w, ridge, 0)]),
        ]  # fmt: skip
    return [(name, np.array(corners, np.float64)) for name, corners in faces]


def _texture_of(name: str, design: Design, skin: Skin) -> Canvas:
    if name in ("front", "roof", "fin"):
        if design.body == "box":
            return skin.wrap
        rows = skin.wrap.shape[0]
        eave = round(rows * 0.19)
        return (
            skin.wrap[eave:]
            if name == "front"
            else skin.wrap[:eave]
            if name == "roof"
            else skin.wrap[:2]
        )
    if name.endswith("gable"):
        return skin.sides[0][:2]
    return {"left": skin.sides[0], "right": skin.sides[1], "top": skin.top}[name]


def _draw_folded(
    design: Design, skin: Skin, pose: Pose, matcap: Plane, size: tuple[int, int]
) -> Layer | None:
    """Return a box or carton: flat faces in perspective."""
    faces = _faces(design)
    window = pixel_window(pose.project(np.concatenate([corners for _, corners in faces])), size)
    if window is None:
        return None
    origin = np.array([window[1].start, window[0].start], np.float64)
    height, width = window[0].stop - window[0].start, window[1].stop - window[1].start
    light = np.zeros((height, width, 4), np.float32)
    sin_yaw, cos_yaw = math.sin(pose.yaw), math.cos(pose.yaw)
    sin, cos = math.sin(pose.pitch), math.cos(pose.pitch)
    for name, corners in faces:
        target = pose.project(corners) - origin
        edge_a, edge_b = target[1] - target[0], target[2] - target[0]
        if (
            edge_a[0] * edge_b[1] - edge_a[1] * edge_b[0] <= 0.5
        ):  # seen from behind, or from its edge
            continue
        first, last = (
            np.floor(target.min(0) - 1).astype(int),
            np.ceil(target.max(0) + 2).astype(int),
        )
        x0, y0, x1, y1 = (
            max(0, first[0]),
            max(0, first[1]),
            min(width, last[0]),
            min(height, last[1]),
        )
        if x1 <= x0 or y1 <= y0:
            continue
        local = (target - (x0, y0)).astype(np.float32)
        texture = _texture_of(name, design, skin)[..., :3]
        rows, columns = texture.shape[:2]
        source = np.array([(0, 0), (columns, 0), (columns, rows), (0, rows)], np.float32)
        # Pixel centres lie half a pixel inside the corners of texture and canvas.
        warp = cv2.getPerspectiveTransform(source - np.float32(0.5), local - np.float32(0.5))
        part = cv2.warpPerspective(
            texture,
            warp,
            (int(x1 - x0), int(y1 - y0)),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        mask = np.zeros(part.shape[:2], np.uint8)
        cv2.fillPoly(mask, [np.round((local - 0.5) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        normal = np.cross(corners[1] - corners[0], corners[3] - corners[0])
        normal /= np.linalg.norm(normal)
        nx, nz = (
            normal[0] * cos_yaw + normal[2] * sin_yaw,
            normal[2] * cos_yaw - normal[0] * sin_yaw,
        )
        ny = normal[1] * cos + nz * sin
        code = int(skin.wrap[-1, -1, 3])
        lit = shade_flat(part, (float(nx), float(ny)), (0.22, 0.16), matcap, code)
        coverage = mask * np.float32(1 / 255)
        part_light = cv2.merge([*cv2.split(cv2.multiply(lit, cv2.merge([coverage] * 3))), coverage])
        under = light[y0:y1, x0:x1]
        through = 1 - coverage
        light[y0:y1, x0:x1] = cv2.multiply(under, cv2.merge([through] * 4)) + part_light
    return Layer(light, window[0].start, window[1].start)


def _noise_tile() -> tuple[Plane, Plane]:
    """Return the slopes (256, 256) of one crumpled sheet, rightward and downward."""
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


def _draw_soft(
    design: Design, skin: Skin, pose: Pose, matcap: Plane, size: tuple[int, int], crumple: int
) -> Layer | None:
    """Return a bag or pouch: a film inflated by its contents and creased at its seals."""
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
    window = pixel_window(pose.on_canvas(box[:, 0], box[:, 1]), size)
    if window is None:
        return None
    x, y = pose.from_canvas(*window)
    pixel = 1 / pose.scale
    depth = np.float32(0.5 * fat)
    # The bulge shifts what a pixel shows when the bag is turned: one round of correction is enough.
    for _ in range(2):
        u = (x - depth * np.float32(sin_yaw)) / np.float32(w / 2 * cos_yaw)
        v = (y - depth * np.float32(sin)) / np.float32(h / 2 * cos)
        u2, v2 = np.minimum(u * u, 1), np.minimum(v * v, 1)
        if design.body == "pouch":  # stands on its foot: fullest low down
            v2 = clip_unit((0.3 - v) / 1.3) ** 2
        depth = np.float32(fat) * (1 - u2) * (1 - v2 * v2)
    # The sides of a filled bag draw in between its seals.
    waist = (
        1 - np.float32(0.05) * (1 - np.minimum(v * v, 1)) if design.body == "bag" else np.float32(1)
    )
    coverage = clip_unit(
        (waist - np.abs(u)) * np.float32(w / 2 * cos_yaw / pixel) + np.float32(0.5)
    )
    teeth = 0.012 * np.abs(np.mod(u * 14, 1) - 0.5) if design.body == "bag" else 0
    coverage *= clip_unit(
        (1 - teeth - np.abs(v)) * np.float32(h / 2 * cos / pixel) + np.float32(0.5)
    )
    if design.body == "pouch":  # rounded corners
        corner = np.hypot(np.maximum(np.abs(u) - 0.86, 0) * w, np.maximum(np.abs(v) - 0.9, 0) * h)
        coverage *= clip_unit((0.05 - corner) * (0.5 / pixel) + np.float32(0.5))

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
    dim = 1 - np.float32(0.5) * clip_unit(np.abs(u) - np.float32(0.75))
    planes = shade(texture, nx, ny, matcap, dim)
    return Layer(premultiplied(planes, coverage), window[0].start, window[1].start)
