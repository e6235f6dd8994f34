"""A running average of the weights: the network that is evaluated and kept."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Average:
    """Exponential average of a module's parameters and statistics (arXiv 1806.05594, SWA's kin).

    The decay starts low, min(decay, (1 + t)/(10 + t)), so that the random start is soon forgotten.

    Attributes:
        module: the averaged copy, in evaluation mode and without gradients.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.module = copy.deepcopy(module).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Move the average towards the module after this step (counted from 0)."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        own: list[Tensor] = list(self.module.parameters())
        torch._foreach_lerp_(own, [p.detach() for p in module.parameters()], weight)
        for kept, buffer in zip(self.module.buffers(), module.buffers(), strict=True):
            if buffer.dtype.is_floating_point:
                kept.lerp_(buffer, weight)
            else:
                kept.copy_(buffer)
