"""ArcFace with a margin that follows the number of images of a class."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from arcwise.margins.angle import Beyond, Gradient, shifted
from arcwise.margins.margin import Margin, State, check_choice, check_range


@dataclass(frozen=True)
class DynamicArcFace(Margin):
    """The fewer images a class has, the larger its margin (dynamic margins, arXiv 2010.05350).

    The margin of a class of n images is low + (high - low)·r(n), where r is n^-power brought to 0
    for the largest class and to 1 for the smallest, as in the released code of that paper. Where
    all classes are of one size, or the sizes are not known, it is high.

    Attributes:
        low: the margin of the largest class, in radians, 0 ≤ low ≤ high.
        high: the margin of the smallest class.
        power: 1/4 in that paper, as in LDAM (arXiv 1906.07413).
        gradient: ``"exact"``, or ``"detached"`` for derivative 1.
        beyond: as in `ArcFace`.
    """

    low: float = 0.05
    high: float = 0.5
    power: float = 0.25
    gradient: Gradient = "exact"
    beyond: Beyond = "monotone"

    def __post_init__(self) -> None:
        check_range(self, "high", 0.0, math.pi, "radians")
        check_range(self, "low", 0.0, self.high, "radians")
        check_range(self, "power", 0.0)
        check_choice(self, "gradient", Gradient)
        check_choice(self, "beyond", Beyond)

    def of_classes(self, sizes: Tensor) -> dict[str, Tensor]:
        """``rarity``: r of every class, (C,)."""
        root = sizes.double().clamp(min=1) ** -self.power
        spread = root.max() - root.min()
        rarity = (root - root.min()) / spread if spread > 0 else torch.ones_like(root)
        return {"rarity": rarity.float()}

    def target(self, cos: Tensor, norm: Tensor, state: State) -> tuple[Tensor, Tensor, None]:
        """ψ(t) = cos(arccos t + m(n)), n being the images of the sample's class."""
        rarity = state.get("rarity")
        m = self.high if rarity is None else self.low + (self.high - self.low) * rarity
        psi, derivative, _ = shifted(cos, m, self.gradient, self.beyond)
        return psi, derivative, None

    def scaled(self, margin_scale: float) -> Self:
        """Both ends times the margin scale."""
        return replace(self, low=self.low * margin_scale, high=self.high * margin_scale)
