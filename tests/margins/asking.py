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
    """Value and slope at an angle, in float64."""
    value, slope, _ = margin.target(column(math.cos(theta)), column(length), state or {})
    return value.item(), slope.item()


def derivative(margin: Margin, theta: float, length: float = 1.0, state: dict | None = None):
    """Slope by central difference of the value, in the cosine."""
    h = 1e-6
    cos = math.cos(theta)
    up, down = (ask(margin, math.acos(cos + d), length, state)[0] for d in (h, -h))
    return (up - down) / (2 * h)
