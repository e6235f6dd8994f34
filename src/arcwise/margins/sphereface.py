"""SphereFace: a factor on the angle."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from arcwise.margins.angle import Gradient, multiplied
from arcwise.margins.margin import Margin, State, check_choice, check_range


@dataclass(frozen=True)
class SphereFace(Margin):
    """A multiplicative angular margin (SphereFace, arXiv 1704.08063, eq. 6 and 7).

    ψ(θ) = (-1)ᵏ cos(mθ) - 2k with k = ⌊mθ/π⌋: falling for every real m ≥ 1, not only the paper's
    whole ones. (The paper's logit is ‖x‖ψ; here, as in ArcFace's comparison, it is sψ.)

    Attributes:
        m: factor on the angle, 1 or more; ArcFace's comparison has 1.35, the paper 4.
        gradient: ``"exact"``, or ``"detached"`` for derivative 1, which is SphereFace-R's
            characteristic gradient detachment (Liu et al., TPAMI 2022).
        annealed: train (λ cos θ + ψ)/(1 + λ) with λ = max(lambda_min, base (1 + gamma·i)^-power)
            at step i = 1, 2, …, the released code's schedule. A large m without it hardly starts.
        base: λ before the first step.
        gamma: how fast it falls.
        power: in which way.
        lambda_min: where it stays; at 5, ψ never has more than a sixth of the weight.
    """

    m: float = 1.35
    gradient: Gradient = "exact"
    annealed: bool = False
    base: float = 1000.0
    gamma: float = 0.12
    power: float = 1.0
    lambda_min: float = 5.0

    def __post_init__(self) -> None:
        check_range(self, "m", 1.0)
        check_choice(self, "gradient", Gradient)
        for field in ("base", "gamma", "power", "lambda_min"):
            check_range(self, field, 0.0)

    def initial(self) -> dict[str, Tensor]:
        """``step``: how many steps λ has fallen; only where it does."""
        return {"step": torch.tensor(0)} if self.annealed else {}

    def observe(self, cos: Tensor, norm: Tensor, state: State) -> dict[str, Tensor]:
        """One step more."""
        state = {**self.initial(), **state}
        return {**state, "step": state["step"] + 1} if self.annealed else state

    def target(self, cos: Tensor, norm: Tensor, state: State) -> tuple[Tensor, Tensor, None]:
        """ψ(t) = ±cos(m arccos t) - 2k, or its mean with t."""
        psi, derivative = multiplied(cos, self.m, 0.0, self.gradient)
        if not self.annealed:
            return psi, derivative, None
        step = {**self.initial(), **state}["step"].to(cos)
        plain = (self.base * (1.0 + self.gamma * step) ** -self.power).clamp_min(self.lambda_min)
        weight = 1.0 / (1.0 + plain)
        return cos + weight * (psi - cos), 1.0 + weight * (derivative - 1.0), None

    def scaled(self, margin_scale: float) -> Self:
        """The factor m as far from 1; the schedule is its own warm-up and stays."""
        return replace(self, m=1.0 + (self.m - 1.0) * margin_scale)
