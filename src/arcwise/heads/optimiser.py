"""The optimiser of the centres that is fused with the pass over the classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from arcwise.errors import ArcwiseError, NonFiniteError
from arcwise.heads.dominant import Dominant
from arcwise.heads.host_memory import host_zeros
from arcwise.softmax.flow import Context, step
from arcwise.softmax.loss import Rule, to_sphere

FIXED: dict[str, Any] = {"dampening": 0.0, "maximize": False}
"""Options of ``torch.optim.SGD`` that have one value only; saved, as it does."""


class HeadWithCentres(Protocol):
    """A head that asks its optimiser to move its centres."""

    centres: nn.Parameter
    centre_optimiser: CentreSGD | None


@dataclass(frozen=True)
class DeferredStep:
    """A pass whose embeddings have their gradient, and whose centres have not moved yet.

    Attributes:
        ctx: what the second pass needs of the first.
        factors: (2,) the pass's loss, and the derivative of the final loss by it; on the CPU.
        copied: when the factors have reached the CPU, or None where they are there already.
        version: how often the centres had been changed by then, as autograd counts.
    """

    ctx: Context
    factors: Tensor
    copied: torch.cuda.Event | None
    version: int

    def finite_multiple(self) -> float:
        """Return the derivative of the final loss, once its copy has arrived.

        Raises:
            NonFiniteError: the loss or its derivative is not finite.
        """
        if self.copied is not None:
            self.copied.synchronize()
        loss, multiple = self.factors
        if not (loss * multiple).isfinite():
            raise NonFiniteError(
                f"CentreSGD: the loss is {float(loss)}; no centre has changed, nor has the encoder "
                "where this step comes before its own"
            )
        return float(multiple)


class CentreSGD(torch.optim.Optimizer):
    """SGD with momentum over a head's centres, a chunk as soon as its gradient is there.

    The gradient of all centres, C·D numbers, never exists. The trajectory is that of
    ``torch.optim.SGD`` over ``head.centres``, and so is the state that is saved. The backward pass
    of the head's loss gives the embeddings their gradient and defers the rest to ``step()``, which
    moves the centres. There is then no gradient to clip: clipping covers the encoder.

    Args:
        head: whose centres these are.
        lr: learning rate.
        momentum: 0 for none.
        weight_decay: of the centres. Their length changes nothing but the size of a step.
        nesterov: as in ``torch.optim.SGD``; it needs a momentum.
        sphere: whether centres return to unit length after each step; they have no decay then.

    Raises:
        ArcwiseError: decay on the sphere, nesterov without momentum, or a negative number.
    """

    def __init__(
        self,
        head: HeadWithCentres,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = False,
        sphere: bool = False,
    ) -> None:
        if sphere and weight_decay:
            raise ArcwiseError(
                f"CentreSGD: weight_decay={weight_decay!r} on the sphere; expected 0, as every "
                "step ends at unit length"
            )
        if nesterov and not momentum:
            raise ArcwiseError("CentreSGD: nesterov=True with momentum=0; expected a momentum")
        defaults: dict[str, Any] = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        for name, value in defaults.items():
            if value < 0:
                raise ArcwiseError(f"CentreSGD: {name}={value!r}; expected 0 or more")
        defaults |= {"nesterov": nesterov, **FIXED}
        super().__init__([head.centres], defaults)
        self.sphere = sphere
        on_host = isinstance(getattr(head, "selection", None), Dominant)
        self._zeros = _host_zeros_like if on_host else torch.zeros_like
        self.deferred: DeferredStep | None = None
        head.centre_optimiser = self
        if sphere:
            with torch.no_grad():
                to_sphere(head.centres)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state of this class or of ``torch.optim.SGD`` over the same centres.

        Raises:
            ArcwiseError: it was made with dampening or maximize.
        """
        for group in state_dict["param_groups"]:
            for name, value in FIXED.items():
                if group.get(name, value) != value:
                    raise ArcwiseError(
                        f"CentreSGD: got a state with {name}={group[name]!r}; expected {value!r}, "
                        "as it has no other"
                    )
        super().load_state_dict(state_dict)
        state = self.state.get(self._centres, {})
        if state.get("momentum_buffer") is not None:  # torch's copy may not be where it belongs
            kept = state["momentum_buffer"]
            state["momentum_buffer"] = self._zeros(self._centres).copy_(kept)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients that no step has used."""
        super().zero_grad(set_to_none)
        self.deferred = None

    def defer(self, ctx: Context, multiple: Tensor) -> None:
        """Remember a pass until the step; the backward pass of the head's loss calls this.

        Args:
            ctx: what the second pass needs of the first.
            multiple: scalar derivative of the final loss by the pass's.

        Raises:
            ArcwiseError: there is another one that no step has used.
        """
        if self.deferred is not None:
            raise ArcwiseError(
                "CentreSGD: a second backward pass without a CentreSGD.step(); call it after each, "
                "or accumulate gradients in the ordinary mode: a head without a CentreSGD, its "
                "parameters in a torch.optim optimiser"
            )
        factors, copied = torch.stack([ctx.softmax.loss, multiple]), None
        if factors.device.type == "cuda":
            # Started now, the copy is there before the encoder's backward pass ends: the step does
            # not have to wait for that.
            factors, copied = factors.to("cpu", non_blocking=True), torch.cuda.Event()
            copied.record()
        self.deferred = DeferredStep(ctx, factors, copied, self._centres._version)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move the centres by the gradient of the last loss, if there is one.

        Returns:
            What the closure returned, if there is one: it is called first.

        Raises:
            NonFiniteError: the loss is not finite; no centre has changed.
            ArcwiseError: the centres were changed since the backward pass, or they have a gradient
                of something else than the head's loss.
        """
        result = None
        if closure is not None:
            with torch.enable_grad():
                result = closure()
        centres = self._centres
        if centres.grad is not None:
            raise ArcwiseError(
                "CentreSGD: the centres have a gradient of something other than the head's loss, "
                "which the fused step leaves out; detach them there (a regulariser of the "
                "embeddings), or give head.parameters() to a torch.optim optimiser instead"
            )
        deferred, self.deferred = self.deferred, None
        if deferred is None:
            return result
        multiple = deferred.finite_multiple()
        if centres._version != deferred.version:
            raise ArcwiseError(
                "CentreSGD: the centres changed between backward() and step(), which would move "
                "them by another point's gradient; expected nobody else to change them"
            )
        self._move(deferred, multiple)
        # The fused update does not say so: a loss of the old centres must not pass for a new one.
        torch.autograd.graph.increment_version(centres)
        return result

    def _move(self, deferred: DeferredStep, multiple: float) -> None:
        """Make the second pass, over all centres or over a copy of the sampled ones."""
        group, problem = self.param_groups[0], deferred.ctx.problem
        numbers = {name: group[name] for name in ("lr", "momentum", "weight_decay", "nesterov")}
        rule = Rule(multiple=multiple, sphere=self.sphere, **numbers)
        centres, momentum, sampled = self._centres, self._momentum(), problem.sampled
        if sampled is None:
            assert problem.centres.data_ptr() == centres.data_ptr()
            velocity = None if momentum is None else momentum.view_as(problem.centres)
            step(deferred.ctx, rule, velocity)
            return
        # The rows are distinct, so no write overtakes another. They may be in host memory.
        rows, host = sampled.to(centres.device), centres.device
        some = None if momentum is None else momentum[rows].to(problem.centres.device)
        velocity = None if some is None else some.view_as(problem.centres)
        step(deferred.ctx, rule, velocity)
        centres[rows] = problem.centres.view(len(rows), *centres.shape[1:]).to(host)
        if momentum is not None and some is not None:
            momentum[rows] = some.to(host)

    @property
    def _centres(self) -> Tensor:
        return self.param_groups[0]["params"][0]

    def _momentum(self) -> Tensor | None:
        """The buffer of all centres, None without momentum."""
        if not self.param_groups[0]["momentum"]:
            return None
        state = self.state[self._centres]
        if state.get("momentum_buffer") is None:
            state["momentum_buffer"] = self._zeros(self._centres)
        return state["momentum_buffer"]


def _host_zeros_like(centres: Tensor) -> Tensor:
    return host_zeros(tuple(centres.shape))
