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
    """Return the scalar loss of `arcwise.softmax.margin_softmax`, whose arguments these are."""
    dtype = torch.promote_types(torch.promote_types(embeddings.dtype, centres.dtype), torch.float32)
    with torch.autocast(embeddings.device.type, enabled=False):
        labels = labels.to(embeddings.device)
        rows = torch.nonzero(labels >= 0).squeeze(1)
        labels = labels[rows]
        x, norm = unit(embeddings[rows].to(dtype))
        w, _ = unit(centres.reshape(-1, centres.shape[-1]).to(dtype))
        cosines = (x @ w.T).view(len(rows), *centres.shape[:-1])
        if centres.ndim == 3:
            cosines = cosines.max(2).values  # of equal ones, one learns
        cos = cosines.gather(1, labels[:, None]).squeeze(1)

        psi, derivative, norm_derivative = margin.target(cos.detach(), norm.detach(), state)
        target = _linear(psi, derivative, cos)
        if norm_derivative is not None:
            target = target + norm_derivative * (norm - norm.detach())
        negatives, negatives_derivative = margin.negatives(cosines.detach(), psi, state)
        if negatives_derivative is not None:
            cosines = _linear(negatives, negatives_derivative, cosines)
        logits = scale * cosines
        if offsets is not None:
            logits = logits + offsets
        logits = logits.scatter(1, labels[:, None], scale * target[:, None])
        loss = functional.cross_entropy(logits, labels, reduction="sum")
        penalty = margin.penalty(norm.detach())
        if penalty is not None:
            loss = loss + _linear(*penalty, norm).sum()
        return loss / max(len(rows), 1)


def _linear(value: Tensor, derivative: Tensor, variable: Tensor) -> Tensor:
    """Return a tensor with this value and this derivative by the variable."""
    return value + derivative * (variable - variable.detach())
