"""The readable implementation: all N×C logits at once, differentiated by autograd."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from arcwise.margins import Margin, State
from arcwise.sphere import unit, wide


def dense(
    embeddings: Tensor, centres: Tensor, labels: Tensor, margin: Margin, scale: float, state: State
) -> Tensor:
    """The scalar loss of `arcwise.softmax.margin_softmax`, whose arguments these are."""
    with torch.autocast(embeddings.device.type, enabled=False):
        x, norm = unit(wide(embeddings))
        w, _ = unit(wide(centres))
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


def _linear(value: Tensor, slope: Tensor, variable: Tensor) -> Tensor:
    """A tensor with this value, whose derivative by the variable is this slope."""
    return value + slope * (variable - variable.detach())
