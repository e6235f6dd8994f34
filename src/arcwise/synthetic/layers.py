"""The arrays that a photo is composed of: canvases, planes of light, and layers over them.

cv2's type stubs promise no more than "some array", so the element type is said in words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[Any]
"""Float32: light, linear, 1 is white; or coverage in [0, 1]; or coordinates."""

Canvas = NDArray[Any]
"""Uint8: (H, W, 3) square-root-encoded RGB, or (H, W, 4) with coverage or the material last."""


@dataclass(frozen=True)
class Layer:
    """An object on a transparent ground, cropped to where it is.

    Attributes:
        light: (h, w, 4) float32; light times coverage in three channels, coverage in the last.
        top: row of its upper edge on the canvas.
        left: column of its left edge.
    """

    light: Plane
    top: int
    left: int


def clip_unit(values: Plane) -> Plane:
    """Return values clipped to [0, 1], at half the cost of np.clip on planes this small."""
    return np.minimum(np.maximum(values, 0), 1)


def pixel_window(corners: NDArray[np.float64], size: tuple[int, int]) -> tuple[slice, slice] | None:
    """Return the window of a (height, width) canvas with the points, in multiples of 6 pixels.

    Layers are drawn 1.5 or 2 times too large; multiples of 6 shrink to whole pixels.
    """
    low, high = corners.min(0) - 3, corners.max(0) + 3
    left, top = (max(0, int(v // 6) * 6) for v in low)
    right, bottom = (min(s, int(-(-v // 6)) * 6) for s, v in zip(size[::-1], high, strict=True))
    if right - left < 6 or bottom - top < 6:
        return None
    return slice(top, bottom), slice(left, right)


def premultiplied(planes: list[Plane], coverage: Plane) -> Plane:
    """Return three planes of light times coverage, and the coverage, as the light of a layer."""
    return cv2.merge([*(p * coverage for p in planes), coverage])


def composite(under: Plane, layer: Layer, gain: float = 1.0) -> None:
    """Composite a layer over light (H, W, 3) in place; parts outside are cut off."""
    height, width = layer.light.shape[:2]
    top, left = max(0, layer.top), max(0, layer.left)
    bottom, right = min(under.shape[0], layer.top + height), min(under.shape[1], layer.left + width)
    if bottom <= top or right <= left:
        return
    part = layer.light[top - layer.top : bottom - layer.top, left - layer.left : right - layer.left]
    window = under[top:bottom, left:right]
    red, green, blue, coverage = cv2.split(np.ascontiguousarray(part))
    through = 1 - coverage
    if gain != 1.0:
        red, green, blue = red * np.float32(gain), green * np.float32(gain), blue * np.float32(gain)
    window *= cv2.merge([through, through, through])
    window += cv2.merge([red, green, blue])


def coverage_on(layer: Layer, size: int) -> Plane:
    """Return the layer's coverage (size, size) of the photo."""
    canvas = np.zeros((size, size), np.float32)
    height, width = layer.light.shape[:2]
    top, left = max(0, layer.top), max(0, layer.left)
    bottom, right = min(size, layer.top + height), min(size, layer.left + width)
    if bottom > top and right > left:
        canvas[top:bottom, left:right] = layer.light[
            top - layer.top : bottom - layer.top, left - layer.left : right - layer.left, 3
        ]
    return canvas


def resized(layer: Layer, factor: float, foot: tuple[float, float]) -> Layer:
    """Return the layer `factor` times as large, its lower edge's middle at pixel `foot` (x, y)."""
    height, width = layer.light.shape[:2]
    rows, columns = max(2, round(height * factor)), max(2, round(width * factor))
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    light = cv2.resize(layer.light, (columns, rows), interpolation=way)
    return Layer(light, round(foot[1] - rows), round(foot[0] - columns / 2))


def patch_layer(patch: Canvas, top: int = 0, left: int = 0) -> Layer:
    """Return a painted RGBA patch (h, w, 4) as a layer of evenly lit paper."""
    colour = patch.astype(np.float32) * np.float32(1 / 255)
    coverage = colour[..., 3:]
    return Layer(np.concatenate([colour[..., :3] ** 2 * coverage, coverage], 2), top, left)
