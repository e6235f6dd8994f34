"""The plain linear softmax: the baseline that a margin has to beat."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from arcwise.errors import ArcwiseError


class LinearHead(nn.Module):
    """The softmax of ArcFace (arXiv 1801.07698) equation 1: w·x + b, nothing normalised.

    Attributes:
        weight: (C, D) parameter.
        bias: (C,) parameter.
        metrics: empty, as there is no error but rounding.
    """

    def __init__(self, classes: int, dim: int) -> None:
        super().__init__()
        if classes < 2:
            raise ArcwiseError(f"LinearHead: got {classes} classes; a softmax needs at least 2")
        self.weight = nn.Parameter(torch.empty(classes, dim))
        self.bias = nn.Parameter(torch.zeros(classes))
        nn.init.normal_(self.weight, std=0.01)
        self.metrics: dict[str, float] = {}

    def loss(self, embeddings: Tensor, labels: Tensor, margin_scale: float = 1.0) -> Tensor:
        """Return the scalar mean cross-entropy; rows labelled -1 add nothing.

        There is no margin for `margin_scale` to scale.
        """
        with torch.autocast(embeddings.device.type, enabled=False):
            logits = functional.linear(embeddings.float(), self.weight, self.bias)
            labels = labels.to(logits.device, non_blocking=True)
            loss = functional.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")
            return loss / (labels >= 0).sum().clamp_min(1)

    forward = loss
