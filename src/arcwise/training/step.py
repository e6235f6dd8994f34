"""One step of training: a batch becomes a loss, a gradient and an update, or a clear error.

A step that is not finite must leave no weight and no running statistic changed, and the error must
name the layer and the batch. A step that is finite must not pay for that: copies of all statistics
cost a kernel each, and a look at the loss makes a GPU wait. So there are two ways to make a step.

The usual way copies nothing. On a CPU, where a look costs nothing, it raises `NonFiniteError`
before the weights move. On a GPU it only says, in a tensor, whether the step was finite. The loop
looks at that where it has to wait anyway: before it logs, validates or saves.

Once a step was not finite, the loop goes back to the last checkpoint, which was saved after such a
look, and repeats the steps carefully, up to the one that fails. They are the same steps: batches,
crops and draws are functions of the seed and the step. A careful step keeps a copy of the
statistics, looks at every loss before the backward pass, restores what has changed and names the
layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from arcwise import distributed
from arcwise.encoders.interface import encoder_output
from arcwise.errors import NonFiniteError
from arcwise.heads import CentreSGD
from arcwise.objectives import Batch, Objective


@dataclass(frozen=True)
class StepResult:
    """What a step measured: detached scalars on the device, which nobody has waited for.

    Attributes:
        loss: of the batch.
        gradient: norm of the gradient before clipping; of the encoder's only, where a fused
            optimiser moves the centres.
        sound: whether both are finite.
        metrics: what the objective says, by name.
    """

    loss: Tensor
    gradient: Tensor
    sound: Tensor
    metrics: dict[str, Tensor]

    def numbers(self) -> dict[str, float]:
        """Return all of it as numbers for the log; a GPU is waited for."""
        values = {"loss": self.loss, "gradient": self.gradient} | self.metrics
        return {name: float(value) for name, value in values.items()}


def update(
    encoder: nn.Module,
    objective: Objective,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    *,
    max_grad_norm: float,
    autocast: AbstractContextManager[object],
    centres: CentreSGD | None = None,
    careful: bool = False,
) -> StepResult:
    """Make a forward pass, a backward pass and one step of the optimisers.

    Args:
        encoder: in training mode; (N, 3, H, W) → (N, D).
        objective: what is minimised.
        optimiser: over the parameters of both, or all but the class centres.
        batch: images, labels and columns on the encoder's device.
        max_grad_norm: largest norm of the whole gradient, 0 for any.
        autocast: the arithmetic of the encoder.
        centres: the fused optimiser of the class centres, where there is one.
        careful: whether to look at everything, and to undo a step that is not finite.

    Raises:
        NonFiniteError: a loss or gradient that is not finite, on a CPU or in a careful step; no
            weight has changed and, in a careful step, no statistic.
    """
    modules = [one for one in (encoder, objective) if isinstance(one, nn.Module)]
    statistics = [buffer for one in modules for buffer in one.buffers()] if careful else []
    before = [buffer.clone() for buffer in statistics]  # the forward pass moves them
    try:
        with autocast:
            output = encoder_output(encoder(batch.images))
        loss, metrics = objective.loss(output, batch)
        if careful:
            _look_at_loss(loss.detach(), encoder, batch.images, autocast)
        optimiser.zero_grad()
        if centres:
            centres.zero_grad()
        loss.backward()
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        distributed.average_gradients(parameters)
        norm = get_total_norm([p.grad for p in parameters if p.grad is not None])
        sound = loss.detach().isfinite() & norm.isfinite()
        if (careful or not sound.is_cuda) and distributed.anywhere(not bool(sound)):
            where = f" ({_blame_gradient(modules)})" if careful else ""
            raise NonFiniteError(f"the gradient is not finite{where}")
    except NonFiniteError:
        for buffer, kept in zip(statistics, before, strict=True):
            buffer.copy_(kept)
        if centres:
            centres.zero_grad()  # the update that this step will not make
        raise
    if isinstance(objective, nn.Module):
        distributed.average_statistics(objective)
    if max_grad_norm:
        clip_grads_with_norm_(parameters, max_grad_norm, norm)
    optimiser.step()
    if centres:
        centres.step()
    return StepResult(loss.detach(), norm, sound, metrics)


def _look_at_loss(
    loss: Tensor, encoder: nn.Module, images: Tensor, autocast: AbstractContextManager[object]
) -> None:
    """Refuse a loss that is not finite on any rank."""
    finite = bool(loss.isfinite())
    if distributed.anywhere(not finite):
        if finite:
            raise NonFiniteError("the loss of another process is not finite")
        where = _blame_output(encoder, images, autocast)
        raise NonFiniteError(f"the loss is {float(loss)} ({where})")


@torch.no_grad()
def _blame_output(
    encoder: nn.Module, images: Tensor, autocast: AbstractContextManager[object]
) -> str:
    """The first layer, in the order of computation, whose output is not finite, in words."""
    broken: list[str] = []

    def watch(name: str):
        def hook(module: nn.Module, args: object, output: object) -> None:
            tensors: Sequence[object] = output if isinstance(output, tuple) else (output,)
            if not all(t.isfinite().all() for t in tensors if isinstance(t, Tensor)) and not broken:
                broken.append(name)

        return hook

    if not images.isfinite().all():
        return "the images themselves are not finite"
    leaves = [(n, m) for n, m in encoder.named_modules() if not list(m.children())]
    handles = [module.register_forward_hook(watch(name)) for name, module in leaves]
    try:
        with autocast:
            output = encoder_output(encoder(images))
    finally:
        for handle in handles:
            handle.remove()
    if broken:
        return f"first in layer {broken[0]}"
    if not output.embedding.isfinite().all():
        return "after the encoder's last layer"
    return "the encoder's output is finite: in the objective"


def _blame_gradient(modules: Sequence[nn.Module]) -> str:
    """The last layer whose gradient is not finite, where the backward pass met it first."""
    for owner, module in reversed([*zip(("encoder", "objective"), modules, strict=False)]):
        for name, parameter in reversed(list(module.named_parameters())):
            if parameter.grad is not None and not parameter.grad.isfinite().all():
                return f"first at layer {owner}.{name}"
    return "in its norm only"


def sentence(
    error: NonFiniteError, step: int, names: Sequence[str], remedies: Sequence[str]
) -> NonFiniteError:
    """Return the error with its step and batch, and what to do: one of the remedies."""
    batch = ", ".join(names[:4]) + (f" … ({len(names)} images)" if len(names) > 4 else "")
    what = (
        f"To go on, {' or '.join(remedies)}; the run goes back to the last weights that are of use"
        if remedies
        else "No update was made yet, so it is not --lr: look at what the run begins with (--init, "
        "--scale, --margin, --encoder.mean, --encoder.std)"
    )
    return NonFiniteError(f"step {step}: {error}; batch: {batch}. {what}")
