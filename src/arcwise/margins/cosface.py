"""CosFace: a margin on the cosine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from arcwise.margins.margin import Margin, State, check_range


@dataclass(frozen=True)
class CosFace(Margin):
    """An additive cosine margin (CosFace, arXiv 1801.09414; AM-softmax, arXiv 1801.05599).

    Attributes:
        m: what is taken from the target cosine, 0 ≤ m ≤ 2.
    """

    m: float = 0.35

    def __post_init__(self) -> None:
        check_range(self, "m", 0.0, 2.0, "cosine units")

    def target(self, cos: Tensor, norm: Tensor, state: State) -> tuple[Tensor, Tensor, None]:
        """ψ(t) = t - m."""
        return cos - self.m, torch.ones_like(cos), None

    def scaled(self, margin_scale: float) -> Self:
        """The margin with margin_scale·m."""
        return replace(self, m=self.m * margin_scale)
