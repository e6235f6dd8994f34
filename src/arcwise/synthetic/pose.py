"""Where a thing stands before the camera, and where its points fall on the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arcwise.synthetic.pixels import Plane


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
