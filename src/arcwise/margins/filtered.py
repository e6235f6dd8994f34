"""Filtered: other classes that look too alike are taken for the same identity."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from torch import Tensor

from arcwise.margins.accepted import check_choice, check_range
from arcwise.margins.around import Around
from arcwise.margins.margin import State

How = Literal["zero", "exclude"]


@dataclass(frozen=True)
class Filtered(Around):
    """The filter of abnormal classes (Partial FC, arXiv 2203.15565, for conflicting labels).

    Another class whose cosine is above the threshold is probably the target's identity under a
    second label, and is not pushed away.

    Attributes:
        margin: what the target pays, and what the classes that stay do.
        threshold: a cosine, -1 to 1; strictly above it counts as abnormal.
        how: ``"zero"`` lets it count as a class at 90°, as the released code does, which still
            costs e⁰; ``"exclude"`` leaves it out of the softmax, its value -∞. Both have slope 0.
    """

    threshold: float = 0.4
    how: How = "zero"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "threshold", -1.0, 1.0)
        check_choice(self, "how", How)

    def others(self, cos: Tensor, value: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """0 or -∞ with slope 0 above the threshold, the inner margin's below."""
        u, slope = self.margin.others(cos, value, state)
        alike = cos > self.threshold
        slope = torch.ones_like(cos) if slope is None else slope
        u = u.masked_fill(alike, 0.0 if self.how == "zero" else -math.inf)
        return u, slope.masked_fill(alike, 0.0)

    def at(self, strength: float) -> Self:
        """The inner margin at that strength; a wrong label is as wrong at every one."""
        return replace(self, margin=self.margin.at(strength))
