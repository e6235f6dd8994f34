"""What training sees of a picture: one warp, one colour matrix and a patch, for a whole batch.

Geometry is composed into a single affine map, so that pixels are interpolated once; brightness,
contrast, saturation and hue into a single 3×4 matrix a picture. Every number is drawn from the
generator given, on the CPU, so the same seed gives the same views on any device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from arcwise.errors import ArcwiseError

LUMA = (0.299, 0.587, 0.114)
WHITE = 235.0
"""Darkest colour value that still counts as a white background."""


@dataclass(frozen=True, kw_only=True)
class Augment:
    """How much a view may differ from the picture; with zoom 1 and all else 0, not at all.

    Ranges that multiply are drawn evenly on the logarithm: 0.25 means e^±0.25.
    """

    zoom: float = 0.5
    """Smallest part of the picture's side that a view shows, 0 to 1."""
    aspect: float = 0.15
    """Range of the view's aspect ratio."""
    rotation: float = 0.35
    """Largest rotation, in radians."""
    flip: float = 0.5
    """Probability of a mirror image."""
    brightness: float = 0.25
    """Range of brightness."""
    contrast: float = 0.25
    """Range of contrast, about the view's own mean."""
    saturation: float = 0.25
    """Range of saturation."""
    hue: float = 0.2
    """Largest turn of the hue circle, in radians."""
    backdrop: float = 0.0
    """Probability that the white around a studio picture gives way to another picture."""
    cutout: float = 0.0
    """Probability that a rectangle of the view is covered by its mean colour."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name == "zoom":
                good, expected = 0 < value <= 1, "over 0, at most 1"
            elif field.name in ("flip", "backdrop", "cutout"):
                good, expected = 0 <= value <= 1, "a probability, 0 to 1"
            else:
                good, expected = 0 <= value < math.inf, "a finite number, at least 0"
            if not good:
                raise ArcwiseError(f"augment: {field.name}={value}; expected {expected}")


def augment(pixels: Tensor, settings: Augment, size: int, rng: np.random.Generator) -> Tensor:
    """(N, h, w, 3) uint8 pictures → (N, 3, size, size) float32 views, 0 to 255."""
    n = len(pixels)
    planes = pixels.permute(0, 3, 1, 2).float()
    affine = torch.from_numpy(_affine(n, settings, rng)).to(planes.device)
    grid = functional.affine_grid(affine, [n, 3, size, size], align_corners=False)
    views = functional.grid_sample(planes, grid, padding_mode="reflection", align_corners=False)
    if settings.backdrop:
        views = _fill_white(views, _on_white(planes), settings.backdrop, rng)
    views = _recolour(views, settings, rng)
    return _cut(views, settings.cutout, rng) if settings.cutout else views


def _affine(n: int, settings: Augment, rng: np.random.Generator) -> np.ndarray:
    """(N, 2, 3): where each view looks, in the picture's coordinates from -1 to 1."""
    side = np.exp(rng.uniform(math.log(settings.zoom), 0.0, n))
    stretch = np.exp(rng.uniform(-settings.aspect, settings.aspect, n) / 2)
    sx, sy = side * stretch, side / stretch
    room = np.clip(1 - np.maximum(sx, sy), 0, None)  # how far the view can move and stay inside
    cx, cy = rng.uniform(-1, 1, (2, n)) * room
    angle = rng.uniform(-settings.rotation, settings.rotation, n)
    mirror = np.where(rng.random(n) < settings.flip, -1.0, 1.0)
    cos, sin = np.cos(angle), np.sin(angle)
    rows = [[sx * cos * mirror, -sy * sin, cx], [sx * sin * mirror, sy * cos, cy]]
    return np.array(rows, dtype=np.float32).transpose(2, 0, 1)


def _recolour(views: Tensor, settings: Augment, rng: np.random.Generator) -> Tensor:
    n = len(views)

    def factors(reach: float) -> np.ndarray:
        return np.exp(rng.uniform(-reach, reach, n))[:, None, None]

    bright, contrast = factors(settings.brightness), factors(settings.contrast)
    saturation = factors(settings.saturation)
    grey = np.tile(np.array(LUMA), (3, 1))
    matrix = saturation * np.eye(3) + (1 - saturation) * grey
    matrix = _hue_rotation(rng.uniform(-settings.hue, settings.hue, n)) @ matrix * bright
    gain = torch.from_numpy((matrix * contrast).astype(np.float32)).to(views.device)
    keep = torch.from_numpy((matrix * (1 - contrast)).astype(np.float32)).to(views.device)
    shift = keep @ views.mean((2, 3))[:, :, None]  # the mean, in its new colour, stays the mean
    return torch.baddbmm(shift, gain, views.flatten(2)).view_as(views).clamp_(0, 255)


def _hue_rotation(angle: np.ndarray) -> np.ndarray:
    """(N, 3, 3): rotation about the grey axis of RGB (Rodrigues' formula)."""
    axis = 1 / math.sqrt(3)
    cross = axis * np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    return cos * np.eye(3) + (1 - cos) / 3 + sin * cross


def _on_white(planes: Tensor) -> Tensor:
    """(N,) bool: whether nine tenths of a picture's rim are near white, as in a studio picture."""
    rim = [planes[:, :, 0], planes[:, :, -1], planes[:, :, :, 0], planes[:, :, :, -1]]
    return (torch.cat(rim, 2).amin(1) > WHITE).float().mean(1) > 0.9


def _fill_white(
    views: Tensor, on_white: Tensor, probability: float, rng: np.random.Generator
) -> Tensor:
    chosen = torch.from_numpy(rng.random(len(views)) < probability).to(views.device) & on_white
    rows = chosen.nonzero().squeeze(1)
    others = torch.from_numpy(rng.permutation(len(views))).to(views.device)[rows]
    white = ((views[rows].amin(1, keepdim=True) - WHITE) / (255 - WHITE) * 2).clamp(0, 1)
    return views.index_copy(0, rows, views[rows] * (1 - white) + views[others] * white)


def _cut(views: Tensor, probability: float, rng: np.random.Generator) -> Tensor:
    n, _, height, width = views.shape
    hit = rng.random(n) < probability
    tall, wide = rng.uniform(0.15, 0.45, (2, n))
    y, x = rng.random((2, n))
    rows = np.abs((np.arange(height) + 0.5) / height - y[:, None]) < tall[:, None] / 2
    cols = np.abs((np.arange(width) + 0.5) / width - x[:, None]) < wide[:, None] / 2
    mask = rows[:, :, None] & cols[:, None, :] & hit[:, None, None]
    covered = torch.from_numpy(mask[:, None]).to(views.device)
    return torch.where(covered, views.mean((2, 3), keepdim=True), views)
