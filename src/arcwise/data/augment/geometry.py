"""Where a view looks: zoom, aspect, rotation, mirror and tilt in one map; one interpolation."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from arcwise.data.augment.draws import Keys, uniform
from arcwise.data.augment.settings import Augment


def warp(planes: Tensor, settings: Augment, size: int, keys: Keys) -> Tensor:
    """(N, 3, h, w) pictures → (N, 3, size, size) views of them; outside is the mirror image."""
    maps = torch.from_numpy(homography(settings, keys)).to(planes.device)
    grid = _grid(maps, size, tilted=settings.perspective > 0)
    return functional.grid_sample(planes, grid, padding_mode="reflection", align_corners=False)


def homography(settings: Augment, keys: Keys) -> np.ndarray:
    """(N, 3, 3) float32: from a view to its picture, each from -1 to 1 in both directions."""
    side = np.exp(uniform(keys, "zoom", math.log(settings.zoom), 0.0))
    stretch = np.exp(uniform(keys, "aspect", -settings.aspect, settings.aspect) / 2)
    sx, sy = side * stretch, side / stretch
    room = np.clip(1 - np.maximum(sx, sy), 0, None)  # how far the view can move and stay inside
    cx, cy = (uniform(keys, name, -1, 1) * room for name in ("centre x", "centre y"))
    angle = uniform(keys, "rotation", -settings.rotation, settings.rotation)
    mirror = np.where(uniform(keys, "flip") < settings.flip, -1.0, 1.0)
    cos, sin = np.cos(angle), np.sin(angle)
    maps = np.zeros((len(keys), 3, 3))
    maps[:, 0] = np.stack([sx * cos * mirror, -sy * sin, cx], 1)
    maps[:, 1] = np.stack([sx * sin * mirror, sy * cos, cy], 1)
    maps[:, 2, 2] = 1
    if settings.perspective:
        maps = maps @ _tilt(settings.perspective, keys)
    return maps.astype(np.float32)


def _tilt(reach: float, keys: Keys) -> np.ndarray:
    """(N, 3, 3): the square seen from aside, as a quadrangle that stays inside the square."""
    across, down = (np.tanh(uniform(keys, n, -reach, reach) / 2) for n in ("tilt x", "tilt y"))
    maps = np.zeros((len(keys), 3, 3))
    maps[:, 0, 0] = maps[:, 1, 1] = 1 - np.abs(across) - np.abs(down)
    maps[:, 2] = np.stack([across, down, np.ones(len(keys))], 1)
    return maps


def _grid(maps: Tensor, size: int, *, tilted: bool) -> Tensor:
    """(N, size, size, 2): where the pixels' centres lie in the pictures.

    Kornia's warp_perspective takes twice the time for the same: it multiplies every pixel by the
    whole matrix, where rows and columns add up.
    """
    at = (torch.arange(size, device=maps.device) * 2 + 1) / size - 1
    columns = maps[:, :, 0, None] * at
    rows = maps[:, :, 1, None] * at + maps[:, :, 2, None]
    grid = maps.new_empty(len(maps), size, size, 2)
    for axis in (0, 1):
        torch.add(columns[:, axis, None, :], rows[:, axis, :, None], out=grid[..., axis])
    if tilted:
        grid /= (columns[:, 2, None, :] + rows[:, 2, :, None])[..., None]
    return grid
