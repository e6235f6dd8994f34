"""One pass over all pairs of a batch, some anchors at a time: loss and gradient together.

Only the rows of one chunk of the N×N cosines exist at once. A loss states what the rows of a block
add to it. This file turns that into the loss of the batch and its gradient by the embeddings.
Everything is computed in float64: it costs nothing next to an encoder's step, the angle of two
nearly equal rows keeps its digits, and neither autocast nor TF32 changes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple, Protocol, get_args

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.gradients import with_gradient
from arcwise.sphere import angle, snap, unit, wide

Distance = Literal["angular", "euclidean"]


class PairLoss(Protocol):
    """A loss between the samples of a batch: a frozen dataclass that holds its numbers."""

    def loss(self, embeddings: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """(N, D), (N,) → the scalar loss, and the detached scalars for the log."""
        ...


class AnchorBlock(NamedTuple):
    """The pairs of K anchors, rows start..start+K-1 of the batch, with all N rows.

    Attributes:
        start: the first anchor.
        cosines: (K, N).
        same: (K, N) bool, another row of the anchor's class.
        different: (K, N) bool, a row of another class. Rows without a class are in no pair.
    """

    start: int
    cosines: Tensor
    same: Tensor
    different: Tensor


class BlockSums(NamedTuple):
    """What a block adds to a loss.

    Attributes:
        terms: a sum over the block and how many values are in it, for each term of the loss. The
            loss is the sum of the terms' means over the batch.
        counts: numbers for the log, added up over the blocks.
    """

    terms: list[tuple[Tensor, Tensor]]
    counts: dict[str, Tensor]


def pairwise_loss(
    embeddings: Tensor,
    labels: Tensor,
    sums: Callable[[AnchorBlock], BlockSums],
    chunk: int,
    groups: Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of a batch and its metrics.

    Args:
        embeddings: (N, D), of any length.
        labels: (N,) int64, -1 for a row without a class.
        sums: what a block adds.
        chunk: anchors at a time.
        groups: see `blocks`.

    Returns:
        The scalar in float32 or, for float64 embeddings, float64, 0 where no value is counted; and
        the counts as float32 scalars.
    """
    x = directions(embeddings)
    pairs = partial(blocks, x.detach(), labels, chunk, groups)
    loss, gradient, counts = _loss_and_gradient(x.detach(), pairs, sums, x.requires_grad)
    if gradient is not None:
        loss = with_gradient(loss, x, gradient)
    return loss.to(wide(embeddings).dtype), {name: one.float() for name, one in counts.items()}


def blocks(
    x: Tensor, labels: Tensor, chunk: int, groups: Tensor | None = None
) -> Iterator[AnchorBlock]:
    """Yield the batch, `chunk` anchors at a time; x (N, D) of unit length, labels (N,).

    With (N,) groups, only rows of two different groups are a pair, and a row of the group -1 is in
    none.
    """
    columns = torch.arange(len(x), device=x.device)
    for start in range(0, len(x), chunk):
        rows = columns[start : start + chunk, None]
        equal = labels[rows] == labels
        labelled = (labels[rows] >= 0) & (labels >= 0)
        if groups is not None:
            here = groups.to(x.device)
            labelled &= (here[rows] != here) & (here[rows] >= 0) & (here >= 0)
        cosines = snap(x[start : start + chunk] @ x.T)
        yield AnchorBlock(start, cosines, equal & labelled & (rows != columns), ~equal & labelled)


def directions(embeddings: Tensor) -> Tensor:
    """(N, D) → (N, D) float64 of unit length. A zero row stays zero and has cosine 0 to all."""
    return unit(embeddings.double())[0]


@dataclass
class _Term:
    """The running sums of one term, and the gradient of its total by x."""

    total: Tensor
    count: Tensor
    gradient: Tensor


def _loss_and_gradient(
    x: Tensor,
    pairs: Callable[[], Iterator[AnchorBlock]],
    sums: Callable[[AnchorBlock], BlockSums],
    with_gradients: bool,
) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
    """Return the loss, its gradient by x where it is needed, and the counts; keep no block."""
    terms: list[_Term] = []
    counts: dict[str, Tensor] = {}
    for block in pairs():
        cosines = block.cosines.requires_grad_(with_gradients)
        with torch.set_grad_enabled(with_gradients):
            added = sums(block)
        for name, number in added.counts.items():
            counts[name] = counts.get(name, 0) + number
        if not terms:
            shape = x.shape if with_gradients else (0,)
            terms = [_Term(x.new_zeros(()), x.new_zeros(()), x.new_zeros(shape)) for _ in added[0]]
        for term, (total, count) in zip(terms, added.terms, strict=True):
            term.total += total.detach()
            term.count += count
            if with_gradients:
                (slope,) = torch.autograd.grad(total, cosines, retain_graph=True)
                term.gradient.addmm_(slope.T, x[block.start : block.start + len(slope)])
                term.gradient[block.start : block.start + len(slope)] += slope @ x
    loss = 0.0 * x.sum()  # a NaN in a row is then a NaN of the loss, which training watches
    gradient = torch.zeros_like(x) if with_gradients else None
    for term in terms:
        loss = loss + term.total / term.count.clamp_min(1)
        if gradient is not None:
            gradient += term.gradient / term.count.clamp_min(1)
    return loss, gradient, counts


def distance_of(name: str, distance: str, *, squared: bool) -> Callable[[Tensor], Tensor]:
    """Return the function from cosines to distances; `squared` applies to the Euclidean ones."""
    if distance not in get_args(Distance):
        raise ArcwiseError(
            f'{name}: got distance={distance!r}; expected one of "angular", "euclidean"'
        )
    if distance == "angular":
        return angle
    return squared_chord if squared else chord


def squared_chord(cosines: Tensor) -> Tensor:
    """Return ‖a - b‖² = 2 - 2 cos θ of unit vectors, 0 to 4."""
    return 2 - 2 * cosines


def chord(cosines: Tensor) -> Tensor:
    """Return ‖a - b‖ of unit vectors, 0 to 2, with slope 0 where the two coincide, as `angle`."""
    fixed = cosines.detach()
    length = (2 - 2 * fixed).sqrt()
    slope = torch.where(length > 0, -1 / length, 0.0)
    return length + slope * (cosines - fixed)


def check_margin(name: str, margin: float) -> None:
    """Raise ArcwiseError unless the margin is a distance."""
    if not 0 <= margin < math.inf:
        raise ArcwiseError(f"{name}: got margin={margin!r}; expected a number not below 0")


def checked_labels(name: str, embeddings: Tensor, labels: Tensor, chunk: int) -> Tensor:
    """Return the labels on the embeddings' device; raise ArcwiseError if something does not fit.

    Labels on the CPU are checked there, so that no GPU is waited for.
    """
    if embeddings.ndim != 2 or not embeddings.is_floating_point() or not embeddings.shape[1]:
        raise ArcwiseError(
            f"{name}: got embeddings {tuple(embeddings.shape)} of {embeddings.dtype}; expected "
            "(N, D) of a float type"
        )
    if labels.shape != embeddings.shape[:1] or labels.dtype != torch.int64:
        raise ArcwiseError(
            f"{name}: got labels {tuple(labels.shape)} of {labels.dtype}; expected "
            f"({len(embeddings)},) of torch.int64, -1 for a row without a class"
        )
    if len(labels) and int(labels.min()) < -1:
        raise ArcwiseError(
            f"{name}: got label {int(labels.min())}; expected classes from 0, or -1 for none"
        )
    if chunk < 1:
        raise ArcwiseError(f"{name}: got chunk={chunk!r}; expected at least 1 anchor at a time")
    return labels.to(embeddings.device, non_blocking=True)
