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
    """A viewpoint. Angles in radians, lengths in pixels of the canvas or object units.

    Attributes:
        yaw: the thing turned about its own axis; positive shows more of its left side.
        pitch: the camera looking down on it.
        roll: the camera turned about its line of sight.
        scale: pixels to the object unit.
        x: column of the thing's middle.
        y: row of the thing's middle.
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
        """Pixels (N, 2) of points (N, 3) in object units: right, down, towards the camera."""
        x, y, z = corners.T
        sin, cos = math.sin(self.yaw), math.cos(self.yaw)
        x, z = x * cos + z * sin, z * cos - x * sin
        sin, cos = math.sin(self.pitch), math.cos(self.pitch)
        y, z = y * cos + z * sin, z * cos - y * sin
        nearer = 1 / (1 - self.perspective * z)
        return self.on_picture(x * nearer, y * nearer)

    def on_picture(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Pixels (N, 2) of points in the camera's plane."""
        sin, cos = math.sin(self.roll), math.cos(self.roll)
        pixels = np.empty((len(x), 2))
        pixels[:, 0] = self.x + self.scale * (x * cos - y * sin)
        pixels[:, 1] = self.y + self.scale * (x * sin + y * cos)
        return pixels

    def from_picture(self, rows: slice, columns: slice) -> tuple[Plane, Plane]:
        """Object units (h, w), right and down, of the pixels in a window, on an upright plane.

        The nearer, upper half of a thing seen from above is larger; a plane leaning by the pitch is
        close enough to that for round and soft bodies, which have no straight lines to betray it.
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


_CONTRAST = 1.08  # what a telephone's picture style adds
_FILM = 320  # side of the stored noise, from which each photo cuts its own window


@lru_cache(maxsize=4)
def _film(side: int) -> Plane:
    """Unit noise (side, side, 3): mostly brightness, some colour, a little coarser than a pixel."""
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
    """A kernel that smears over `length` pixels in a direction."""
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


def expose(light: Plane, how: Nuisance, rng: np.random.Generator) -> Canvas:
    """The sensor's picture (H, W, 3) uint8 RGB of a scene's light, which is used up."""
    size = light.shape[0]
    angle, cut = rng.uniform(0, math.pi), rng.integers(0, 4096, 2)
    if how.blur > 0.15:
        light = cv2.GaussianBlur(light, (0, 0), how.blur, borderType=cv2.BORDER_REFLECT_101)
    if how.motion > 0.3:
        light = cv2.filter2D(
            light, -1, _movement(how.motion, angle), borderType=cv2.BORDER_REFLECT_101
        )
    gain = 2.0**how.exposure
    warm = how.warmth
    balance = (gain * (1 + 0.2 * warm), gain * (1 + 0.015 * warm), gain * (1 - 0.24 * warm), 0)
    light = cv2.multiply(light, _vignette(size))
    light = cv2.multiply(light, np.array(balance))
    light = cv2.sqrt(np.maximum(light, 0))
    light = cv2.addWeighted(light, _CONTRAST, light, 0.0, 0.5 - 0.5 * _CONTRAST - 0.01)
    if how.noise > 0:
        # Shot noise grows with the root of the light, so after the root it is the same everywhere.
        side = max(_FILM, size)
        film = _film(side)
        rows, columns = (int(c) % (side - size + 1) for c in cut)
        light = cv2.scaleAdd(film[rows : rows + size, columns : columns + size], how.noise, light)
    return cv2.convertScaleAbs(np.maximum(light, 0), alpha=255)


def encode(image: Canvas, quality: int) -> bytes:
    """The picture as a JPEG file."""
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    assert done, "a uint8 picture can always be encoded"
    return data.tobytes()


def decode(data: bytes) -> Canvas:
    """What a reader of that file sees: (H, W, 3) uint8 RGB."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None, "the renderer's own file can always be read"
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
