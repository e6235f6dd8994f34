"""The triplet loss, in angles or in distances."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.pairs.distances import Distance, check_margin, distance_of
from arcwise.pairs.mining import Mining, mine
from arcwise.pairs.sweep import Block, Terms, check, sweep


def triplet(
    embeddings: Tensor,
    labels: Tensor,
    *,
    margin: float,
    distance: Distance = "angular",
    mining: Literal["all"] | Mining | Tensor = "semi-hard",
    mean: Literal["active", "all"] = "active",
    generator: torch.Generator | None = None,
    chunk: int = 256,
) -> Tensor:
    """Mean of max(0, d_ap - d_an + margin) over triplets of anchor, positive and negative.

    With angles, d = θ (ArcFace, arXiv 1801.07698, equation 7); with ``"euclidean"``, d = ‖a - b‖²
    of the rows at unit length (FaceNet, arXiv 1503.03832, equation 2). Both order pairs alike;
    their margins are not alike.

    The mean is over the *active* triplets, those that add something. So a batch that has collapsed
    into one point gives exactly the margin, except under ``"semi-hard"``: there it gives 0, since
    no negative is then farther than the positive.

    Args:
        embeddings: (N, D), any float type, any length; directions are what counts.
        labels: (N,) int64, -1 for a row without a class, which is in no triplet.
        margin: in radians or, for ``"euclidean"``, of squared distances, which go from 0 to 4.
            The table of ArcFace has 0.35 rad.
        distance: ``"angular"`` or ``"euclidean"``.
        mining: ``"semi-hard"`` or ``"hard"``, see `mine`; ``"all"``: every anchor with every other
            row of its class and every row of another; or the triplets themselves, (T, 3) int64
            rows as `mine` returns them, which the labels then have no say in.
        mean: over the ``"active"`` triplets or over ``"all"`` that were mined.
        generator: of the semi-hard draws, torch's global one by default; see `mine`.
        chunk: anchors at a time; memory is chunk×N, and the loss does not depend on it.

    Returns:
        A scalar in float32 or, for float64 embeddings, float64; 0 with gradient 0 where there is
        no triplet. A zero row is at 90° to everything and has gradient 0.

    Raises:
        ArcwiseError: shapes, labels or options that do not fit.
    """
    check("triplet", embeddings, labels, chunk)
    check_margin("triplet", margin)
    measure = distance_of("triplet", distance, squared=True)
    if mean not in ("active", "all"):
        raise ArcwiseError(f'triplet: got mean={mean!r}; expected one of "active", "all"')
    if isinstance(mining, Tensor):
        terms = _given(_checked(mining, labels), measure, margin, mean)
    elif mining == "all":
        terms = _every(measure, margin, mean)
    elif mining in ("semi-hard", "hard"):
        chosen = mine(
            embeddings,
            labels,
            margin=margin,
            distance=distance,
            mining=mining,
            generator=generator,
            chunk=chunk,
        )
        terms = _given(chosen, measure, margin, mean)
    else:
        raise ArcwiseError(
            f'triplet: got mining={mining!r}; expected one of "semi-hard", "hard", "all"'
        )
    return sweep(embeddings, labels, terms, chunk)


def _given(
    triplets: Tensor, measure: Callable[[Tensor], Tensor], margin: float, mean: str
) -> Terms:
    """The loss of chosen triplets, (T, 3), each in the block of its anchor."""
    anchors, order = triplets[:, 0].sort()
    positives, negatives = triplets[order, 1], triplets[order, 2]

    def terms(block: Block) -> list[tuple[Tensor, Tensor]]:
        ends = torch.tensor([block.start, block.start + len(block.cosines)], device=anchors.device)
        start, stop = torch.searchsorted(anchors, ends).tolist()
        here = slice(start, stop)
        rows = anchors[here] - block.start
        near = measure(block.cosines[rows, positives[here]])
        far = measure(block.cosines[rows, negatives[here]])
        loss = (near + margin - far).relu()
        counted = loss > 0 if mean == "active" else torch.ones_like(rows)
        return [(loss.sum(), counted.sum())]

    return terms


def _every(measure: Callable[[Tensor], Tensor], margin: float, mean: str) -> Terms:
    """The loss of all triplets, without making them.

    With an anchor's negatives in order, those closer than d_ap + margin are the first k, and
    their hinges sum to k (d_ap + margin) less the sum of the first k distances.
    """

    def terms(block: Block) -> list[tuple[Tensor, Tensor]]:
        far = measure(block.cosines)
        ordered = far.masked_fill(~block.different, math.inf).sort(1).values
        first = torch.cat([torch.zeros_like(far[:, :1]), ordered.cumsum(1)], 1)
        reach = far + margin
        active = torch.searchsorted(ordered, reach) * block.same
        total = (active * reach - first.gather(1, active)).sum()
        counted = active if mean == "active" else block.same.sum(1) * block.different.sum(1)
        return [(total, counted.sum())]

    return terms


def _checked(triplets: Tensor, labels: Tensor) -> Tensor:
    if triplets.ndim != 2 or triplets.shape[1] != 3 or triplets.dtype != torch.int64:
        raise ArcwiseError(
            f"triplet: got mining {tuple(triplets.shape)} of {triplets.dtype}; expected (T, 3) of "
            "torch.int64: anchor, positive, negative"
        )
    if len(triplets) and not 0 <= int(triplets.min()) <= int(triplets.max()) < len(labels):
        raise ArcwiseError(
            f"triplet: got mining with rows {int(triplets.min())} to {int(triplets.max())}; "
            f"expected 0 to {len(labels) - 1}, the rows of the embeddings"
        )
    return triplets.to(labels.device)
