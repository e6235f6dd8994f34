"""Studio pictures in front of something: the one operation that looks at the rest of the batch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from arcwise.data.augment.draws import Keys, chosen, uniform

WHITE = 235.0
"""Darkest colour value that still counts as a white background."""


def fill_white(views: Tensor, planes: Tensor, probability: float, keys: Keys) -> Tensor:
    """(N, 3, H, W) views, the white around studio pictures replaced by another view of the batch.

    Args:
        views: cut from the pictures.
        planes: (N, 3, h, w) the whole pictures, which show what is a studio picture.
        probability: of a new backdrop, for each studio picture.
        keys: (N,), one a view.
    """
    drawn = torch.from_numpy(chosen(keys, "backdrop", probability)).to(views.device)
    rows = drawn[_on_white(planes)[drawn]]
    order = np.argsort(uniform(keys, "backdrop order"))
    after = np.empty_like(order)
    after[order] = np.roll(order, -1)  # everybody's backdrop is somebody else
    others = torch.from_numpy(after).to(views.device)[rows]
    white = ((views[rows].amin(1, keepdim=True) - WHITE) / (255 - WHITE) * 2).clamp(0, 1)
    return views.index_copy_(0, rows, views[rows] * (1 - white) + views[others] * white)


def _on_white(planes: Tensor) -> Tensor:
    """(N,) bool: whether nine tenths of a picture's rim are near white, as in a studio picture."""
    rim = [planes[:, :, 0], planes[:, :, -1], planes[:, :, :, 0], planes[:, :, :, -1]]
    return (torch.cat(rim, 2).amin(1) > WHITE).float().mean(1) > 0.9
