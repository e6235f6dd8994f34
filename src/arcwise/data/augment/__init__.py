"""What training sees of a picture: a whole batch in batched tensor operations.

In the order of the world: where the camera stands, what is behind the thing, the light, what is in
front of it, the lens, the sensor, the file. Every number is drawn on the CPU from the view's own
key (`draws`), so the same seed gives the same views on any device; the costly operations are done
to those views only that they were drawn for.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from arcwise.data.augment.backdrop import fill_white
from arcwise.data.augment.colour import recolour
from arcwise.data.augment.degrade import blur, jpeg, lower_resolution
from arcwise.data.augment.draws import Keys, chosen, view_keys
from arcwise.data.augment.geometry import warp
from arcwise.data.augment.occlusion import occlude
from arcwise.data.augment.settings import Augment

__all__ = ["Augment", "augment", "view_keys"]

AFTER_LIGHT: dict[str, Callable[[Tensor, Keys], Tensor]] = {
    "cutout": occlude,
    "blur": blur,
    "low_resolution": lower_resolution,
    "jpeg": jpeg,
}
"""By the setting that is the operation's probability; in this order."""


@torch.no_grad()
def augment(pixels: Tensor, settings: Augment, size: int, keys: Keys) -> Tensor:
    """(N, h, w, 3) uint8 pictures → (N, 3, size, size) float32 views, 0 to 255.

    Args:
        pixels: RGB.
        settings: how much the views may differ from the pictures.
        size: height and width of the views.
        keys: (N,), from `view_keys`: a view depends on its picture and its key only, but for a
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
            done = operation(views[rows], keys[drawn])
            views.index_copy_(0, rows, done.clamp_(0, 255))  # sums of weights round
    return views
