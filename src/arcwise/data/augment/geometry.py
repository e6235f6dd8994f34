"""Where a view looks: zoom, aspect, rotation, mirror and tilt in one map; one interpolation."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from arcwise.data.augment.draws import Keys, uniform
from arcwise.data.augment.ranges import Augment


def warp(planes: Tensor, settings: Augment, size: int, keys: Keys) -> Tensor:
    """(N, 3, h, w) images → (N, 3, size, size) views. Outside an image is its mirror image."""
    maps = torch.from_numpy(homography(settings, keys)).to(planes.device)
    grid = _grid(maps, size, tilted=settings.perspective > 0)
    return functional.grid_sample(planes, grid, padding_mode="reflection", align_corners=False)


def homography(settings: Augment, keys: Keys) -> np.ndarray:
    """Return (N, 3, 3) float32 maps from a view to its image, both from -1 to 1 each way."""
    side = np.exp(uniform(keys, "zoom", math.log(settings.zoom), 0.0))
    stretch = np.exp(uniform(keys, "aspect", -settings.aspect, settings.aspect) / 2)
    longer = side * np.maximum(stretch, 1 / stretch)
    reach = settings.perspective
    across, down = (np.tanh(uniform(keys, f"tilt {way}", -reach, reach) / 2) for way in "xy")
    spread = 1 / (1 - np.abs(across) - np.abs(down))  # of the corner farthest out
    fit = np.minimum(1, np.maximum(1, longer) / (longer * spread))  # a tilt shows nothing outside
    sx, sy = fit * side * stretch, fit * side / stretch
    room = np.clip(1 - fit * longer * spread, 0, None)  # how far a view can move and stay inside
    cx, cy = (uniform(keys, f"centre {way}", -1, 1) * room for way in "xy")
    angle = uniform(keys, "rotation", -settings.rotation, settings.rotation)
    mirror = np.where(uniform(keys, "flip") < settings.flip, -1.0, 1.0)
    cos, sin, zero, one = np.cos(angle), np.sin(angle), np.zeros_like(side), np.ones_like(side)
    rows = [[sx * cos * mirror, -sy * sin, cx], [sx * sin * mirror, sy * cos, cy]]
    place = [*rows, [zero, zero, one]]
    tilt = [[one, zero, zero], [zero, one, zero], [across, down, one]]
    maps = np.array(place).transpose(2, 0, 1) @ np.array(tilt).transpose(2, 0, 1)
    return maps.astype(np.float32)


def _grid(maps: Tensor, size: int, *, tilted: bool) -> Tensor:
    """Return (N, size, size, 2): where the pixels' centres lie in the images.

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
