"""CurricularFace: hard negatives count for little at first, for more as training goes well."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from arcwise.margins.angle import Beyond, Gradient, shifted
from arcwise.margins.margin import Margin, State, check_choice, check_range


@dataclass(frozen=True)
class CurricularFace(Margin):
    """ArcFace's target with a curriculum on the negatives (CurricularFace, arXiv 2004.00288).

    t is a running mean of the target cosines from 0 on. A negative whose cosine u is above the
    target's margin logit is hard and counts as u(t + u): less than u at first, while
    t + u < 1, and more once t is high.

    Attributes:
        m: the target's angle in radians, 0 ≤ m ≤ π.
        alpha: weight of this step's mean in t.
        gradient: ``"exact"``, or ``"detached"`` for derivative 1 of the target.
        beyond: as in `ArcFace`; the released code has ``"linear"``. (It finds the hard classes
            with cos(θ + m) itself, also past π. This one compares with the target's margin logit.)
        curriculum: share of the re-weighting that is in force, 0 to 1; `scaled` lowers it.
    """

    m: float = 0.5
    alpha: float = 0.01
    gradient: Gradient = "exact"
    beyond: Beyond = "monotone"
    curriculum: float = 1.0

    def __post_init__(self) -> None:
        check_range(self, "m", 0.0, math.pi, "radians")
        check_range(self, "alpha", 0.0, 1.0)
        check_choice(self, "gradient", Gradient)
        check_choice(self, "beyond", Beyond)
        check_range(self, "curriculum", 0.0, 1.0)

    def initial(self) -> dict[str, Tensor]:
        """``t`` at 0."""
        return {"t": torch.tensor(0.0)}

    def observe(self, cos: Tensor, norm: Tensor, state: State) -> dict[str, Tensor]:
        """The mean t moved towards this step's mean target cosine by alpha."""
        state = {**self.initial(), **state}
        if len(cos) > 0:
            t = state["t"]
            state["t"] = (self.alpha * cos.mean() + (1.0 - self.alpha) * t).to(t)
        return state

    def target(self, cos: Tensor, norm: Tensor, state: State) -> tuple[Tensor, Tensor, None]:
        """As `ArcFace`."""
        psi, derivative, _ = shifted(cos, self.m, self.gradient, self.beyond)
        return psi, derivative, None

    def negatives(self, cos: Tensor, psi: Tensor, state: State) -> tuple[Tensor, Tensor | None]:
        """Hard ones u(t + u) with derivative t + 2u, the rest as they are.

        While t is below 0, a hard one may be above the bound of `Margin.negatives`, by |t|.
        """
        if self.curriculum == 0.0:
            return cos, None
        t = {**self.initial(), **state}["t"]
        kept = 1.0 - self.curriculum
        hard = cos > psi[:, None]
        reweighted = cos * (kept + self.curriculum * (t + cos))
        derivative = kept + self.curriculum * (t + 2.0 * cos)
        return torch.where(hard, reweighted, cos), torch.where(hard, derivative, 1.0)

    def scaled(self, margin_scale: float) -> Self:
        """The angle m and the curriculum times the margin scale."""
        return replace(self, m=self.m * margin_scale, curriculum=self.curriculum * margin_scale)
