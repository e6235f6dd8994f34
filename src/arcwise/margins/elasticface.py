"""ElasticFace: a margin drawn anew for every sample."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.margins.angle import Beyond, Gradient, shifted
from arcwise.margins.margin import Margin, State, check_choice, check_range

Form = Literal["arc", "cos"]


@dataclass(frozen=True)
class ElasticFace(Margin):
    """Margins from a normal distribution (ElasticFace, arXiv 2109.09416).

    `observe` draws one for each labelled row from N(m, sigma²) with torch's generator; where
    nothing was drawn, all are m.

    Attributes:
        m: the mean, 0 ≤ m; the paper has 0.5 for arc and 0.35 for cos.
        sigma: the standard deviation, 0 or more; 0 is `ArcFace` or `CosFace`.
        form: ``"arc"`` adds the margin to the angle, ``"cos"`` takes it from the cosine.
        plus: ElasticFace+: the larger of the margins drawn go to the samples farther from their
            centres. (The released code sorts both, but indexes the margins with the samples' order
            instead of its inverse, so that who gets which is arbitrary. Not reproduced.)
        gradient: ``"exact"``, or ``"detached"`` for derivative 1.
        beyond: as in `ArcFace`, for arc.
    """

    m: float = 0.5
    sigma: float = 0.0125
    form: Form = "arc"
    plus: bool = False
    gradient: Gradient = "exact"
    beyond: Beyond = "monotone"

    def __post_init__(self) -> None:
        check_choice(self, "form", Form)
        top, unit = (math.pi, "radians") if self.form == "arc" else (2.0, "cosine units")
        check_range(self, "m", 0.0, top, unit)
        check_range(self, "sigma", 0.0)
        check_choice(self, "gradient", Gradient)
        check_choice(self, "beyond", Beyond)

    def observe(self, cos: Tensor, norm: Tensor, state: State) -> dict[str, Tensor]:
        """``margins``: this step's, (N,)."""
        margins = self.m + self.sigma * torch.randn_like(cos)
        if self.plus:
            nearest_first = cos.argsort(descending=True)
            margins = torch.empty_like(margins).scatter(0, nearest_first, margins.sort().values)
        return {**state, "margins": margins}

    def target(self, cos: Tensor, norm: Tensor, state: State) -> tuple[Tensor, Tensor, None]:
        """ψ(t) = cos(arccos t + mᵢ), or t - mᵢ."""
        m = state.get("margins", self.m)
        if isinstance(m, Tensor) and m.shape != cos.shape:
            raise ArcwiseError(
                f"ElasticFace: got {len(m)} margins for {len(cos)} samples; expected the state "
                "that observe() gave for these rows"
            )
        if self.form == "cos":
            return cos - m, torch.ones_like(cos), None
        psi, derivative, _ = shifted(cos, m, self.gradient, self.beyond)
        return psi, derivative, None

    def scaled(self, margin_scale: float) -> Self:
        """Mean and deviation times the margin scale."""
        return replace(self, m=self.m * margin_scale, sigma=self.sigma * margin_scale)
