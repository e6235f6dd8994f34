"""How a view looks: its backdrop, the light, an occlusion, the lens, the sensor, the file.

`fill_white` and `recolour` take the whole batch. The others take the views that they are drawn for
and change every one of them by its key.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from arcwise.data.augment.draws import Keys, chosen, uniform
from arcwise.data.augment.ranges import Augment

WHITE = 235.0
"""Darkest colour value that still counts as a white background."""
LUMA = (0.299, 0.587, 0.114)
SIGMAS = (0.01, 0.03)
"""Range of the blur's sigma, as parts of the view's side, drawn evenly on the logarithm."""
SHARES = (0.2, 1.0)
"""Range of the part of the side that a loss of resolution leaves (AdaFace, arXiv 2204.00964)."""
QUALITIES = (20.0, 95.0)
"""Range of the JPEG quality."""


def fill_white(views: Tensor, planes: Tensor, probability: float, keys: Keys) -> Tensor:
    """Replace the white around studio images by another view of the batch.

    Args:
        views: (N, 3, H, W), cut from the images; they are changed.
        planes: (N, 3, h, w) the whole images, which tell the studio images from the others.
        probability: of a new backdrop, for each studio image.
        keys: (N,), one a view.
    """
    drawn = torch.from_numpy(chosen(keys, "backdrop", probability)).to(views.device)
    rows = drawn[_on_white(planes)[drawn]]
    order = np.argsort(uniform(keys, "backdrop order"))
    after = np.empty_like(order)
    after[order] = np.roll(order, -1)  # the backdrop of each view is another view
    others = torch.from_numpy(after).to(views.device)[rows]
    white = ((views[rows].amin(1, keepdim=True) - WHITE) / (255 - WHITE) * 2).clamp(0, 1)
    return views.index_copy_(0, rows, views[rows] * (1 - white) + views[others] * white)


def _on_white(planes: Tensor) -> Tensor:
    """(N,) bool: whether nine tenths of an image's rim are near white, as in a studio image."""
    rim = [planes[:, :, 0], planes[:, :, -1], planes[:, :, :, 0], planes[:, :, :, -1]]
    return (torch.cat(rim, 2).amin(1) > WHITE).float().mean(1) > 0.9


def recolour(views: Tensor, settings: Augment, keys: Keys) -> Tensor:
    """Return (N, 3, H, W) views in another light, 0 to 255.

    Brightness, contrast, saturation and hue are one 3×4 matrix a view. It takes a fortieth of the
    time of kornia's four operations in turn, whose hue goes through HSV.
    """

    def factors(name: str, reach: float) -> np.ndarray:
        return np.exp(uniform(keys, name, -reach, reach))[:, None, None]

    bright = factors("brightness", settings.brightness)
    contrast = factors("contrast", settings.contrast)
    saturation = factors("saturation", settings.saturation)
    grey = np.tile(np.array(LUMA), (3, 1))
    matrix = saturation * np.eye(3) + (1 - saturation) * grey
    matrix = _hue_rotation(uniform(keys, "hue", -settings.hue, settings.hue)) @ matrix * bright
    factor = torch.from_numpy((matrix * contrast).astype(np.float32)).to(views.device)
    rest = torch.from_numpy((matrix * (1 - contrast)).astype(np.float32)).to(views.device)
    offset = rest @ views.mean((2, 3))[:, :, None]  # the mean, in its new colour, stays the mean
    return torch.baddbmm(offset, factor, views.flatten(2)).view_as(views).clamp_(0, 255)


def _hue_rotation(angle: np.ndarray) -> np.ndarray:
    """(N, 3, 3): rotation about the grey axis of RGB (Rodrigues' formula)."""
    axis = 1 / math.sqrt(3)
    cross = axis * np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    return cos * np.eye(3) + (1 - cos) / 3 + sin * cross


def occlude(views: Tensor, keys: Keys) -> Tensor:
    """Return the views, a rectangle of each covered by its mean colour (arXiv 1708.04552)."""
    height, width = views.shape[2:]
    tall, wide = (uniform(keys, name, 0.15, 0.45) for name in ("cutout height", "cutout width"))
    y, x = uniform(keys, "cutout y"), uniform(keys, "cutout x")
    rows = np.abs((np.arange(height) + 0.5) / height - y[:, None]) < tall[:, None] / 2
    cols = np.abs((np.arange(width) + 0.5) / width - x[:, None]) < wide[:, None] / 2
    covered = torch.from_numpy(rows[:, None, :, None] & cols[:, None, None, :]).to(views.device)
    return torch.where(covered, views.mean((2, 3), keepdim=True), views)


def blur(views: Tensor, keys: Keys) -> Tensor:
    """Return (N, 3, H, H) views out of focus."""
    from kornia.filters import gaussian_blur2d

    side = views.shape[2]
    low, high = (math.log(share * side) for share in SIGMAS)
    sigma = _column(np.exp(uniform(keys, "sigma", low, high)), views).expand(-1, 2)
    # One width for all, or the sharpest view would depend on the most blurred one of the batch.
    width = 2 * math.ceil(3 * SIGMAS[1] * side) + 1
    return gaussian_blur2d(views, (width, width), sigma)


def lower_resolution(views: Tensor, keys: Keys) -> Tensor:
    """Return (N, 3, H, H) views shrunk and enlarged again.

    Both are linear along rows and columns, hence one H×H matrix a view: views of different
    resolutions in one batched product.
    """
    side = views.shape[2]
    sides = np.rint(uniform(keys, "share", *SHARES) * side).astype(int)
    maps = torch.stack([_down_and_up(side, int(small)) for small in sides])[:, None]
    maps = maps.to(views.device)
    return maps @ views @ maps.transpose(2, 3)


def jpeg(views: Tensor, keys: Keys) -> Tensor:
    """Return (N, 3, H, W) views with the artefacts of JPEG files; 4:2:0, the usual tables."""
    from kornia.enhance import jpeg_codec_differentiable

    quality = _column(uniform(keys, "quality", *QUALITIES), views)[:, 0]
    return jpeg_codec_differentiable(views / 255, quality).mul_(255)


def _column(numbers: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(numbers.astype(np.float32))[:, None].to(like.device)


@lru_cache(maxsize=512)
def _down_and_up(side: int, small: int) -> Tensor:
    """(side, side): a column of pixels averaged down to fewer, and interpolated up again."""
    impulses = torch.eye(side)[None]
    fewer = functional.interpolate(impulses, size=small, mode="area")
    return functional.interpolate(fewer, size=side, mode="linear", align_corners=False)[0].T
