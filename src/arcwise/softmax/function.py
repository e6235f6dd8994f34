"""A pass over the classes as a differentiable function of embeddings and centres."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.softmax.outcome import Pass


def differentiable(
    embeddings: Tensor,
    centres: Tensor,
    start: Callable[[], Pass],
    later: Callable[[Tensor], None] | None = None,
) -> Tensor:
    """The scalar loss of a pass over these tensors, whose gradients autograd then finds.

    Args:
        embeddings: (N, D).
        centres: what owns the pass's centres, in their shape unless `later` is given.
        start: makes the pass.
        later: called with dL'/dloss in place of finding the centres' gradient.
    """
    return _Loss.apply(embeddings, centres, start, later)


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        embeddings: Tensor,
        centres: Tensor,
        start: Callable[[], Pass],
        later: Callable[[Tensor], None] | None,
    ) -> Tensor:
        ctx.later = later
        with torch.autocast(embeddings.device.type, enabled=False):
            ctx.swept = start()
        # Saved only to be told if somebody changes them before the gradients are asked for.
        ctx.save_for_backward(embeddings, centres)
        return ctx.swept.loss.clone()

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, Tensor | None, None, None]:
        if torch.is_grad_enabled():  # a second derivative would be wrong without a word
            raise ArcwiseError(
                "margin_softmax: got create_graph=True; this loss has first derivatives only, "
                'expected to do without, or impl="dense"'
            )
        embeddings, centres = ctx.saved_tensors
        (multiple,) = grad_outputs
        dx = dw = None
        with torch.autocast(embeddings.device.type, enabled=False):
            if ctx.needs_input_grad[0]:
                dx = (ctx.swept.embedding_gradient() * multiple).to(embeddings.dtype)
            if ctx.later is not None:
                ctx.later(multiple)
            elif ctx.needs_input_grad[1]:
                dw = torch.empty_like(centres, memory_format=torch.contiguous_format)
                flat = dw.view(-1, centres.shape[-1])
                for rows, chunk in ctx.swept.centre_gradients():
                    flat[rows] = chunk.mul_(multiple)
        return dx, dw, None, None
