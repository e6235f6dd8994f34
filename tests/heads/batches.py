"""Heads and batches, the same every time."""

from __future__ import annotations

import torch

from arcwise.heads import CentreHead
from arcwise.margins import ArcFace

C, D, N = 11, 6, 8


def head(margin=None, *, seed=0, dtype=torch.float64, **options) -> CentreHead:
    """A head over C classes; the same centres for the same seed and sub-centres."""
    made = CentreHead(
        C, D, margin=margin or ArcFace(0.3), scale=options.pop("scale", 8.0), **options
    )
    with torch.no_grad():
        generator = torch.Generator().manual_seed(seed)
        made.centres.copy_(torch.randn(made.centres.shape, generator=generator))
    return made.to(dtype)


def batch(step=0, dtype=torch.float64, n=N):
    """(x, y) of this step; x wants a gradient."""
    generator = torch.Generator().manual_seed(1000 + step)
    x = torch.randn(n, D, generator=generator, dtype=torch.float64).to(dtype)
    return x.requires_grad_(), torch.randint(0, C, (n,), generator=generator)
