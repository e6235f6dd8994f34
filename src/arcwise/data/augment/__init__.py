"""What training sees of an image: views of a whole batch, in batched tensor operations.

The operations come in the order of the world: where the camera stands, what is behind the thing,
the light, what is in front of it, the lens, the sensor, the file. Every number is drawn on the CPU
from the view's own key (`draws`), so the same seed gives the same views on any device. A costly
operation is applied only to the views that it was drawn for.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from arcwise.data.augment.appearance import (
    blur,
    fill_white,
    jpeg,
    lower_resolution,
    occlude,
    recolour,
)
from arcwise.data.augment.draws import Keys, chosen, view_keys
from arcwise.data.augment.geometry import warp
from arcwise.data.augment.ranges import Augment

__all__ = ["Augment", "augment", "view_keys"]

AFTER_LIGHT: dict[str, Callable[[Tensor, Keys], Tensor]] = {
    "cutout": occlude,
    "blur": blur,
    "low_resolution": lower_resolution,
    "jpeg": jpeg,
}
"""By the setting that is the operation's probability, in the order of application."""


@torch.no_grad()
def augment(pixels: Tensor, settings: Augment, size: int, keys: Keys) -> Tensor:
    """(N, h, w, 3) uint8 images → (N, 3, size, size) float32 views, 0 to 255.

    Args:
        pixels: RGB.
        settings: how much the views may differ from the images.
        size: height and width of the views.
        keys: (N,), from `view_keys`. A view depends on its image and its key only, except for a
            new backdrop, which is another view of the batch.
    """
    planes = pixels.permute(0, 3, 1, 2).float()
    views = warp(planes, settings, size, keys)
    if settings.backdrop:
        views = fill_white(views, planes, settings.backdrop, keys)
    views = recolour(views, settings, keys)
    for name, operation in AFTER_LIGHT.items():
        drawn = chosen(keys, name, getattr(settings, name))
        if len(drawn):
            rows = torch.from_numpy(drawn).to(views.device)
            changed = operation(views[rows], keys[drawn])
            views.index_copy_(0, rows, changed.clamp_(0, 255))  # sums of weights round
    return views
