"""Losses that are computed with their gradient, for passes too large for autograd to record."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError


def with_gradient(loss: Tensor, variable: Tensor, gradient: Tensor) -> Tensor:
    """Return the scalar `loss`, to which autograd gives this gradient by this variable."""
    return _WithGradient.apply(loss, variable, gradient)


class _WithGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, loss: Tensor, variable: Tensor, gradient: Tensor) -> Tensor:
        ctx.save_for_backward(gradient)
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[None, Tensor, None]:
        if torch.is_grad_enabled():  # a second derivative would be wrong without a word
            raise ArcwiseError(
                "this loss has first derivatives only: got create_graph=True; leave it out"
            )
        (upstream,), (gradient,) = grad_outputs, ctx.saved_tensors
        return None, upstream * gradient, None
