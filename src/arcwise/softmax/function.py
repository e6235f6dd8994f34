"""margin_softmax(), the loss over all classes, and the flow of a step through its implementations.

A step has three phases. `problem.prepare` makes the target logits. An implementation's `forward`
passes over the classes: the log-sum-exp of the negatives, the loss, and the embeddings' gradient.
Its `backward` passes over them again for the centres' gradient, or its `step` does and moves the
centres at once, as an optimiser that is fused with the pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Protocol, get_args

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.margins import Margin
from arcwise.softmax.dense import dense
from arcwise.softmax.loss import Rule, SoftmaxStatistics
from arcwise.softmax.problem import Problem, prepare
from arcwise.softmax.streaming import Streaming, Workspace
from arcwise.softmax.triton import Triton, available
from arcwise.softmax.truncated import Truncated

ImplementationName = Literal["auto", "dense", "streaming", "truncated", "triton"]


class Context(Protocol):
    """What the second pass over the classes needs of the first."""

    @property
    def problem(self) -> Problem:
        """The problem of both passes."""
        ...

    @property
    def softmax(self) -> SoftmaxStatistics:
        """Probabilities of the targets, and the loss."""
        ...

    @property
    def embedding_gradient(self) -> Tensor | None:
        """(N, D) dL/dembeddings, or None without gradients."""
        ...

    @property
    def metrics(self) -> dict[str, float]:
        """The error of the gradients, where it is more than rounding."""
        ...


class ClassPass(Protocol):
    """Makes the two passes over the classes."""

    def forward(
        self, problem: Problem, *, gradients: bool = True, workspace: Workspace | None = None
    ) -> tuple[Tensor, Context]:
        """Return the scalar loss, and the context of the second pass.

        Without `gradients` there is no second pass. Large memory is taken from the workspace.
        """
        ...

    def backward(self, ctx: Any) -> Iterator[tuple[slice, Tensor]]:
        """Yield rows of the flat centres and (rows, D) dL/dcentres, chunk by chunk.

        The tensor is the caller's to change, until the next one is asked for.
        """
        ...

    def step(self, ctx: Any, rule: Rule, momentum: Tensor | None) -> None:
        """Move the problem's (C·K, D) centres, and their momentum, in place.

        It takes the place of `backward`. The gradient of all centres never exists.
        """
        ...


class FusedOptimiser(Protocol):
    """Moves the centres by `ClassPass.step`, some time after the backward pass."""

    def defer(self, passes: ClassPass, ctx: Context, multiple: Tensor) -> None:
        """Remember the pass whose loss has the scalar derivative `multiple`."""
        ...


Implementation = ImplementationName | ClassPass


def margin_softmax(
    embeddings: Tensor,
    centres: Tensor,
    labels: Tensor,
    *,
    margin: Margin,
    scale: float = 64.0,
    impl: Implementation = "auto",
    state: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Mean cross-entropy of scaled cosines to class centres, the target's after its margin.

    L = 1/N Σ_i [ log( e^{s ψ(cos θ_{i,y})} + Σ_{j≠y} e^{s cos θ_ij} ) - s ψ(cos θ_{i,y}) ],
    ArcFace (arXiv 1801.07698) equations 2 to 4 for the margins' ψ.

    Args:
        embeddings: (N, D), any float type, any length; directions are what counts.
        centres: (C, D), likewise; or (C, K, D), K sub-centres a class, of which the nearest counts
            (Sub-center ArcFace, ECCV 2020).
        labels: (N,) int64 in 0..C-1, or -1 for a row without a class, which adds nothing; the
            mean is over the others, and 0 when there are none. They may stay on the CPU, where
            reading them waits for no GPU.
        margin: the margin of the target; see `arcwise.margins`.
        scale: s, the inverse temperature.
        impl: how it is computed. ``"dense"`` is the readable reference, all N·C logits at once;
            ``"streaming"`` passes over the classes in chunks, with the same numbers; ``"triton"``
            does on a GPU, its products in 16 bits. ``"auto"`` takes ``"triton"`` where it can and
            ``"streaming"`` elsewhere. ``"truncated"`` has the same loss and leaves the smallest
            entries out of the gradient. An object, say ``Streaming(keep="none")`` or
            ``Triton(precision="fp32")``, settles how in detail.
        state: the margin's running statistics, where it has some; without them it is at their
            start. A `CentreHead` keeps them. Without a head the caller does: `margin.observe` moves
            them on, and draws ElasticFace's margins.

    Returns:
        A scalar in float32 or, for float64 inputs, float64; gradients reach both inputs. A zero
        row has cosine 0 to everything and gradient 0.

    Raises:
        ArcwiseError: shapes, labels or a scale that cannot be, or an unknown implementation.
    """
    labels = checked_labels(embeddings, centres, labels)
    check_margin("margin_softmax", margin, scale)
    if impl == "dense":
        return dense(embeddings, centres, labels, margin, scale, state or {})
    passes = implementation(impl, centres.device)
    problem = prepare(embeddings, centres, labels, margin, scale, state or {})
    needed = embeddings.requires_grad or centres.requires_grad
    return differentiable(passes, problem, embeddings, centres, gradients=needed)[0]


def differentiable(
    passes: ClassPass,
    problem: Problem,
    embeddings: Tensor,
    centres: Tensor,
    *,
    gradients: bool = True,
    workspace: Workspace | None = None,
    optimiser: FusedOptimiser | None = None,
) -> tuple[Tensor, Context]:
    """Return the scalar loss of a problem for autograd, and the context of its passes.

    Args:
        passes: makes them.
        problem: made of these embeddings and centres.
        embeddings: (N, D).
        centres: what owns the problem's centres: in their shape, unless there is an optimiser.
        gradients: whether a second pass may follow; none does where torch records no gradients.
        workspace: lends large memory.
        optimiser: moves the centres later, in place of their gradient.
    """
    gradients = gradients and torch.is_grad_enabled()
    with torch.no_grad(), torch.autocast(embeddings.device.type, enabled=False):
        loss, ctx = passes.forward(problem, gradients=gradients, workspace=workspace)
    return _SecondPass.apply(embeddings, centres, loss, passes, ctx, optimiser), ctx


class _SecondPass(torch.autograd.Function):
    """A loss whose backward pass is the second pass over the classes."""

    @staticmethod
    def forward(
        ctx: Any,
        embeddings: Tensor,
        centres: Tensor,
        loss: Tensor,
        passes: ClassPass,
        first: Context,
        optimiser: FusedOptimiser | None,
    ) -> Tensor:
        ctx.passes, ctx.first, ctx.optimiser = passes, first, optimiser
        # Saved because autograd then refuses a backward pass after somebody has changed them.
        ctx.save_for_backward(embeddings, centres)
        return loss.clone()

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, Tensor | None, None, None, None, None]:
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
                dx = (ctx.first.embedding_gradient * multiple).to(embeddings.dtype)
            if ctx.optimiser is not None:
                ctx.optimiser.defer(ctx.passes, ctx.first, multiple)
            elif ctx.needs_input_grad[1]:
                dw = torch.empty_like(centres, memory_format=torch.contiguous_format)
                flat = dw.view(-1, centres.shape[-1])
                for rows, chunk in ctx.passes.backward(ctx.first):
                    flat[rows] = chunk.mul_(multiple)
        return dx, dw, None, None, None, None


def implementation(impl: Implementation, device: torch.device) -> ClassPass:
    """Return the object that makes the passes on this device."""
    if not isinstance(impl, str | type) and hasattr(impl, "forward"):
        return impl
    if impl not in get_args(ImplementationName):
        names = ", ".join(f'"{name}"' for name in get_args(ImplementationName))
        raise ArcwiseError(
            f"margin_softmax: impl={impl!r}; expected one of {names}, or an object like Streaming()"
        )
    if impl == "truncated":
        return Truncated()
    if impl == "triton" or (impl == "auto" and available(device)):
        return Triton()
    return Streaming()


def check_margin(caller: str, margin: Margin, scale: float) -> None:
    """Refuse what is no margin or no scale."""
    if not isinstance(margin, Margin):
        raise ArcwiseError(
            f"{caller}: got margin={margin!r}; expected one of arcwise.margins, say ArcFace(0.5)"
        )
    if not 0 < scale < math.inf:
        raise ArcwiseError(f"{caller}: got scale={scale!r}; expected a positive number")


def checked_labels(embeddings: Tensor, centres: Tensor, labels: Tensor) -> Tensor:
    """Return the labels on the CPU, if embeddings, centres and labels fit together.

    The range of the labels is checked where it costs no further wait. Those given on a GPU are
    copied to the CPU once, and the copy serves all of the step.
    """
    if (
        embeddings.ndim != 2
        or centres.ndim not in (2, 3)
        or embeddings.shape[1] != centres.shape[-1]
    ):
        raise ArcwiseError(
            f"margin_softmax: got embeddings {tuple(embeddings.shape)} and centres "
            f"{tuple(centres.shape)}; expected (N, D) and (C, D) or (C, K, D) with the same D"
        )
    if labels.shape != embeddings.shape[:1] or labels.dtype != torch.int64:
        raise ArcwiseError(
            f"margin_softmax: got labels {tuple(labels.shape)} of {labels.dtype}; expected "
            f"({embeddings.shape[0]},) of torch.int64"
        )
    labels = labels.cpu()
    if len(labels):
        least, most = (int(end) for end in labels.aminmax())
        if least < -1 or most >= len(centres):
            raise ArcwiseError(
                f"margin_softmax: got labels from {least} to {most}; expected 0 to "
                f"{len(centres) - 1} for {len(centres)} classes, or -1 for none"
            )
    return labels
