"""One step of training: a batch becomes a loss, a gradient and an update, or a clear error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from arcwise import distributed
from arcwise.errors import NonFiniteError
from arcwise.heads import CentreSGD


class Head(Protocol):
    """What a step asks of a head."""

    def loss(self, embeddings: Tensor, labels: Tensor, margin_scale: float = 1.0) -> Tensor:
        """(N, D), (N,) → scalar."""
        ...


def update(
    encoder: nn.Module,
    head: Head,
    optimiser: torch.optim.Optimizer,
    inputs: Tensor,
    labels: Tensor,
    *,
    strength: float,
    clip: float,
    autocast: AbstractContextManager[object],
    centres: CentreSGD | None = None,
) -> tuple[float, float]:
    """Forward, backward and one step of the optimisers.

    Args:
        encoder: in training mode; (N, 3, H, W) → (N, D).
        head: the class centres.
        optimiser: over the parameters of both, or of the encoder only.
        inputs: (N, 3, H, W).
        labels: (N,) int64.
        strength: fraction of the margin in force.
        clip: largest norm of the whole gradient, 0 for any.
        autocast: the arithmetic of the encoder.
        centres: over the head's, where a sweep moves them.

    Returns:
        The loss and the norm of the gradient before clipping; of the encoder's with `centres`.

    Raises:
        NonFiniteError: a loss or gradient that is not finite; no weight or statistic has changed.
    """
    statistics = [*encoder.buffers(), *(head.buffers() if isinstance(head, nn.Module) else ())]
    before = [buffer.clone() for buffer in statistics]  # the forward pass moves them
    try:
        with autocast:
            embeddings = encoder(inputs)
        loss = head.loss(embeddings, labels, strength)
        value = float(loss.detach())
        if distributed.anywhere(not math.isfinite(value)):
            if math.isfinite(value):
                raise NonFiniteError("the loss of another process is not finite")
            where = _blame_output(encoder, inputs, autocast)
            raise NonFiniteError(f"the loss is {value} ({where})")
        optimiser.zero_grad()
        if centres:
            centres.zero_grad()
        loss.backward()
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        distributed.average_gradients(parameters)
        norm = get_total_norm([p.grad for p in parameters if p.grad is not None])
        if not math.isfinite(norm):
            raise NonFiniteError(f"the gradient is not finite ({_blame_gradient(encoder, head)})")
    except NonFiniteError:
        for buffer, kept in zip(statistics, before, strict=True):
            buffer.copy_(kept)
        if centres:
            centres.zero_grad()  # the sweep that this step will not make
        raise
    if isinstance(head, nn.Module):
        distributed.average_statistics(head)
    if clip:
        clip_grads_with_norm_(parameters, clip, norm)
    optimiser.step()
    if centres:
        centres.step()
    return value, float(norm)


@torch.no_grad()
def _blame_output(
    encoder: nn.Module, inputs: Tensor, autocast: AbstractContextManager[object]
) -> str:
    """The first layer, in the order of computation, whose output is not finite, in words."""
    found: list[str] = []

    def watch(name: str):
        def hook(module: nn.Module, args: object, output: object) -> None:
            tensors: Sequence[object] = output if isinstance(output, tuple) else (output,)
            broken = any(isinstance(t, Tensor) and not t.isfinite().all() for t in tensors)
            if broken and not found:
                found.append(name)

        return hook

    if not inputs.isfinite().all():
        return "the pictures themselves are not finite"
    leaves = [(n, m) for n, m in encoder.named_modules() if not list(m.children())]
    handles = [module.register_forward_hook(watch(name)) for name, module in leaves]
    try:
        with autocast:
            output = encoder(inputs)
    finally:
        for handle in handles:
            handle.remove()
    if found:
        return f"first in layer {found[0]}"
    if not output.isfinite().all():
        return "after the encoder's last layer"
    return "the encoder's output is finite: in the head"


def _blame_gradient(encoder: nn.Module, head: Head) -> str:
    modules = {"encoder": encoder} | ({"head": head} if isinstance(head, nn.Module) else {})
    for owner, module in reversed(modules.items()):
        for name, parameter in reversed(list(module.named_parameters())):
            if parameter.grad is not None and not parameter.grad.isfinite().all():
                return f"first at layer {owner}.{name}"
    return "in its norm only"


def sentence(
    error: NonFiniteError, step: int, names: Sequence[str], remedies: Sequence[str]
) -> NonFiniteError:
    """The error with its step and batch, and what to do: one of the remedies, if any helps."""
    batch = ", ".join(names[:4]) + (f" … ({len(names)} pictures)" if len(names) > 4 else "")
    what = (
        f"To go on, {' or '.join(remedies)}; the run goes back to the last weights that are of use"
        if remedies
        else "No update was made yet, so it is not --lr: look at what the run begins with (--init, "
        "--scale, --margin, --mean, --std)"
    )
    return NonFiniteError(f"step {step}: {error}; batch: {batch}. {what}")
