"""The cosine of a widened angle, ψ(θ) = cos(m₁θ + m₂), and how it goes on where that would rise.

One formula serves every angular margin: with φ = m₁θ + m₂ and k = ⌊φ/π⌋,

    ψ = (-1)ᵏ cos φ - 2k,        dψ/dcos θ = m₁ |sin φ| / sin θ,        dψ/dm₂ = -|sin φ|.

It is SphereFace's (arXiv 1704.08063, eq. 6) for any real m₁ and m₂: continuous with a continuous
derivative, and falling from θ = 0 to θ = π. For 0 ≤ φ ≤ π it is cos φ.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

Gradient = Literal["exact", "detached"]
"""The derivative that is trained: that of ψ, or 1 whatever ψ is."""

Beyond = Literal["monotone", "linear", "easy"]
"""How cos(θ + m) goes on: the formula above, cos θ - m sin m past π - m, or cos θ past 90°."""

MIN_SINE = 1e-4
"""sin θ below which an exact derivative is held, so that the gradient keeps its bound.

The bound is s·|ψ'|·sin θ ≤ s·m₁.
"""


def shifted(
    cos: Tensor, m: float | Tensor, gradient: Gradient, beyond: Beyond
) -> tuple[Tensor, Tensor, Tensor]:
    """ψ, dψ/dcos and dψ/dm of cos(θ + m), without an angle being taken.

    Args:
        cos: (N,) cosines of θ.
        m: radians from -π to π, one or (N,).
        gradient: ``"detached"`` for a derivative of 1 by the cosine; the one by m stays exact.
        beyond: which continuation.
    """
    cos_m, sin_m = (m.cos(), m.sin()) if isinstance(m, Tensor) else (math.cos(m), math.sin(m))
    # Only the sine is held in range: at m = 0 the logit is the cosine itself, whatever rounding
    # made of it.
    sine = _sine(cos)
    psi = cos * cos_m - sine * sin_m
    derivative = (cos_m + cos.clamp(-1.0, 1.0) * sin_m / sine.clamp_min(MIN_SINE)).abs()
    by_m = -(sine * cos_m + cos * sin_m).abs()

    past = (m > 0.0) & (cos <= -cos_m)  # θ + m ≥ π
    before = (m < 0.0) & (cos > cos_m)  # θ + m < 0
    psi = torch.where(past, -2.0 - psi, torch.where(before, 2.0 - psi, psi))
    if beyond == "linear":
        psi = torch.where(past, cos - m * sin_m, psi)
        derivative = torch.where(past, 1.0, derivative)
        by_m = torch.where(past, -(sin_m + m * cos_m), by_m)
    elif beyond == "easy":
        near = cos > 0.0
        psi = torch.where(near, psi, cos)
        derivative = torch.where(near, derivative, 1.0)
        by_m = torch.where(near, by_m, 0.0)
    return psi, torch.ones_like(cos) if gradient == "detached" else derivative, by_m


def multiplied(cos: Tensor, m1: float, m2: float, gradient: Gradient) -> tuple[Tensor, Tensor]:
    """ψ and dψ/dcos of cos(m₁θ + m₂), for m₁ > 0; the angle is only taken where m₁ is not 1."""
    if m1 == 1.0:
        return shifted(cos, m2, gradient, "monotone")[:2]
    phi = m1 * cos.clamp(-1.0, 1.0).acos() + m2
    k = (phi / math.pi).floor()
    psi = torch.where(k % 2 == 0, phi.cos(), -phi.cos()) - 2.0 * k
    if gradient == "detached":
        return psi, torch.ones_like(cos)
    return psi, m1 * phi.sin().abs() / _sine(cos).clamp_min(MIN_SINE)


def _sine(cos: Tensor) -> Tensor:
    # (1 - t)(1 + t) keeps the digits that 1 - t² loses near t = ±1.
    return ((1.0 - cos) * (1.0 + cos)).clamp_min(0.0).sqrt()
