"""Shading of surfaces with a matcap: a small sphere, lit once per photo, to look up normals in.

For each direction that a surface can face, the matcap holds four values: the light that falls on
it, the reflections of a glossy coat and of polished metal, and the light through a clear body. A
look-up in 40 x 40 pixels is far cheaper than computing them per pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from arcwise.synthetic.layers import Canvas, Plane

_SIDE = 40
_AXIS = np.linspace(-1, 1, _SIDE, dtype=np.float32)
_NX, _NY = np.meshgrid(_AXIS, _AXIS)
_NZ = np.sqrt(np.maximum(1 - _NX**2 - _NY**2, 0.0025))
_LENGTH = np.sqrt(_NX**2 + _NY**2 + _NZ**2)
_NX, _NY, _NZ = _NX / _LENGTH, _NY / _LENGTH, _NZ / _LENGTH
# Direction of a ray from the camera after its reflection: sideways and upward, in radians.
_AROUND = np.arctan2(2 * _NZ * _NX, 2 * _NZ * _NZ - 1).astype(np.float32)
_UPWARD = np.arcsin(np.clip(-2 * _NZ * _NY, -1, 1)).astype(np.float32)
# The room that is mirrored is painted on a small panorama, ten pixels to the radian.
_PER_RADIAN = 10
_PANORAMA = (round(math.pi * _PER_RADIAN) + 4, round(2 * math.pi * _PER_RADIAN) + 4)
_SEEN_X = _AROUND * _PER_RADIAN + np.float32(_PANORAMA[1] / 2)
_SEEN_Y = -_UPWARD * _PER_RADIAN + np.float32(_PANORAMA[0] / 2)
_FACING_CAMERA = 0.72 + 0.28 * _NZ
_SKY = 0.8 - 0.2 * _NY  # the ceiling is brighter than the floor
_GRAZING = np.clip(_NZ * 2.2, 0.2, 1)
_THICK = np.clip(_NZ * 1.9, 0.25, 1)
_FLOOR_TO_CEILING = 0.3 * np.sin(1.7 * _UPWARD)
_FRESNEL = (0.25 + 0.75 * (1 - _NZ) ** 2).astype(np.float32)


_CODES = np.arange(256, dtype=np.float32)
# What a material code of `paint.py` means: shares of gloss, metal and clear.
_METAL = np.clip((_CODES - 150) / 100, 0, 1)
_CLEAR = np.clip(1 - np.abs(_CODES - 120) / 25, 0, 1)
_GLOSS = np.clip(_CODES / 80, 0, 1) * (1 - 0.55 * _METAL)
_COARSE = np.repeat(np.linspace(-1, 1, 12, dtype=np.float32)[None, :], 12, 0)


@dataclass(frozen=True)
class Light:
    """The light of a room on a product.

    Attributes:
        direction: of the key light, in radians about the upright axis; 0 is behind the camera,
            positive is to the right.
        elevation: of the key light, in radians above the horizon.
        ambient: share of the light without a direction, in [0, 1].
        windows: bright areas that shiny products mirror: (direction, elevation, half width,
            half height, strength).
    """

    direction: float
    elevation: float
    ambient: float
    windows: tuple[tuple[float, float, float, float, float], ...]


def room(rng: np.random.Generator, direction: float, studio: bool) -> Light:
    """Return a light from `direction`: two softboxes in a studio, tubes and windows in a shop."""
    if studio:
        windows = ((-1.25, 0.1, 0.28, 1.1, 0.75), (1.3, 0.1, 0.2, 1.1, 0.55))
        return Light(direction, 0.75, 0.62, windows)
    key = (direction * 1.3 + 0.5 * math.copysign(1, direction), 0.25, 0.16, 0.8, 1.3)
    draws = rng.random((3, 5)).tolist()
    others = tuple(
        (4.4 * a - 2.2, b - 0.1, 0.06 + 0.24 * c, 0.2 + 0.7 * d, 0.2 + 0.6 * e)
        for a, b, c, d, e in draws[: int(rng.integers(1, 4))]
    )
    return Light(
        direction, float(rng.uniform(0.5, 1.1)), float(rng.uniform(0.25, 0.5)), (key, *others)
    )


def render_matcap(light: Light) -> Plane:
    """Return the matcap (40, 40, 4): fall, gloss, metal and clear for every direction faced."""
    towards = (
        math.sin(light.direction) * math.cos(light.elevation),
        -math.sin(light.elevation),
        math.cos(light.direction) * math.cos(light.elevation),
    )
    facing = (
        _NX * np.float32(towards[0]) + _NY * np.float32(towards[1]) + _NZ * np.float32(towards[2])
    )
    wrapped = np.maximum(facing + np.float32(0.25), 0)
    fall = _SKY * _FACING_CAMERA * np.float32(1.1 * light.ambient)
    fall += wrapped * np.float32((1.12 - light.ambient) * 1.08)
    panorama = np.zeros(_PANORAMA, np.float32)
    for azimuth, upward, half_width, half_height, strength in light.windows:
        x, y = _PANORAMA[1] / 2 + azimuth * _PER_RADIAN, _PANORAMA[0] / 2 - upward * _PER_RADIAN
        w, h = half_width * _PER_RADIAN, half_height * _PER_RADIAN
        corners = np.array([(x - w, y - h), (x + w, y - h), (x + w, y + h), (x - w, y + h)])
        cv2.fillPoly(panorama, [np.round(corners * 16).astype(np.int32)], strength, cv2.LINE_8, 4)
    panorama = cv2.blur(panorama, (3, 5))
    mirrored = cv2.remap(panorama, _SEEN_X, _SEEN_Y, cv2.INTER_LINEAR)
    metal = np.cos(2 * _AROUND + np.float32(light.direction)) * np.float32(0.26)
    metal += _FLOOR_TO_CEILING + mirrored * np.float32(0.9) + np.float32(0.52)
    metal *= _GRAZING
    lens = np.maximum(-_NX * math.copysign(1, light.direction), 0)
    clear = (0.6 + 0.75 * lens * lens) * _THICK
    return cv2.merge([fall, mirrored * _FRESNEL, metal, clear])


def shade(
    texture: Canvas, nx: Plane, ny: Plane, matcap: Plane, dim: Plane | None = None
) -> list[Plane]:
    """Return three planes (h, w) of light leaving a surface.

    Args:
        texture: (h, w, 4) square-root-encoded colour and material code.
        nx: (h, w) rightward part of the surface's unit normal, as the camera sees it.
        ny: (h, w) downward part.
        matcap: of `render_matcap`.
        dim: optional factor (h, w) on everything: creases, contact with the floor.
    """
    half = np.float32((_SIDE - 1) / 2)
    body, gloss, metal, clear = cv2.split(
        cv2.remap(
            matcap,
            nx * half + half,
            ny * half + half,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    )
    *channels, code = cv2.split(texture)
    gloss *= cv2.LUT(code, _GLOSS)
    metal -= body
    metal *= cv2.LUT(code, _METAL)
    clear -= body
    clear *= cv2.LUT(code, _CLEAR)
    body += metal
    body += clear
    if dim is not None:
        body *= dim
        gloss *= dim
    body *= np.float32(1 / 255**2)
    planes = []
    for channel in channels:
        value = channel.astype(np.float32)
        value *= value
        value *= body
        value += gloss
        planes.append(value)
    return planes


def shade_flat(
    texture: Canvas,
    facing: tuple[float, float],
    bow: tuple[float, float],
    matcap: Plane,
    code: int,
) -> Plane:
    """Return the light (h, w, 3) leaving a nearly flat face of one material.

    Args:
        texture: (h, w, 3) square-root-encoded colour.
        facing: rightward and downward part of the face's unit normal.
        bow: how much each changes from the middle to the edge, since card is never quite flat.
        matcap: of `render_matcap`.
        code: the material.
    """
    half = np.float32((_SIDE - 1) / 2)
    nx = np.minimum(np.maximum(facing[0] + _COARSE * bow[0], -0.98), 0.98)
    ny = np.minimum(np.maximum(facing[1] + _COARSE.T * bow[1], -0.98), 0.98)
    body, gloss, metal, _ = cv2.split(
        cv2.remap(matcap, nx * half + half, ny * half + half, cv2.INTER_LINEAR)
    )
    body += float(_METAL[code]) * (metal - body)
    gloss *= float(_GLOSS[code])
    size = (texture.shape[1], texture.shape[0])
    light = texture.astype(np.float32)
    light = cv2.multiply(light, light, scale=1 / 255**2)
    light = cv2.multiply(light, cv2.resize(cv2.merge([body, body, body]), size))
    return cv2.add(light, cv2.resize(cv2.merge([gloss, gloss, gloss]), size))
