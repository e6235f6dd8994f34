"""Directions and the angles between them, without overflow, underflow or NaN."""

from __future__ import annotations

import torch
from torch import Tensor

TINY = 1e-30
"""Largest component under which a row counts as zero: its direction is noise."""


def unit(rows: Tensor) -> tuple[Tensor, Tensor]:
    """(N, D) → the rows at unit length, (N, D), and their lengths, (N,).

    Dividing by the largest component first keeps the squares of huge and tiny rows finite; being
    constant to autograd it changes no gradient, since a direction has no length. A zero row stays
    zero and has gradient zero.
    """
    largest = rows.detach().abs().amax(1, keepdim=True)
    alive = ~(largest <= TINY)  # a NaN is not zero: it stays one, for whoever watches the loss
    scaled = torch.where(alive, rows / torch.where(alive, largest, 1.0), 0.0)
    length = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
    directions = torch.where(alive, scaled / torch.where(alive, length, 1.0), 0.0)
    return directions, (length * largest).squeeze(1)


def wide(values: Tensor) -> Tensor:
    """The same values in float32, or in float64 where they are that already."""
    return values if values.dtype == torch.float64 else values.float()


def snap(cosines: Tensor) -> Tensor:
    """Cosines of which those that rounding keeps from ±1 are ±1: equal rows are at exactly 0."""
    near = 1 - cosines.abs() <= 64 * torch.finfo(cosines.dtype).eps
    return torch.where(near, cosines.sign(), cosines)


def angle(cosines: Tensor) -> Tensor:
    """Angles in radians of cosines in -1..1. At 0 and π, where no direction leads on, slope 0.

    Elsewhere the derivative is -1/sin θ: times the tangent of length sin θ from one direction to
    the other it is a pull of length 1, however close the two are.
    """
    fixed = cosines.detach()
    sine = ((1 - fixed) * (1 + fixed)).sqrt()
    slope = torch.where(sine > 0, -1 / sine, 0.0)
    return torch.acos(fixed) + slope * (cosines - fixed)
