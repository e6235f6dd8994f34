"""Something in front: a rectangle of the view that shows nothing (arXiv 1708.04552)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from arcwise.data.augment.draws import Keys, uniform


def occlude(views: Tensor, keys: Keys) -> Tensor:
    """(N, 3, H, W) views, a rectangle of each covered by the view's mean colour."""
    height, width = views.shape[2:]
    tall, wide = (uniform(keys, name, 0.15, 0.45) for name in ("cutout height", "cutout width"))
    y, x = uniform(keys, "cutout y"), uniform(keys, "cutout x")
    rows = np.abs((np.arange(height) + 0.5) / height - y[:, None]) < tall[:, None] / 2
    cols = np.abs((np.arange(width) + 0.5) / width - x[:, None]) < wide[:, None] / 2
    covered = torch.from_numpy(rows[:, None, :, None] & cols[:, None, None, :]).to(views.device)
    return torch.where(covered, views.mean((2, 3), keepdim=True), views)
