"""How these tests ask a margin for one number."""

from __future__ import annotations

import math

import torch

from arcwise.margins import Margin


def column(*values: float, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.tensor(values, dtype=dtype)


def ask(
    margin: Margin, theta: float, length: float = 1.0, state: dict | None = None
) -> tuple[float, float]:
    """Margin logit and derivative at an angle, in float64."""
    psi, derivative, _ = margin.target(column(math.cos(theta)), column(length), state or {})
    return psi.item(), derivative.item()


def numerical_derivative(
    margin: Margin, theta: float, length: float = 1.0, state: dict | None = None
):
    """Derivative by central difference of the logit, in the cosine."""
    h = 1e-6
    cos = math.cos(theta)
    up, down = (ask(margin, math.acos(cos + d), length, state)[0] for d in (h, -h))
    return (up - down) / (2 * h)
