"""ArcFace: a margin on the angle."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

from torch import Tensor

from arcwise.margins.angle import Beyond, Gradient, shifted
from arcwise.margins.margin import Margin, State, check_choice, check_range


@dataclass(frozen=True)
class ArcFace(Margin):
    """An additive angular margin (ArcFace, arXiv 1801.07698, eq. 3): ψ(cos θ) = cos(θ + m).

    Attributes:
        m: the angle in radians, 0 ≤ m ≤ π.
        gradient: ``"exact"`` is the derivative of ψ, sin(θ + m)/sin θ. ``"detached"`` has the
            same ψ with the derivative 1, which is what arcface_torch trains.
        beyond: how ψ goes on past θ + m = π, where cos(θ + m) would rise again. ``"monotone"``
            is -2 - cos(θ + m): continuous, with a continuous derivative, and falling all the way to
            θ = π. ``"linear"``, cos θ - m sin m, and ``"easy"``, cos θ from 90° on, are the two in
            public code, there to reproduce it: both jump.
    """

    m: float = 0.5
    gradient: Gradient = "exact"
    beyond: Beyond = "monotone"

    def __post_init__(self) -> None:
        check_range(self, "m", 0.0, math.pi, "radians")
        check_choice(self, "gradient", Gradient)
        check_choice(self, "beyond", Beyond)

    def target(self, cos: Tensor, norm: Tensor, state: State) -> tuple[Tensor, Tensor, None]:
        """ψ(t) = t cos m - sin θ sin m up to θ = π - m, and then as `beyond` says."""
        psi, derivative, _ = shifted(cos, self.m, self.gradient, self.beyond)
        return psi, derivative, None

    def scaled(self, margin_scale: float) -> Self:
        """The margin with margin_scale·m."""
        return replace(self, m=self.m * margin_scale)
