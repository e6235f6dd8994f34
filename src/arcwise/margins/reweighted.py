"""Margins that wrap another one and re-weight the negatives."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.margins.margin import Margin, State, check_choice, check_range

How = Literal["zero", "exclude"]
Hard = Literal["adaptive", "fixed"]


@dataclass(frozen=True)
class Reweighted(Margin):
    """A margin that wraps another one and has its results, but for the negatives.

    Attributes:
        margin: the margin of the target.
    """

    margin: Margin

    def __post_init__(self) -> None:
        if not isinstance(self.margin, Margin):
            raise ArcwiseError(
                f"{type(self).__name__}: margin={self.margin!r}; expected a margin to wrap, say "
                "ArcFace(0.5)"
            )

    def initial(self) -> dict[str, Tensor]:
        """The wrapped margin's."""
        return self.margin.initial()

    def of_classes(self, sizes: Tensor) -> dict[str, Tensor]:
        """The wrapped margin's."""
        return self.margin.of_classes(sizes)

    def observe(self, cos: Tensor, norm: Tensor, state: State) -> dict[str, Tensor]:
        """The wrapped margin's."""
        return self.margin.observe(cos, norm, state)

    def target(
        self, cos: Tensor, norm: Tensor, state: State
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """The wrapped margin's."""
        return self.margin.target(cos, norm, state)

    def negatives(self, cos: Tensor, psi: Tensor, state: State) -> tuple[Tensor, Tensor | None]:
        """The wrapped margin's."""
        return self.margin.negatives(cos, psi, state)

    def penalty(self, norm: Tensor) -> tuple[Tensor, Tensor] | None:
        """The wrapped margin's."""
        return self.margin.penalty(norm)


@dataclass(frozen=True)
class SupportVector(Reweighted):
    """SV-X-softmax (arXiv 1812.11317): negatives that beat the target count for more.

    A negative is hard when its cosine u is above the target's margin logit (strictly: a tie is
    easy), and then counts as t·u + t - 1, which is u + (t - 1)(u + 1). Over `NormSoftmax` this is
    SV-softmax; over `CosFace` or `ArcFace` SV-X-softmax.

    MV-softmax (AAAI 2020) writes t' for t - 1: its adaptive form with t' = 0.2 is t = 1.2 here. Its
    fixed form lets a hard negative count as u + t'.

    Attributes:
        margin: the margin of the target.
        t: 1 or more; 1 is the margin itself.
        form: ``"adaptive"``, t·u + t - 1; or ``"fixed"``, u + t - 1.
    """

    t: float = 1.2
    form: Hard = "adaptive"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "t", 1.0)
        check_choice(self, "form", Hard)

    def negatives(self, cos: Tensor, psi: Tensor, state: State) -> tuple[Tensor, Tensor | None]:
        """Hard ones as the form says, the rest as the wrapped margin has them."""
        u, derivative = self.margin.negatives(cos, psi, state)
        if self.t == 1.0:
            return u, derivative
        hard = u > psi[:, None]
        if self.form == "fixed":
            counted = torch.where(hard, u + (self.t - 1.0), u)
            return counted, torch.ones_like(u) if derivative is None else derivative
        weight = torch.ones_like(u).masked_fill(hard, self.t)
        reweighted = torch.where(hard, self.t * u + (self.t - 1.0), u)
        return reweighted, weight if derivative is None else weight * derivative

    def scaled(self, margin_scale: float) -> Self:
        """The wrapped margin at that scale, and t as far from 1."""
        t = 1.0 + (self.t - 1.0) * margin_scale
        return replace(self, margin=self.margin.scaled(margin_scale), t=t)


@dataclass(frozen=True)
class Filtered(Reweighted):
    """The inter-class filter (Partial FC, arXiv 2203.15565, for conflicting labels).

    A negative whose cosine is above the threshold is probably the target's identity under a second
    label, and is not pushed away.

    Attributes:
        margin: the margin of the target, which also re-weights the negatives that stay.
        threshold: a cosine, -1 to 1; strictly above it counts as abnormal.
        how: ``"zero"`` lets it count as a class at 90°, as the released code does, which still
            costs e⁰; ``"exclude"`` leaves it out of the softmax, at -∞. Both have derivative 0.
    """

    threshold: float = 0.4
    how: How = "zero"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "threshold", -1.0, 1.0)
        check_choice(self, "how", How)

    def negatives(self, cos: Tensor, psi: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """0 or -∞ with derivative 0 above the threshold, the wrapped margin's below."""
        u, derivative = self.margin.negatives(cos, psi, state)
        abnormal = cos > self.threshold
        derivative = torch.ones_like(cos) if derivative is None else derivative
        u = u.masked_fill(abnormal, 0.0 if self.how == "zero" else -math.inf)
        return u, derivative.masked_fill(abnormal, 0.0)

    def scaled(self, margin_scale: float) -> Self:
        """The wrapped margin at that scale; a wrong label is as wrong at every one."""
        return replace(self, margin=self.margin.scaled(margin_scale))
