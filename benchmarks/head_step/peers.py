"""What other codes compute for the same loss, operation by operation, on plain tensors.

`partial_fc` is the sequence of arcface_torch's PartialFC_V2 with CombinedMarginLoss(s, 1, m, 0) and
its own cross-entropy (deepinsight/insightface, read in its public source), on one process: the
gathers and reductions between processes are left out. `gather` is the cheapest plain form.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def gather(x: Tensor, weight: Tensor, labels: Tensor, *, margin: float, scale: float) -> Tensor:
    """The margin on the gathered target cosines only; autograd does the rest."""
    cosines = functional.linear(functional.normalize(x), functional.normalize(weight))
    target = cosines.gather(1, labels[:, None])
    sine = (1 - target * target).clamp_min(1e-12).sqrt()
    value = target * math.cos(margin) - sine * math.sin(margin)
    value = torch.where(
        target > -math.cos(margin), value, target - margin * math.sin(math.pi - margin)
    )
    logits = scale * cosines.scatter(1, labels[:, None], value)
    return functional.cross_entropy(logits, labels)


def plain_softmax(
    x: Tensor, weight: Tensor, labels: Tensor, *, margin: float, scale: float
) -> Tensor:
    """Chunked linear_cross_entropy of torch on scaled cosines; no margin is paid."""
    return functional.linear_cross_entropy(
        scale * functional.normalize(x),
        functional.normalize(weight),
        labels,
        options=torch.nn.LinearCrossEntropyOptions(),
    )


def compiled_gather(x: Tensor, weight: Tensor, labels: Tensor, **settings: float) -> Tensor:
    """`gather` by torch.compile."""
    return _compiled()(x, weight, labels, **settings)


@cache
def _compiled() -> Any:
    return torch.compile(gather, dynamic=False)


def partial_fc(
    x: Tensor,
    weight: Tensor,
    labels: Tensor,
    *,
    margin: float,
    scale: float,
    rate: float,
    autocast: torch.dtype | None = None,
) -> Tensor:
    """PartialFC_V2: the classes of this step, cosines, margin, its own cross-entropy.

    At a rate below 1 the centres of the step are gathered, so that autograd scatters their
    gradient into a full (C, D) one, which SGD then applies to all.
    """
    labels = labels.view(-1, 1).clone()
    positive = labels >= 0
    if rate < 1:
        weight = weight[_sample(len(weight), labels, positive, rate)]
    with torch.autocast(x.device.type, autocast, enabled=autocast is not None):
        logits = functional.linear(functional.normalize(x), functional.normalize(weight))
    logits = logits.float().clamp(-1, 1)
    return _CrossEntropy.apply(_combined_margin(logits, labels, margin, scale), labels)


def _sample(classes: int, labels: Tensor, positive: Tensor, rate: float) -> Tensor:
    """The step's classes, sorted: those present, and random ones. Renumbers the labels."""
    with torch.no_grad():
        present = torch.unique(labels[positive], sorted=True)
        requested = int(rate * classes)
        index = present
        if requested >= len(present):
            chance = torch.rand(classes, device=labels.device)
            chance[present] = 2.0
            index = torch.topk(chance, k=requested)[1].sort()[0]
        labels[positive] = torch.searchsorted(index, labels[positive])
        return index


def _combined_margin(logits: Tensor, labels: Tensor, margin: float, scale: float) -> Tensor:
    """Angles of all cosines and back, the target's enlarged; its derivative is taken as 1."""
    rows = torch.where(labels != -1)[0]
    columns = labels[rows].view(-1)
    target = logits[rows, columns]
    with torch.no_grad():
        target.arccos_()
        logits.arccos_()
        logits[rows, columns] = target + margin
        logits.cos_()
    return logits * scale


class _CrossEntropy(torch.autograd.Function):
    """Softmax in place in the logits; the gradient from a dense one-hot matrix."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:
        top, _ = torch.max(logits, dim=1, keepdim=True)
        logits.sub_(top)
        logits.exp_()
        logits.div_(torch.sum(logits, dim=1, keepdim=True))
        rows = torch.where(labels != -1)[0]
        loss = torch.zeros(len(logits), 1, device=logits.device)
        loss[rows] = logits[rows].gather(1, labels[rows])
        ctx.save_for_backward(rows, logits, labels)
        return loss.clamp_min_(1e-30).log_().mean() * -1

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        rows, logits, labels = ctx.saved_tensors
        one_hot = torch.zeros(len(rows), logits.shape[1], device=logits.device)
        one_hot.scatter_(1, labels[rows], 1)
        logits[rows] -= one_hot
        logits.div_(len(logits))
        return logits * gradient.item(), None
