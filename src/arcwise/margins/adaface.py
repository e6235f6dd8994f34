"""AdaFace: a margin that follows the quality of the image, read from the embedding's length."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from torch import Tensor

from arcwise.margins.angle import Gradient, shifted
from arcwise.margins.margin import Margin, State, check_choice, check_range

SHORTEST, LONGEST = 1e-3, 100.0
"""Lengths are held between these, as in the released code, so that one cannot spoil the mean."""

Ends = Literal["monotone", "clip"]


@dataclass(frozen=True)
class AdaFace(Margin):
    """A margin adapted to quality (AdaFace, arXiv 2204.00964).

    ẑ = clip(h (‖x‖ - mean)/(std + 0.001), -1, 1) is the quality, a constant to the gradient, and
    ψ = cos(θ - m ẑ) - m ẑ - m: ArcFace(m) for the worst, CosFace(m) for the average one, and
    cos(θ - m) - 2m for the best.

    Attributes:
        m: 0 ≤ m ≤ π/2.
        h: how far from the mean, in standard deviations, is 1/h away from ẑ = ±1.
        alpha: weight of this step's lengths in the running mean and standard deviation.
        gradient: ``"exact"``, or ``"detached"`` for derivative 1.
        beyond: how the cosine goes on where θ - m ẑ leaves 0..π: ``"monotone"`` as in `ArcFace`,
            falling on both sides; ``"clip"``, as the released code, flat with derivative 0.
    """

    m: float = 0.4
    h: float = 0.333
    alpha: float = 0.01
    gradient: Gradient = "exact"
    beyond: Ends = "monotone"

    def __post_init__(self) -> None:
        check_range(self, "m", 0.0, math.pi / 2, "radians")
        check_range(self, "h", 0.0)
        check_range(self, "alpha", 0.0, 1.0)
        check_choice(self, "gradient", Gradient)
        check_choice(self, "beyond", Ends)

    def initial(self) -> dict[str, Tensor]:
        """``mean`` and ``std`` of the lengths, at the released code's 20 and 100."""
        return {"mean": torch.tensor(20.0), "std": torch.tensor(100.0)}

    def observe(self, cos: Tensor, norm: Tensor, state: State) -> dict[str, Tensor]:
        """The statistics moved by alpha; one length has no deviation, and none no mean."""
        state = {**self.initial(), **state}
        lengths = norm.clamp(SHORTEST, LONGEST)
        if len(lengths) > 0:
            state["mean"] = self._moved(state["mean"], lengths.mean())
        if len(lengths) > 1:
            state["std"] = self._moved(state["std"], lengths.std())
        return state

    def target(self, cos: Tensor, norm: Tensor, state: State) -> tuple[Tensor, Tensor, None]:
        """ψ(t) = cos(arccos t - m ẑ) - m ẑ - m."""
        state = {**self.initial(), **state}
        lengths = norm.clamp(SHORTEST, LONGEST)
        quality = self.h * (lengths - state["mean"]) / (state["std"] + 1e-3)
        easing = self.m * quality.clamp(-1.0, 1.0)
        psi, derivative, _ = shifted(cos, -easing, self.gradient, "monotone")
        if self.beyond == "clip":
            # The monotone branches leave [-1, 1] exactly where the angle leaves 0..π.
            derivative = torch.where(psi.abs() > 1.0, 0.0, derivative)
            psi = psi.clamp(-1.0, 1.0)
        return psi - easing - self.m, derivative, None

    def scaled(self, margin_scale: float) -> Self:
        """The margin with margin_scale·m."""
        return replace(self, m=self.m * margin_scale)

    def _moved(self, old: Tensor, new: Tensor) -> Tensor:
        return (self.alpha * new + (1.0 - self.alpha) * old).to(old)
