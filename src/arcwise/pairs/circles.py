"""The circle loss: similarities far from where they should be are moved faster."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.pairs.distances import check_margin
from arcwise.pairs.sweep import Block, check, sweep


def circle(
    embeddings: Tensor,
    labels: Tensor,
    *,
    margin: float = 0.25,
    scale: float = 256.0,
    chunk: int = 256,
) -> Tensor:
    """Mean over anchors of log( 1 + Σ_n e^{γ α_n (s_n - m)} Σ_p e^{-γ α_p (s_p - 1 + m)} ).

    Sun et al., CVPR 2020 (arXiv 2002.10857), equations 6 to 8, s the cosines, with weights
    α_p = max(0, 1 + m - s_p) and α_n = max(0, s_n + m) that are constants to the gradient: it is
    the published one and not the derivative of the value. Anchors count that have both a positive
    and a negative.

    Args:
        embeddings: (N, D), any float type, any length; directions are what counts.
        labels: (N,) int64, -1 for a row without a class, which is in no pair.
        margin: m, the relaxation; the defaults are the paper's for faces.
        scale: γ.
        chunk: anchors at a time; memory is chunk×N, and the loss does not depend on it.

    Returns:
        A scalar in float32 or, for float64 embeddings, float64; 0 with gradient 0 where no anchor
        counts. A zero row has cosine 0 to everything and gradient 0.

    Raises:
        ArcwiseError: shapes, labels or options that do not fit.
    """
    check("circle", embeddings, labels, chunk)
    check_margin("circle", margin)
    if not 0 < scale < math.inf:
        raise ArcwiseError(f"circle: got scale={scale!r}; expected a positive number")

    def terms(block: Block) -> list[tuple[Tensor, Tensor]]:
        counted = block.same.any(1) & block.different.any(1)
        cosines = block.cosines[counted]
        fixed = cosines.detach()
        pull = -scale * (1 + margin - fixed).relu() * (cosines - (1 - margin))
        push = scale * (fixed + margin).relu() * (cosines - margin)
        both = torch.logsumexp(pull.masked_fill(~block.same[counted], -math.inf), 1)
        both = both + torch.logsumexp(push.masked_fill(~block.different[counted], -math.inf), 1)
        return [(torch.logaddexp(both, torch.zeros_like(both)).sum(), counted.sum())]

    return sweep(embeddings, labels, terms, chunk)
