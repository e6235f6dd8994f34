"""SupportVector: other classes that beat the target count for more."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from arcwise.margins.accepted import check_range
from arcwise.margins.around import Around
from arcwise.margins.margin import State


@dataclass(frozen=True)
class SupportVector(Around):
    """SV-X-softmax (arXiv 1812.11317): mis-classified vectors, re-weighted.

    Another class is hard when its cosine u is above the target's value after its margin (strictly:
    a tie is easy), and then counts as t·u + t - 1, which is u + (t - 1)(u + 1). Over `NormSoftmax`
    this is SV-softmax; over `CosFace` or `ArcFace` SV-X-softmax.

    MV-softmax (AAAI 2020) writes t' for t - 1: its adaptive form with t' = 0.2 is t = 1.2 here.

    Attributes:
        margin: what the target pays.
        t: 1 or more; 1 is the margin itself.
    """

    t: float = 1.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "t", 1.0)

    def others(self, cos: Tensor, value: Tensor, state: State) -> tuple[Tensor, Tensor | None]:
        """Hard ones t·u + t - 1 with slope t, the rest as the inner margin has them."""
        u, slope = self.margin.others(cos, value, state)
        if self.t == 1.0:
            return u, slope
        hard = u > value[:, None]
        weight = torch.ones_like(u).masked_fill(hard, self.t)
        counts = torch.where(hard, self.t * u + (self.t - 1.0), u)
        return counts, weight if slope is None else weight * slope

    def at(self, strength: float) -> Self:
        """The inner margin at that strength, and t as far from 1."""
        return replace(self, margin=self.margin.at(strength), t=1.0 + (self.t - 1.0) * strength)
