"""What a bad lens, a small sensor and a small file make of a view.

Each takes the views that are to be degraded, all of them, and does to every one what its key says.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from arcwise.data.augment.draws import Keys, uniform

SIGMAS = (0.01, 0.03)
"""Of the blur, as parts of the view's side, drawn evenly on the logarithm."""
SHARES = (0.2, 1.0)
"""Of the side that a loss of resolution leaves, as in AdaFace (arXiv 2204.00964)."""
QUALITIES = (20.0, 95.0)


def blur(views: Tensor, keys: Keys) -> Tensor:
    """(N, 3, H, H) views out of focus."""
    from kornia.filters import gaussian_blur2d

    side = views.shape[2]
    low, high = (math.log(share * side) for share in SIGMAS)
    sigma = _column(np.exp(uniform(keys, "sigma", low, high)), views).expand(-1, 2)
    # One width for all, or the sharpest view would depend on the most blurred one beside it.
    width = 2 * math.ceil(3 * SIGMAS[1] * side) + 1
    return gaussian_blur2d(views, (width, width), sigma)


def lower_resolution(views: Tensor, keys: Keys) -> Tensor:
    """(N, 3, H, H) views shrunk and grown again.

    Both are linear along rows and columns, hence one H×H matrix a view: views of different
    resolutions in one batched product.
    """
    side = views.shape[2]
    sides = np.rint(uniform(keys, "share", *SHARES) * side).astype(int)
    maps = torch.stack([_down_and_up(side, int(small)) for small in sides])[:, None]
    maps = maps.to(views.device)
    return maps @ views @ maps.transpose(2, 3)


def jpeg(views: Tensor, keys: Keys) -> Tensor:
    """(N, 3, H, W) views with the artefacts of JPEG files; 4:2:0, the usual tables."""
    from kornia.enhance import jpeg_codec_differentiable

    quality = _column(uniform(keys, "quality", *QUALITIES), views)[:, 0]
    return jpeg_codec_differentiable(views / 255, quality).mul_(255)


def _column(numbers: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(numbers.astype(np.float32))[:, None].to(like.device)


@lru_cache(maxsize=512)
def _down_and_up(side: int, small: int) -> Tensor:
    """(side, side): a column of pixels averaged down to a few, and interpolated up again."""
    impulses = torch.eye(side)[None]
    fewer = functional.interpolate(impulses, size=small, mode="area")
    return functional.interpolate(fewer, size=side, mode="linear", align_corners=False)[0].T
