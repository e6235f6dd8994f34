"""The flow of a step, the same for every implementation of the softmax.

1. `problem.prepare` makes the target logits.
2. `forward` lets the implementation pass over the classes, which gives the log-sum-exp of the
   negatives; then the loss, and the gradient of the embeddings.
3. `backward` passes over the classes again and gives the gradient of the centres. `step` does so
   too and moves the centres at once, for an optimiser that is fused with the pass.

`differentiable` is the three of them for autograd. Centres that are divided among processes have
their sums reduced between the phases: `log_negatives` before the loss, and the accumulator before
the gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.softmax.loss import Rule, SoftmaxStatistics, embedding_gradient
from arcwise.softmax.problem import Problem
from arcwise.softmax.workspace import Workspace


class PassSettings(Protocol):
    """How an implementation passes over the classes, say `Streaming`."""

    def first_pass(
        self, problem: Problem, *, gradients: bool = True, workspace: Workspace | None = None
    ) -> ClassPass:
        """Make the first pass over the classes.

        Without `gradients` there is no second one. Large memory is taken from the workspace.
        """
        ...


class ClassPass(Protocol):
    """The passes over the classes of one problem, of which the first has been made."""

    @property
    def log_negatives(self) -> Tensor:
        """(n,) float64 log Σ_{j≠y} e^{z_ij}, -inf where there is no other class."""
        ...

    @property
    def metrics(self) -> Mapping[str, float | Tensor]:
        """The error of the gradients, where it is more than rounding; counts of negatives."""
        ...

    def accumulator(self, softmax: SoftmaxStatistics) -> Tensor:
        """Return (n, D) Σ_{j≠y} p_ij (dz_ij/du_ij)/s · w_j, once only."""
        ...

    def centre_gradients(self, softmax: SoftmaxStatistics) -> Iterator[tuple[slice, Tensor]]:
        """Make the second pass: rows of the flat centres and (rows, D) dL/dcentres, by chunks.

        The tensor is the caller's to change, until the next chunk.
        """
        ...

    def step_centres(self, softmax: SoftmaxStatistics, rule: Rule, momentum: Tensor | None) -> None:
        """Make the second pass, and move the problem's (C·K, D) centres and momentum in place.

        The gradient of all centres never exists.
        """
        ...


@dataclass(frozen=True)
class Context:
    """What the second pass over the classes needs of the first.

    Attributes:
        problem: the problem of both.
        passes: makes the second.
        softmax: probabilities of the targets, and the loss.
        embedding_gradient: (N, D) dL/dembeddings, or None without gradients.
    """

    problem: Problem
    passes: ClassPass
    softmax: SoftmaxStatistics
    embedding_gradient: Tensor | None


def forward(
    settings: PassSettings,
    problem: Problem,
    *,
    gradients: bool = True,
    workspace: Workspace | None = None,
) -> tuple[Tensor, Context]:
    """Return the scalar loss of a problem, and the context of its second pass."""
    passes = settings.first_pass(problem, gradients=gradients, workspace=workspace)
    softmax = SoftmaxStatistics.of(problem, passes.log_negatives)
    dx = embedding_gradient(problem, softmax, passes.accumulator(softmax)) if gradients else None
    return softmax.loss, Context(problem, passes, softmax, dx)


def backward(ctx: Context) -> Iterator[tuple[slice, Tensor]]:
    """Yield rows of the flat centres and their gradient, chunk by chunk."""
    return ctx.passes.centre_gradients(ctx.softmax)


def step(ctx: Context, rule: Rule, momentum: Tensor | None) -> None:
    """Move the problem's (C·K, D) centres and their momentum in place, instead of `backward`."""
    ctx.passes.step_centres(ctx.softmax, rule, momentum)


class FusedOptimiser(Protocol):
    """Moves the centres by `step`, some time after the backward pass."""

    def defer(self, ctx: Context, multiple: Tensor) -> None:
        """Remember a context until then, and the final loss's scalar derivative by its loss."""
        ...


def differentiable(
    settings: PassSettings,
    problem: Problem,
    embeddings: Tensor,
    centres: Tensor,
    *,
    gradients: bool = True,
    workspace: Workspace | None = None,
    optimiser: FusedOptimiser | None = None,
) -> tuple[Tensor, Context]:
    """Return the scalar loss of a problem for autograd, and the context of its second pass.

    Args:
        settings: how the passes are made.
        problem: made of these embeddings and centres.
        embeddings: (N, D).
        centres: the owner of the problem's centres: of their shape, unless there is an optimiser.
        gradients: whether a second pass may follow; none does where torch records no gradients.
        workspace: lends large memory.
        optimiser: moves the centres later, in place of their gradient.
    """
    gradients = gradients and torch.is_grad_enabled()
    with torch.no_grad(), torch.autocast(embeddings.device.type, enabled=False):
        loss, ctx = forward(settings, problem, gradients=gradients, workspace=workspace)
    return _Loss.apply(embeddings, centres, loss, ctx, optimiser), ctx


class _Loss(torch.autograd.Function):
    """A loss whose backward pass is the second pass over the classes."""

    @staticmethod
    def forward(
        node: Any,
        embeddings: Tensor,
        centres: Tensor,
        loss: Tensor,
        ctx: Context,
        optimiser: FusedOptimiser | None,
    ) -> Tensor:
        node.ctx, node.optimiser = ctx, optimiser
        # Autograd refuses a backward pass after one of these has been changed.
        node.save_for_backward(embeddings, centres)
        return loss.clone()

    @staticmethod
    def backward(  # type: ignore[override]
        node: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        if torch.is_grad_enabled():  # a second derivative would be wrong without a word
            raise ArcwiseError(
                "margin_softmax: got create_graph=True; this loss has first derivatives only, "
                'expected to do without, or impl="dense"'
            )
        embeddings, centres = node.saved_tensors
        (multiple,) = grad_outputs
        dx = dw = None
        with torch.autocast(embeddings.device.type, enabled=False):
            if node.needs_input_grad[0]:
                dx = (node.ctx.embedding_gradient * multiple).to(embeddings.dtype)
            if node.optimiser is not None:
                node.optimiser.defer(node.ctx, multiple)
            elif node.needs_input_grad[1]:
                dw = torch.empty_like(centres, memory_format=torch.contiguous_format)
                flat = dw.view(-1, centres.shape[-1])
                for rows, chunk in backward(node.ctx):
                    flat[rows] = chunk.mul_(multiple)
        return dx, dw, None, None, None
