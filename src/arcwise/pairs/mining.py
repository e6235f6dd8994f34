"""Which triplets of a batch are worth learning from."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.pairs.distances import Distance, check_margin, distance_of
from arcwise.pairs.sweep import Block, blocks, check, directions

Mining = Literal["semi-hard", "hard"]


@torch.no_grad()
def mine(
    embeddings: Tensor,
    labels: Tensor,
    *,
    margin: float,
    distance: Distance = "angular",
    mining: Mining = "semi-hard",
    generator: torch.Generator | None = None,
    chunk: int = 256,
) -> Tensor:
    """Triplets (T, 3) int64 of rows: anchor, positive, negative; ordered by anchor and positive.

    ``"semi-hard"`` (FaceNet, arXiv 1503.03832, section 3.2; the selection as insightface and
    facenet write it): for each anchor and each *later* row of its class, one negative drawn
    uniformly from those with d_ap < d_an < d_ap + margin; the pair is left out where there is
    none. Rows that all coincide have no such negative: a collapsed batch gives no triplet at all.

    ``"hard"`` (batch-hard, Hermans et al., arXiv 1703.07737, equation 5): for each anchor its
    farthest positive and its nearest negative; `margin` has no say in it.

    A bag larger than a training batch may be mined so: embed it without gradients, mine, then
    train on the chosen images with `triplet`, giving it the triplets as `mining`.

    Args:
        embeddings: (N, D), any float type, any length.
        labels: (N,) int64, -1 for a row without a class, which is in no triplet.
        margin: in radians, or of squared distances; see `triplet`.
        distance: ``"angular"`` or ``"euclidean"``; see `triplet`.
        mining: ``"semi-hard"`` or ``"hard"``.
        generator: of the semi-hard draws, torch's global one by default. They are drawn on the
            generator's device, the CPU by default, one for each anchor and positive, whatever the
            embeddings' device and the chunk: the same seed is the same choice.
        chunk: anchors at a time; memory is chunk×N, and the result does not depend on it.

    Raises:
        ArcwiseError: shapes, labels or options that do not fit.
    """
    check("mine", embeddings, labels, chunk)
    check_margin("mine", margin)
    measure = distance_of("mine", distance, squared=True)
    if mining not in ("semi-hard", "hard"):
        raise ArcwiseError(f'mine: got mining={mining!r}; expected one of "semi-hard", "hard"')
    x = directions(embeddings)
    found = [torch.empty((0, 3), dtype=torch.int64, device=x.device)]
    draws = _draws(labels, generator) if mining == "semi-hard" else labels
    for block in blocks(x, labels, chunk):
        if mining == "hard":
            found.append(_hard(block, measure))
        else:
            triplets, draws = _semi_hard(block, measure, margin, draws)
            found.append(triplets)
    return torch.cat(found)


def _hard(block: Block, measure: Callable[[Tensor], Tensor]) -> Tensor:
    far = measure(block.cosines)
    rows = torch.nonzero(block.same.any(1) & block.different.any(1)).squeeze(1)
    positive = far[rows].masked_fill(~block.same[rows], -math.inf).argmax(1)
    negative = far[rows].masked_fill(~block.different[rows], math.inf).argmin(1)
    return torch.stack([rows + block.start, positive, negative], 1)


def _semi_hard(
    block: Block, measure: Callable[[Tensor], Tensor], margin: float, draws: Tensor
) -> tuple[Tensor, Tensor]:
    """The block's triplets and the draws it left. With negatives in order, candidates are a run."""
    far = measure(block.cosines)
    ordered, order = far.masked_fill(~block.different, math.inf).sort(1)
    rows, positive = torch.nonzero(_later(block), as_tuple=True)
    first = torch.searchsorted(ordered, far, right=True)[rows, positive]
    candidates = torch.searchsorted(ordered, far + margin)[rows, positive] - first
    chosen = first + (draws[: len(rows)] * candidates).long()
    kept = candidates > 0
    rows, positive, chosen = rows[kept], positive[kept], chosen[kept]
    triplets = torch.stack([rows + block.start, positive, order[rows, chosen]], 1)
    return triplets, draws[len(kept) :]


def _later(block: Block) -> Tensor:
    """(K, N) bool: the same class, and after the anchor in the batch."""
    return block.same.triu(block.start + 1)


def _draws(labels: Tensor, generator: torch.Generator | None) -> Tensor:
    """In [0, 1), one for each anchor and later row of its class."""
    counts = torch.unique(labels[labels >= 0], return_counts=True)[1]
    pairs = int((counts * (counts - 1) // 2).sum())
    device = generator.device if generator is not None else "cpu"
    drawn = torch.rand(pairs, generator=generator, dtype=torch.float64, device=device)
    return drawn.to(labels.device)
