"""Images to look at, and settings under which a view is the image itself."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from arcwise.data.augment import Augment, augment, view_keys

STILL = {
    "zoom": 1.0, "aspect": 0.0, "rotation": 0.0, "flip": 0.0,
    "brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0,
}  # fmt: skip
EVERYTHING = {
    "perspective": 0.4, "backdrop": 1.0, "cutout": 0.6, "blur": 0.6, "low_resolution": 0.6,
    "jpeg": 0.6,
}  # fmt: skip


def images(n=4, side=24, seed=0) -> Tensor:
    """Smooth colour images: noise would be at odds with any interpolation."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (n, 5, 5, 3), dtype=np.uint8)
    return torch.from_numpy(
        np.stack([cv2.resize(one, (side, side), interpolation=cv2.INTER_CUBIC) for one in small])
    )


def noise(n=4, side=24, seed=0) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (n, side, side, 3), dtype=np.uint8))


def keys(n, seed=0):
    return view_keys(seed, 0, range(n))


def views(pixels, side=None, seed=0, **settings) -> Tensor:
    side = side or pixels.shape[1]
    return augment(pixels, Augment(**STILL | settings), side, keys(len(pixels), seed))


def planes(pixels) -> Tensor:
    return pixels.permute(0, 3, 1, 2).float()
