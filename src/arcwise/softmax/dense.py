"""The readable implementation: all N×C logits at once, differentiated by autograd."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from arcwise.margins import Margin, State
from arcwise.sphere import unit


def dense(
    embeddings: Tensor,
    centres: Tensor,
    labels: Tensor,
    margin: Margin,
    scale: float,
    state: State,
    offsets: Tensor | None = None,
) -> Tensor:
    """The scalar loss of `arcwise.softmax.margin_softmax`, whose arguments these are."""
    dtype = torch.promote_types(torch.promote_types(embeddings.dtype, centres.dtype), torch.float32)
    with torch.autocast(embeddings.device.type, enabled=False):
        rows = torch.nonzero(labels >= 0).squeeze(1)
        labels = labels[rows]
        x, norm = unit(embeddings[rows].to(dtype))
        w, _ = unit(centres.reshape(-1, centres.shape[-1]).to(dtype))
        cosines = (x @ w.T).view(len(rows), *centres.shape[:-1])
        if centres.ndim == 3:
            cosines = cosines.max(2).values  # of equal ones, one learns
        cos = cosines.gather(1, labels[:, None]).squeeze(1)

        value, slope, norm_slope = margin.target(cos.detach(), norm.detach(), state)
        target = _linear(value, slope, cos)
        if norm_slope is not None:
            target = target + norm_slope * (norm - norm.detach())
        others, others_slope = margin.others(cosines.detach(), value, state)
        if others_slope is not None:
            cosines = _linear(others, others_slope, cosines)
        logits = scale * cosines
        if offsets is not None:
            logits = logits + offsets
        logits = logits.scatter(1, labels[:, None], scale * target[:, None])
        loss = functional.cross_entropy(logits, labels, reduction="sum")
        penalty = margin.penalty(norm.detach())
        if penalty is not None:
            loss = loss + _linear(*penalty, norm).sum()
        return loss / max(len(rows), 1)


def _linear(value: Tensor, slope: Tensor, variable: Tensor) -> Tensor:
    """A tensor with this value, whose derivative by the variable is this slope."""
    return value + slope * (variable - variable.detach())
