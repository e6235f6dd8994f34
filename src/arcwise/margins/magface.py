"""MagFace: a margin that grows with the embedding's length, which so learns to mean quality."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.margins.angle import Beyond, Gradient, shifted
from arcwise.margins.margin import Margin, State, check_choice, check_range


@dataclass(frozen=True)
class MagFace(Margin):
    """ArcFace with a margin linear in the length (MagFace, arXiv 2103.06627).

    With a = ‖x‖ held in l_a..u_a, m(a) runs from l_m to u_m and ψ = cos(θ + m(a)); the loss adds
    the mean of weight·g(a), g(a) = 1/a + a/u_a², which falls on the way to u_a. Both move the
    length: the margin shortens embeddings, the penalty lengthens them.

    Attributes:
        l_a: the shortest length that counts, above 0.
        u_a: the longest, above l_a.
        l_m: the margin at l_a in radians, 0 ≤ l_m ≤ u_m.
        u_m: the margin at u_a, at most π.
        weight: λ_g, of the penalty; 35 in the released training script.
        gradient: ``"exact"``, or ``"detached"`` for derivative 1 by the cosine. The derivative by
            the length is exact in both: nothing else holds back the penalty.
        beyond: as in `ArcFace`; the released code trains ``"easy"``.
    """

    l_a: float = 10.0
    u_a: float = 110.0
    l_m: float = 0.45
    u_m: float = 0.8
    weight: float = 35.0
    gradient: Gradient = "exact"
    beyond: Beyond = "monotone"

    def __post_init__(self) -> None:
        if not 0.0 < self.l_a < self.u_a < math.inf:
            raise ArcwiseError(
                f"MagFace: l_a={self.l_a!r}, u_a={self.u_a!r}; expected 0 < l_a < u_a"
            )
        if not 0.0 <= self.l_m <= self.u_m <= math.pi:
            raise ArcwiseError(
                f"MagFace: l_m={self.l_m!r}, u_m={self.u_m!r}; expected 0 ≤ l_m ≤ u_m ≤ π radians"
            )
        check_range(self, "weight", 0.0)
        check_choice(self, "gradient", Gradient)
        check_choice(self, "beyond", Beyond)

    def target(self, cos: Tensor, norm: Tensor, state: State) -> tuple[Tensor, Tensor, Tensor]:
        """ψ(t, a) = cos(arccos t + m(a))."""
        rise = (self.u_m - self.l_m) / (self.u_a - self.l_a)
        m = self.l_m + rise * (norm.clamp(self.l_a, self.u_a) - self.l_a)
        psi, derivative, by_m = shifted(cos, m, self.gradient, self.beyond)
        return psi, derivative, by_m * rise * self._in_range(norm)

    def penalty(self, norm: Tensor) -> tuple[Tensor, Tensor]:
        """weight·(1/a + a/u_a²) and its derivative, 0 for lengths outside l_a..u_a."""
        a = norm.clamp(self.l_a, self.u_a)
        derivative = (1.0 / self.u_a**2 - 1.0 / a**2) * self._in_range(norm)
        return self.weight * (1.0 / a + a / self.u_a**2), self.weight * derivative

    def scaled(self, margin_scale: float) -> Self:
        """Margins and weight times the margin scale: each holds the other back."""
        return replace(
            self,
            l_m=self.l_m * margin_scale,
            u_m=self.u_m * margin_scale,
            weight=self.weight * margin_scale,
        )

    def _in_range(self, norm: Tensor) -> Tensor:
        return (norm >= self.l_a) & (norm <= self.u_a)
