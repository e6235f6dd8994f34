"""Directions and the angles between them, without overflow, underflow or NaN."""

from __future__ import annotations

import torch
from torch import Tensor

TINY = 1e-30
"""Largest component under which a row counts as zero: its direction is noise."""


def unit(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return (N, D) rows at unit length, and their lengths, (N,).

    Dividing by the largest component first keeps the squares of huge and tiny rows finite; being
    constant to autograd it changes no gradient, since a direction has no length. A zero row stays
    zero and has gradient zero.
    """
    largest = rows.detach().abs().amax(1, keepdim=True)
    nonzero = ~(largest <= TINY)  # a NaN is not zero: it stays one and reaches the loss
    scaled = torch.where(nonzero, rows / torch.where(nonzero, largest, 1.0), 0.0)
    length = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
    directions = torch.where(nonzero, scaled / torch.where(nonzero, length, 1.0), 0.0)
    return directions, (length * largest).squeeze(1)


def wide(values: Tensor) -> Tensor:
    """Return the values in float32, or in float64 where they are that already."""
    return values if values.dtype == torch.float64 else values.float()


def snap(cosines: Tensor) -> Tensor:
    """Return the cosines, with ±1 for those within rounding of it: equal rows are at angle 0."""
    near = 1 - cosines.abs() <= 64 * torch.finfo(cosines.dtype).eps
    return torch.where(near, cosines.sign(), cosines)


def angle(cosines: Tensor) -> Tensor:
    """Return the angles in radians of cosines in -1..1, with a finite derivative.

    The derivative is -1/sin θ: times the tangent of length sin θ from one direction to the other it
    is a gradient of length 1, however close the two are. At 0 and π, where the tangent has no
    direction, it is 0.
    """
    fixed = cosines.detach()
    sine = ((1 - fixed) * (1 + fixed)).sqrt()
    derivative = torch.where(sine > 0, -1 / sine, 0.0)
    return torch.acos(fixed) + derivative * (cosines - fixed)
