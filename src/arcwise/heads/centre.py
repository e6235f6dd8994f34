"""Class centres on the sphere."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from arcwise.errors import ArcwiseError
from arcwise.margins import Margin
from arcwise.softmax import margin_softmax


class CentreHead(nn.Module):
    """One centre a class, and the margin softmax of embeddings over them.

    Attributes:
        centres: (C, D) parameter; only its rows' directions count. Initialised N(0, 0.01²) as in
            ArcFace (arXiv 1801.07698, section 3.1), in any length: the start is 90° ± 1/√D rad.
    """

    def __init__(self, classes: int, dim: int, *, margin: Margin, scale: float = 64.0) -> None:
        super().__init__()
        if classes < 2:
            raise ArcwiseError(f"CentreHead: got {classes} classes; a softmax needs at least 2")
        if not scale > 0:
            raise ArcwiseError(f"CentreHead: got scale={scale!r}; expected a positive number")
        self.margin = margin
        self.scale = scale
        self.centres = nn.Parameter(torch.empty(classes, dim))
        nn.init.normal_(self.centres, std=0.01)

    def loss(self, embeddings: Tensor, labels: Tensor, strength: float = 1.0) -> Tensor:
        """Scalar loss of (N, D) embeddings with (N,) int64 labels.

        Args:
            embeddings: (N, D), not normalised.
            labels: (N,) in 0..C-1, or -1 for none.
            strength: fraction of the margin in force, for margin warm-up.
        """
        margin = self.margin if strength == 1.0 else self.margin.at(strength)
        return margin_softmax(embeddings, self.centres, labels, margin=margin, scale=self.scale)
