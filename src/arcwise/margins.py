"""The margin family: what the target class has to pay, as pure functions of its cosine.

Shapes: N samples, C classes. A margin is a frozen dataclass with numbers in it; it answers

* ``target(cos, norm, state)``: (N,) target cosines → value ψ(cos), slope dψ/dcos and dψ/dnorm;
* ``others(cos, value, state)``: (N, K) cosines to other classes → value and slope;
* ``at(strength)``: the same margin at a fraction of its strength, for margin warm-up.

Value and slope are closed forms, so every softmax, dense or not, trains the same function, and no
derivative goes through ``acos``, whose own is infinite at cos = ±1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol, Self

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError

State = Mapping[str, Tensor]
"""Running statistics that a head keeps for its margin; empty for most."""

Gradient = Literal["exact", "detached"]

MIN_SINE = 1e-4
"""sin θ below which an exact slope is held: the gradient keeps its bound, s·|ψ'|·sin θ ≤ s·m₁."""


class Margin(Protocol):
    """What a softmax over centres asks of a margin."""

    def target(
        self, cos: Tensor, norm: Tensor, state: State
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """(N,) target cosines and embedding lengths → value, slope, slope by length (None: 0)."""
        ...

    def others(self, cos: Tensor, value: Tensor, state: State) -> tuple[Tensor, Tensor | None]:
        """(N, K) other cosines, (N,) target values → value, slope (None: 1)."""
        ...

    def at(self, strength: float) -> Self:
        """This margin at a fraction of its strength; 0 is no margin, 1 is itself."""
        ...


@dataclass(frozen=True)
class NormSoftmax:
    """No margin: the softmax of scaled cosines (NormFace, arXiv 1704.06369; ArcFace eq. 2)."""

    def target(self, cos: Tensor, norm: Tensor, state: State) -> tuple[Tensor, Tensor, None]:
        """ψ(t) = t."""
        return cos, torch.ones_like(cos), None

    def others(self, cos: Tensor, value: Tensor, state: State) -> tuple[Tensor, None]:
        """The other classes pay nothing."""
        return cos, None

    def at(self, strength: float) -> Self:
        """Itself: there is nothing to weaken."""
        return self


@dataclass(frozen=True)
class CosFace:
    """An additive cosine margin (CosFace, arXiv 1801.09414; AM-softmax, arXiv 1801.05599).

    Attributes:
        m: what is taken from the target cosine, 0 ≤ m ≤ 2.
    """

    m: float = 0.35

    def __post_init__(self) -> None:
        _check_range("CosFace", self.m, 2.0, "cosine units")

    def target(self, cos: Tensor, norm: Tensor, state: State) -> tuple[Tensor, Tensor, None]:
        """ψ(t) = t - m."""
        return cos - self.m, torch.ones_like(cos), None

    def others(self, cos: Tensor, value: Tensor, state: State) -> tuple[Tensor, None]:
        """The other classes pay nothing."""
        return cos, None

    def at(self, strength: float) -> Self:
        """The margin with strength·m."""
        return replace(self, m=self.m * strength)


@dataclass(frozen=True)
class ArcFace:
    """An additive angular margin (ArcFace, arXiv 1801.07698, eq. 3): ψ(cos θ) = cos(θ + m).

    Beyond θ + m = π, where cos(θ + m) would rise again, ψ goes on as -2 - cos(θ + m): continuous,
    with a continuous slope, and falling all the way to θ = π. (The two continuations in public
    code jump there; so does the one at 90° called easy margin.)

    Attributes:
        m: the angle in radians, 0 ≤ m ≤ π.
        gradient: ``"exact"`` is the derivative of the value, sin(θ + m)/sin θ. ``"detached"`` has
            the same value and slope 1, which is what arcface_torch trains.
    """

    m: float = 0.5
    gradient: Gradient = "exact"

    def __post_init__(self) -> None:
        _check_range("ArcFace", self.m, math.pi, "radians")
        if self.gradient not in ("exact", "detached"):
            raise ArcwiseError(
                f'ArcFace: gradient={self.gradient!r}; expected "exact" or "detached"'
            )

    def target(self, cos: Tensor, norm: Tensor, state: State) -> tuple[Tensor, Tensor, None]:
        """ψ(t) = t cos m - sin θ sin m up to θ = π - m, then -2 minus that."""
        cos = cos.clamp(-1.0, 1.0)
        # (1 - t)(1 + t) keeps the digits that 1 - t² loses near t = ±1.
        sine = ((1.0 - cos) * (1.0 + cos)).sqrt()
        cos_m, sin_m = math.cos(self.m), math.sin(self.m)
        value = cos * cos_m - sine * sin_m
        past = cos < -cos_m  # θ + m > π
        value = torch.where(past, -2.0 - value, value)
        if self.gradient == "detached":
            return value, torch.ones_like(cos), None
        slope = cos_m + cos * sin_m / sine.clamp_min(MIN_SINE)
        return value, torch.where(past, -slope, slope), None

    def others(self, cos: Tensor, value: Tensor, state: State) -> tuple[Tensor, None]:
        """The other classes pay nothing."""
        return cos, None

    def at(self, strength: float) -> Self:
        """The margin with strength·m."""
        return replace(self, m=self.m * strength)


def _check_range(name: str, m: float, top: float, unit: str) -> None:
    if not 0.0 <= m <= top:  # also refuses NaN
        raise ArcwiseError(f"{name}: m={m!r}; expected 0 to {top:.4g} {unit}")
