"""Combined: the three margins at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.margins.angle import Gradient, multiplied
from arcwise.margins.margin import Margin, State, check_choice, check_range


@dataclass(frozen=True)
class Combined(Margin):
    """The combined margin (ArcFace, arXiv 1801.07698, eq. 4): ψ = cos(m₁θ + m₂) - m₃.

    All three count, whatever the others: (1, 0.3, 0.2) is not CosFace(0.2). Past m₁θ + m₂ = π
    the cosine goes on as in `ArcFace`, falling.

    Attributes:
        m1: factor on the angle, above 0.
        m2: radians added to it, 0 ≤ m2 ≤ π.
        m3: what is taken from the cosine, 0 ≤ m3 ≤ 2.
        gradient: ``"exact"``, or ``"detached"`` for derivative 1.
    """

    m1: float
    m2: float
    m3: float
    gradient: Gradient = "exact"

    def __post_init__(self) -> None:
        if not 0.0 < self.m1 < math.inf:
            raise ArcwiseError(f"Combined: m1={self.m1!r}; expected a factor above 0")
        check_range(self, "m2", 0.0, math.pi, "radians")
        check_range(self, "m3", 0.0, 2.0, "cosine units")
        check_choice(self, "gradient", Gradient)

    def target(self, cos: Tensor, norm: Tensor, state: State) -> tuple[Tensor, Tensor, None]:
        """ψ(t) = cos(m₁ arccos t + m₂) - m₃."""
        psi, derivative = multiplied(cos, self.m1, self.m2, self.gradient)
        return psi - self.m3, derivative, None

    def scaled(self, margin_scale: float) -> Self:
        """m₂ and m₃ times the margin scale; m₁ as far from 1."""
        m1 = 1.0 + (self.m1 - 1.0) * margin_scale
        return replace(self, m1=m1, m2=self.m2 * margin_scale, m3=self.m3 * margin_scale)
