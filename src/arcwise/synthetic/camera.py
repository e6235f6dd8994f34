"""The camera: where points fall on the photo, and how light becomes a JPEG file."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from arcwise.synthetic.layers import Canvas, Plane
from arcwise.synthetic.nuisance import Nuisance


@dataclass(frozen=True)
class Pose:
    """The pose of a product before the camera.

    Angles are in radians, lengths in pixels of the canvas or in object units.

    Attributes:
        yaw: turn of the product about its own axis; positive shows more of its left side.
        pitch: how far the camera looks down on it.
        roll: turn of the camera about its line of sight.
        scale: pixels to the object unit.
        x: column of the product's middle.
        y: row of the product's middle.
        perspective: object units over the camera's distance; 0 is a far-away camera.
    """

    yaw: float
    pitch: float
    roll: float
    scale: float
    x: float
    y: float
    perspective: float

    def project(self, corners: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the pixels (N, 2) of points (N, 3): right, down, towards the camera."""
        x, y, z = corners.T
        sin, cos = math.sin(self.yaw), math.cos(self.yaw)
        x, z = x * cos + z * sin, z * cos - x * sin
        sin, cos = math.sin(self.pitch), math.cos(self.pitch)
        y, z = y * cos + z * sin, z * cos - y * sin
        nearer = 1 / (1 - self.perspective * z)
        return self.on_canvas(x * nearer, y * nearer)

    def on_canvas(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the pixels (N, 2) of points in the camera's plane."""
        sin, cos = math.sin(self.roll), math.cos(self.roll)
        pixels = np.empty((len(x), 2))
        pixels[:, 0] = self.x + self.scale * (x * cos - y * sin)
        pixels[:, 1] = self.y + self.scale * (x * sin + y * cos)
        return pixels

    def from_canvas(self, rows: slice, columns: slice) -> tuple[Plane, Plane]:
        """Return the object units (h, w), right and down, of a window's pixels on an upright plane.

        The nearer, upper half of a product seen from above is larger. A plane that leans by the
        pitch is close enough for round and soft bodies, which have no straight lines.
        """
        px = (
            np.arange(columns.start, columns.stop, dtype=np.float32) + np.float32(0.5 - self.x)
        ) / self.scale
        py = (
            np.arange(rows.start, rows.stop, dtype=np.float32) + np.float32(0.5 - self.y)
        ) / self.scale
        sin, cos = math.sin(self.roll), math.cos(self.roll)
        x = (px * np.float32(cos))[None, :] + (py * np.float32(sin))[:, None]
        y = (py * np.float32(cos))[:, None] - (px * np.float32(sin))[None, :]
        lean = 1 + y * np.float32(self.perspective * math.sin(self.pitch))
        return x * lean, y * lean


_CONTRAST = 1.08  # added by a telephone's image style
_NOISE_SIDE = 320  # side of the stored noise, from which each photo cuts its own window


@lru_cache(maxsize=4)
def _sensor_noise(side: int) -> Plane:
    """Return unit noise (side, side, 3): mostly brightness, a little coarser than a pixel."""
    rng = np.random.default_rng(7)
    colour = rng.standard_normal((side, side, 3)).astype(np.float32)
    brightness = rng.standard_normal((side, side, 1)).astype(np.float32)
    noise = 0.5 * cv2.GaussianBlur(colour, (0, 0), 0.7) / 0.4 + 0.85 * brightness
    return (noise / noise.std()).astype(np.float32)


@lru_cache(maxsize=8)
def _vignette(size: int) -> Plane:
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    fall = 1 - 0.11 * (axis[:, None] ** 2 + axis[None, :] ** 2)
    return np.repeat(fall[..., None], 3, 2).astype(np.float32)


def _movement(length: float, angle: float) -> Plane:
    """Return a kernel that smears over `length` pixels in a direction."""
    side = math.ceil(length) // 2 * 2 + 3
    kernel = np.zeros((side * 4, side * 4), np.float32)
    middle, reach = side * 2, length * 2
    ends = [
        (
            round((middle + s * reach * math.cos(angle)) * 16),
            round((middle + s * reach * math.sin(angle)) * 16),
        )
        for s in (-1, 1)
    ]
    cv2.line(kernel, ends[0], ends[1], 1.0, 4, cv2.LINE_AA, 4)
    small = cv2.resize(kernel, (side, side), interpolation=cv2.INTER_AREA)
    return small / small.sum()


def expose(light: Plane, nuisance: Nuisance, rng: np.random.Generator) -> Canvas:
    """Return the image (H, W, 3) uint8 RGB of a scene's light; the light is overwritten."""
    size = light.shape[0]
    angle, cut = rng.uniform(0, math.pi), rng.integers(0, 4096, 2)
    if nuisance.blur > 0.15:
        light = cv2.GaussianBlur(light, (0, 0), nuisance.blur, borderType=cv2.BORDER_REFLECT_101)
    if nuisance.motion > 0.3:
        light = cv2.filter2D(
            light, -1, _movement(nuisance.motion, angle), borderType=cv2.BORDER_REFLECT_101
        )
    gain = 2.0**nuisance.exposure
    warm = nuisance.warmth
    balance = (gain * (1 + 0.2 * warm), gain * (1 + 0.015 * warm), gain * (1 - 0.24 * warm), 0)
    light = cv2.multiply(light, _vignette(size))
    light = cv2.multiply(light, np.array(balance))
    light = cv2.sqrt(np.maximum(light, 0))
    light = cv2.addWeighted(light, _CONTRAST, light, 0.0, 0.5 - 0.5 * _CONTRAST - 0.01)
    if nuisance.noise > 0:
        # Shot noise grows with the square root of the light, so it is uniform after the root.
        side = max(_NOISE_SIDE, size)
        noise = _sensor_noise(side)
        rows, columns = (int(c) % (side - size + 1) for c in cut)
        light = cv2.scaleAdd(
            noise[rows : rows + size, columns : columns + size], nuisance.noise, light
        )
    return cv2.convertScaleAbs(np.maximum(light, 0), alpha=255)


def encode(image: Canvas, quality: int) -> bytes:
    """Return the image as a JPEG file."""
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    assert done, "a uint8 image can always be encoded"
    return data.tobytes()


def decode(data: bytes) -> Canvas:
    """Return the image of that file, (H, W, 3) uint8 RGB."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None, "the renderer's own file can always be read"
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
