"""Folded bodies: boxes and gabled cartons, flat faces in true perspective."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from arcwise.synthetic.design import Design
from arcwise.synthetic.layers import Layer, frame
from arcwise.synthetic.light import shade_flat
from arcwise.synthetic.paint import Skin
from arcwise.synthetic.pixels import Canvas, Plane
from arcwise.synthetic.pose import Pose


def _faces(design: Design) -> list[tuple[str, NDArray[np.float64]]]:
    """Faces of a folded body: which texture, and its four corners (4, 3) from its top left."""
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


def draw_folded(
    design: Design, skin: Skin, pose: Pose, answers: Plane, size: tuple[int, int]
) -> Layer | None:
    """The body as a layer; see `bodies.draw`."""
    faces = _faces(design)
    window = frame(pose.project(np.concatenate([corners for _, corners in faces])), size)
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
        # Pixel centres lie half a pixel inside the corners of both pictures.
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
        lit = shade_flat(part, (float(nx), float(ny)), (0.22, 0.16), answers, code)
        coverage = mask * np.float32(1 / 255)
        part_light = cv2.merge([*cv2.split(cv2.multiply(lit, cv2.merge([coverage] * 3))), coverage])
        under = light[y0:y1, x0:x1]
        through = 1 - coverage
        light[y0:y1, x0:x1] = cv2.multiply(under, cv2.merge([through] * 4)) + part_light
    return Layer(light, window[0].start, window[1].start)
