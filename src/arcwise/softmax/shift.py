"""What is taken from a sample's logits before they are exponentiated."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from arcwise.softmax.problem import Problem

LARGEST = 87.0
"""e^87 and e^-87 are float32 numbers with all their digits; e^89 is infinity."""

SPARE = 10.0
"""An exponential may still be multiplied by e^10: by 1/‖w‖ of a short centre, and a slope."""


class Shift:
    """The shift of each sample: fixed where the logits are known to stay in range, else running.

    Cosines are in [-1, 1], so every logit is at most s·max(others(±1), 1). Where the smallest is
    not too far below, one shift serves all chunks and no maximum is looked for: the target's own
    logit, or as much more as keeps the sum of C exponentials finite.

    Attributes:
        current: (n,) the shift in force.
    """

    def __init__(self, current: Tensor, fixed: bool) -> None:
        self.current = current
        self.fixed = fixed

    @classmethod
    def for_(cls, problem: Problem) -> Shift:
        """Fixed for s up to about 75, running beyond."""
        own = problem.target.logit
        top, low = _bounds(problem)
        headroom = LARGEST - SPARE - math.log(max(problem.classes, 1))
        fixed = bool(((top - low) <= headroom + LARGEST).all())
        shift = torch.maximum(own, top - headroom) if fixed else own
        return cls(shift.to(problem.x.dtype), fixed)

    def cover(self, z: Tensor) -> Tensor | None:
        """Raise a running shift to the largest of (n, B) logits; what older sums shrink by."""
        if self.fixed:
            return None
        before = self.current
        self.current = torch.maximum(before, z.amax(1))
        return torch.exp(before - self.current)


def _bounds(problem: Problem) -> tuple[Tensor, Tensor]:
    """(n,) the largest and the smallest that a logit of another class can be."""
    value = problem.target.value
    ends = value.new_tensor([-1.0, 1.0]).expand(len(value), 2)
    others, _ = problem.margin.others(ends.contiguous(), value, problem.state)
    reach = torch.cat([others, ends], 1)
    top = problem.scale * reach.amax(1)
    low = problem.scale * reach.nan_to_num(neginf=-1.0).amin(1)
    if problem.offsets is None:
        return top, low
    least, most = problem.offsets.double().aminmax()
    return top + most, low + least
