"""The readable implementation: all N×C logits at once, differentiated by autograd."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from arcwise.margins import Margin, State

TINY = 1e-30
"""Largest component under which a row counts as zero: its direction is noise."""


def dense(
    embeddings: Tensor, centres: Tensor, labels: Tensor, margin: Margin, scale: float, state: State
) -> Tensor:
    """The scalar loss of `arcwise.softmax.margin_softmax`, whose arguments these are."""
    with torch.autocast(embeddings.device.type, enabled=False):
        x, norm = unit(_wide(embeddings))
        w, _ = unit(_wide(centres))
        rows = torch.nonzero(labels >= 0).squeeze(1)
        x, norm, labels = x[rows], norm[rows], labels[rows]

        cosines = x @ w.T
        cos = cosines.gather(1, labels[:, None]).squeeze(1)
        value, slope, norm_slope = margin.target(cos.detach(), norm.detach(), state)
        target = _linear(value, slope, cos)
        if norm_slope is not None:
            target = target + norm_slope * (norm - norm.detach())
        other, other_slope = margin.others(cosines.detach(), value, state)
        if other_slope is not None:
            cosines = _linear(other, other_slope, cosines)
        logits = scale * cosines.scatter(1, labels[:, None], target[:, None])
        loss = functional.cross_entropy(logits, labels, reduction="sum")
        return loss / max(len(rows), 1)


def unit(rows: Tensor) -> tuple[Tensor, Tensor]:
    """(N, D) → the rows at unit length, (N, D), and their lengths, (N,).

    Dividing by the largest component first keeps the squares of huge and tiny rows finite; being
    constant to autograd it changes no gradient, since a direction has no length. A zero row stays
    zero and has gradient zero.
    """
    largest = rows.detach().abs().amax(1, keepdim=True)
    alive = ~(largest <= TINY)  # a NaN is not zero: it stays one, for whoever watches the loss
    scaled = torch.where(alive, rows / torch.where(alive, largest, 1.0), 0.0)
    length = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
    directions = torch.where(alive, scaled / torch.where(alive, length, 1.0), 0.0)
    return directions, (length * largest).squeeze(1)


def _wide(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _linear(value: Tensor, slope: Tensor, variable: Tensor) -> Tensor:
    """A tensor with this value, whose derivative by the variable is this slope."""
    return value + slope * (variable - variable.detach())
