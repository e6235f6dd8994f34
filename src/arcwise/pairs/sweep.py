"""One pass over all pairs of a batch, some anchors at a time: value and gradient together.

Of the N×N cosines only the rows of one chunk exist at once. Each loss says what such rows add; how
it depends on the embeddings is settled here. Everything is float64: next to an encoder's step it
costs nothing, the angle of two nearly equal rows keeps its digits, and no autocast or TF32 reaches
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.gradients import with_gradient
from arcwise.sphere import snap, unit, wide


class Block(NamedTuple):
    """What K anchors, rows start..start+K-1 of the batch, see of all N rows.

    Attributes:
        start: the first anchor.
        cosines: (K, N).
        same: (K, N) bool, another row of the anchor's class.
        different: (K, N) bool, a row of another class; no row is without one.
    """

    start: int
    cosines: Tensor
    same: Tensor
    different: Tensor


Terms = Callable[[Block], list[tuple[Tensor, Tensor]]]
"""Sums over a block and how many values each has; the loss is the sum of their batch-wide means."""


def blocks(x: Tensor, labels: Tensor, chunk: int) -> Iterator[Block]:
    """The batch, `chunk` anchors at a time; x (N, D) of unit length, labels (N,)."""
    columns = torch.arange(len(x), device=x.device)
    for start in range(0, len(x), chunk):
        rows = columns[start : start + chunk, None]
        equal = labels[rows] == labels
        known = (labels[rows] >= 0) & (labels >= 0)
        cosines = snap(x[start : start + chunk] @ x.T)
        yield Block(start, cosines, equal & known & (rows != columns), ~equal & known)


def sweep(embeddings: Tensor, labels: Tensor, terms: Terms, chunk: int) -> Tensor:
    """The scalar loss whose terms these are, 0 where nothing counts, in float32 or float64."""
    x = directions(embeddings)
    loss, gradient = _measured(x.detach(), labels, terms, chunk, needed=x.requires_grad)
    if gradient is not None:
        loss = with_gradient(loss, x, gradient)
    return loss.to(wide(embeddings).dtype)


def directions(embeddings: Tensor) -> Tensor:
    """(N, D) → (N, D) float64 of unit length; a zero row stays zero: cosine 0 to all."""
    return unit(embeddings.double())[0]


def check(name: str, embeddings: Tensor, labels: Tensor, chunk: int) -> None:
    """Whether rows, labels and chunk can be swept."""
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


@dataclass
class _Term:
    """One of a loss's means so far, and the gradient of its sum."""

    total: Tensor
    count: Tensor
    gradient: Tensor | None


def _measured(
    x: Tensor, labels: Tensor, terms: Terms, chunk: int, *, needed: bool
) -> tuple[Tensor, Tensor | None]:
    """Loss and, where it is needed, gradient by x, found together so that no block is kept."""
    found: list[_Term] = []
    for block in blocks(x, labels, chunk):
        cosines = block.cosines.requires_grad_(needed)
        with torch.set_grad_enabled(needed):
            parts = terms(block)
        if not found:
            found = [_Term(x.new_zeros(()), x.new_zeros(()), None) for _ in parts]
        for term, (total, count) in zip(found, parts, strict=True):
            term.total += total.detach()
            term.count += count
            if needed:
                (slope,) = torch.autograd.grad(total, cosines, retain_graph=True)
                term.gradient = torch.zeros_like(x) if term.gradient is None else term.gradient
                term.gradient.addmm_(slope.T, x[block.start : block.start + len(slope)])
                term.gradient[block.start : block.start + len(slope)] += slope @ x
    loss = 0.0 * x.sum()  # a NaN in a row is a NaN here, for whoever watches the loss
    gradient = torch.zeros_like(x) if needed else None
    for term in found:
        loss = loss + term.total / term.count.clamp_min(1)
        if gradient is not None and term.gradient is not None:
            gradient += term.gradient / term.count.clamp_min(1)
    return loss, gradient
