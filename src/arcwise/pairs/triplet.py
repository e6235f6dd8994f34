"""The triplet loss, in angles or in distances, and the mining of its triplets."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.pairs.pairwise import (
    AnchorBlock,
    BlockSums,
    Distance,
    blocks,
    check_margin,
    checked_labels,
    directions,
    distance_of,
    pairwise_loss,
)

Mining = Literal["semi-hard", "hard"]


@dataclass(frozen=True)
class Triplet:
    """Mean of max(0, d_ap - d_an + margin) over triplets of anchor, positive and negative.

    With angles, d = θ (ArcFace, arXiv 1801.07698, equation 7); with ``"euclidean"``, d = ‖a - b‖²
    of the rows at unit length (FaceNet, arXiv 1503.03832, equation 2). Both order pairs alike;
    their margins are not alike.

    The mean is over the *active* triplets, those that add something. So a batch that has collapsed
    into one point gives exactly the margin, except under ``"semi-hard"``: there it gives 0, since
    no negative is then farther than the positive.

    Attributes:
        margin: in radians or, for ``"euclidean"``, of squared distances, which go from 0 to 4.
            The default is that of ArcFace's table, 0.35 rad.
        distance: ``"angular"`` or ``"euclidean"``.
        mining: ``"semi-hard"`` or ``"hard"``, see `mine`; or ``"all"``: every anchor with every
            other row of its class and every row of another.
        mean: over the ``"active"`` triplets or over ``"all"`` that were mined.
    """

    margin: float = 0.35
    distance: Distance = "angular"
    mining: Mining | Literal["all"] = "semi-hard"
    mean: Literal["active", "all"] = "active"

    def __post_init__(self) -> None:
        check_margin("Triplet", self.margin)
        distance_of("Triplet", self.distance, squared=True)
        if self.mining not in ("semi-hard", "hard", "all"):
            raise ArcwiseError(
                f'Triplet: got mining={self.mining!r}; expected one of "semi-hard", "hard", "all"'
            )
        if self.mean not in ("active", "all"):
            raise ArcwiseError(f'Triplet: got mean={self.mean!r}; expected one of "active", "all"')

    def loss(
        self,
        embeddings: Tensor,
        labels: Tensor,
        *,
        groups: Tensor | None = None,
        triplets: Tensor | None = None,
        generator: torch.Generator | None = None,
        chunk: int = 256,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, and how many triplets there were and were active.

        Args:
            embeddings: (N, D), any float type, any length; directions are what counts.
            labels: (N,) int64, -1 for a row without a class, which is in no triplet.
            groups: (N,) int64, of which positive and negative have another than the anchor, such
                as the domain of an image; -1 for a row that is in no triplet. Not given, any row
                may be in one.
            triplets: (T, 3) int64 rows, as `mine` returns them, instead of mining; the labels then
                have no effect.
            generator: for the semi-hard draws, torch's global one by default; see `mine`.
            chunk: anchors at a time; memory is chunk×N, and the loss does not depend on it.

        Returns:
            A scalar in float32 or, for float64 embeddings, float64, 0 with gradient 0 where there
            is no triplet; and ``triplets`` and ``active_triplets``. A zero row is at 90° to
            everything and has gradient 0.

        Raises:
            ArcwiseError: shapes, labels or triplets that do not fit.
        """
        labels = checked_labels("Triplet", embeddings, labels, chunk)
        if triplets is not None:
            sums = self._sums_of(_checked(triplets, labels))
        elif self.mining == "all":
            sums = self._sums_of_all()
        else:
            mined = mine(
                embeddings,
                labels,
                margin=self.margin,
                distance=self.distance,
                mining=self.mining,
                generator=generator,
                chunk=chunk,
                groups=groups,
            )
            sums = self._sums_of(mined)
        return pairwise_loss(embeddings, labels, sums, chunk, groups)

    def _sums_of(self, triplets: Tensor) -> Callable[[AnchorBlock], BlockSums]:
        """Return the sums over given triplets, (T, 3), each in the block of its anchor."""
        measure = distance_of("Triplet", self.distance, squared=True)
        anchors, order = triplets[:, 0].sort()
        positives, negatives = triplets[order, 1], triplets[order, 2]

        def sums(block: AnchorBlock) -> BlockSums:
            ends = torch.tensor([block.start, block.start + len(block.cosines)])
            first, last = torch.searchsorted(anchors, ends.to(anchors.device)).tolist()
            part = slice(first, last)
            rows = anchors[part] - block.start
            near = measure(block.cosines[rows, positives[part]])
            far = measure(block.cosines[rows, negatives[part]])
            loss = (near + self.margin - far).relu()
            return self._mean(loss.sum(), torch.ones_like(rows).sum(), (loss > 0).sum())

        return sums

    def _sums_of_all(self) -> Callable[[AnchorBlock], BlockSums]:
        """Return the sums over all triplets, without making them.

        With an anchor's negatives in order, those closer than d_ap + margin are the first k, and
        their hinges sum to k (d_ap + margin) less the sum of the first k distances.
        """
        measure = distance_of("Triplet", self.distance, squared=True)

        def sums(block: AnchorBlock) -> BlockSums:
            far = measure(block.cosines)
            ordered = far.masked_fill(~block.different, math.inf).sort(1).values
            first = torch.cat([torch.zeros_like(far[:, :1]), ordered.cumsum(1)], 1)
            reach = far + self.margin
            active = torch.searchsorted(ordered, reach) * block.same
            total = (active * reach - first.gather(1, active)).sum()
            every = (block.same.sum(1) * block.different.sum(1)).sum()
            return self._mean(total, every, active.sum())

        return sums

    def _mean(self, total: Tensor, every: Tensor, active: Tensor) -> BlockSums:
        counted = active if self.mean == "active" else every
        return BlockSums([(total, counted)], {"triplets": every, "active_triplets": active})


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
    groups: Tensor | None = None,
) -> Tensor:
    """Return triplets (T, 3) int64 of rows: anchor, positive, negative; by anchor and positive.

    ``"semi-hard"`` (FaceNet, arXiv 1503.03832, section 3.2; the selection as insightface and
    facenet write it): for each anchor and each *later* row of its class, one negative drawn
    uniformly from those with d_ap < d_an < d_ap + margin; the pair is left out where there is
    none. Rows that all coincide have no such negative: a collapsed batch gives no triplet at all.

    ``"hard"`` (batch-hard, Hermans et al., arXiv 1703.07737, equation 5): for each anchor its
    farthest positive and its nearest negative; `margin` has no effect.

    Triplets may be mined in a bag larger than a training batch: embed it without gradients, mine,
    then train on the chosen images with `Triplet.loss`, giving it the triplets.

    Args:
        embeddings: (N, D), any float type, any length.
        labels: (N,) int64, -1 for a row without a class, which is in no triplet.
        margin: in radians, or of squared distances; see `Triplet`.
        distance: ``"angular"`` or ``"euclidean"``; see `Triplet`.
        mining: ``"semi-hard"`` or ``"hard"``.
        generator: for the semi-hard draws, torch's global one by default. They are drawn on the
            generator's device, the CPU by default, one for each anchor and positive, whatever the
            embeddings' device and the chunk: the same seed gives the same triplets.
        chunk: anchors at a time; memory is chunk×N, and the result does not depend on it.
        groups: (N,) int64, see `Triplet.loss`.

    Raises:
        ArcwiseError: shapes, labels or options that do not fit.
    """
    labels = checked_labels("mine", embeddings, labels, chunk)
    check_margin("mine", margin)
    measure = distance_of("mine", distance, squared=True)
    if mining not in get_args(Mining):
        raise ArcwiseError(f'mine: got mining={mining!r}; expected one of "semi-hard", "hard"')
    x = directions(embeddings)
    mined = [torch.empty((0, 3), dtype=torch.int64, device=x.device)]
    draws = _draws(labels, generator) if mining == "semi-hard" else labels
    for block in blocks(x, labels, chunk, groups):
        if mining == "hard":
            mined.append(_hard(block, measure))
        else:
            triplets, draws = _semi_hard(block, measure, margin, draws)
            mined.append(triplets)
    return torch.cat(mined)


def _hard(block: AnchorBlock, measure: Callable[[Tensor], Tensor]) -> Tensor:
    far = measure(block.cosines)
    rows = torch.nonzero(block.same.any(1) & block.different.any(1)).squeeze(1)
    positive = far[rows].masked_fill(~block.same[rows], -math.inf).argmax(1)
    negative = far[rows].masked_fill(~block.different[rows], math.inf).argmin(1)
    return torch.stack([rows + block.start, positive, negative], 1)


def _semi_hard(
    block: AnchorBlock, measure: Callable[[Tensor], Tensor], margin: float, draws: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the block's triplets and the draws that are left.

    With an anchor's negatives in order of distance, its candidates lie next to one another.
    """
    far = measure(block.cosines)
    ordered, order = far.masked_fill(~block.different, math.inf).sort(1)
    later = block.same.triu(block.start + 1)  # the same class, and after the anchor in the batch
    rows, positive = torch.nonzero(later, as_tuple=True)
    first = torch.searchsorted(ordered, far, right=True)[rows, positive]
    candidates = torch.searchsorted(ordered, far + margin)[rows, positive] - first
    chosen = first + (draws[: len(rows)] * candidates).long()
    kept = candidates > 0
    rows, positive, chosen = rows[kept], positive[kept], chosen[kept]
    triplets = torch.stack([rows + block.start, positive, order[rows, chosen]], 1)
    return triplets, draws[len(kept) :]


def _draws(labels: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return a number in [0, 1) for each anchor and later row of its class."""
    counts = torch.unique(labels[labels >= 0], return_counts=True)[1]
    pairs = int((counts * (counts - 1) // 2).sum())
    device = generator.device if generator is not None else "cpu"
    drawn = torch.rand(pairs, generator=generator, dtype=torch.float64, device=device)
    return drawn.to(labels.device)


def _checked(triplets: Tensor, labels: Tensor) -> Tensor:
    if triplets.ndim != 2 or triplets.shape[1] != 3 or triplets.dtype != torch.int64:
        raise ArcwiseError(
            f"Triplet: got triplets {tuple(triplets.shape)} of {triplets.dtype}; expected (T, 3) "
            "of torch.int64: anchor, positive, negative"
        )
    if len(triplets) and not 0 <= int(triplets.min()) <= int(triplets.max()) < len(labels):
        raise ArcwiseError(
            f"Triplet: got triplets with rows {int(triplets.min())} to {int(triplets.max())}; "
            f"expected 0 to {len(labels) - 1}, the rows of the embeddings"
        )
    return triplets.to(labels.device)
