"""How centres move by their gradient."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.sgd import sgd


@dataclass(frozen=True)
class Rule:
    """One step of SGD as ``torch.optim.SGD`` makes it, on a multiple of a pass's loss.

    Attributes:
        multiple: what the loss was multiplied by.
        lr: learning rate.
        momentum: 0 for none.
        weight_decay: of the centres.
        nesterov: whether the step looks ahead along the momentum.
        sphere: whether centres return to unit length after it.
    """

    multiple: float
    lr: float
    momentum: float
    weight_decay: float
    nesterov: bool
    sphere: bool

    def step(self, centres: Tensor, gradient: Tensor, momentum: Tensor | None) -> None:
        """Move (R, D) centres and their momentum in place; the gradient is used up."""
        if self.multiple != 1.0:
            gradient.mul_(self.multiple)
        fused = centres.dtype.itemsize > 2  # torch's own is wrong on a CPU for 16 bits
        sgd(
            [centres], [gradient.to(centres.dtype)], [momentum],
            lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay,
            nesterov=self.nesterov, dampening=0.0, maximize=False, fused=fused, foreach=False,
        )  # fmt: skip
        if self.sphere:
            to_sphere(centres)


def to_sphere(centres: Tensor) -> None:
    """Bring (..., D) centres to unit length in place; one of length 0 stays."""
    length = torch.linalg.vector_norm(centres, dim=-1, keepdim=True)
    centres.div_(torch.where(length > 0, length, 1.0))
