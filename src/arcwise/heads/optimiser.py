"""The centres' own optimiser, inside the sweep over the classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError, NonFiniteError
from arcwise.heads.centre import CentreHead, Pending
from arcwise.softmax.rule import Rule, to_sphere

FIXED: dict[str, Any] = {"dampening": 0.0, "maximize": False}
"""What ``torch.optim.SGD`` has besides, at the only values there are here; saved, as it does."""


class CentreSGD(torch.optim.Optimizer):
    """SGD with momentum over a head's centres, a chunk as soon as its gradient is there.

    The gradient of all centres, C·D numbers, never exists. The trajectory is that of
    ``torch.optim.SGD`` over ``head.centres``, and so is the state that is saved. While it is there,
    ``head.loss(...).backward()`` gives the embeddings their gradient only; ``step()`` moves the
    centres. There is then no gradient to clip: clipping covers the encoder.

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
        head: CentreHead,
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
        self.head = head
        self.sphere = sphere
        head.swept = True
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

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients that no step has used."""
        super().zero_grad(set_to_none)
        self.head.pending = None

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move the centres by the gradient of the last loss; nothing when there is none.

        Returns:
            What the closure returned, if there is one: it is called first.

        Raises:
            NonFiniteError: the loss is not finite; no centre has changed.
            ArcwiseError: somebody else changed the centres since the backward pass, or they have a
                gradient of something beside the head's loss.
        """
        result = None
        if closure is not None:
            with torch.enable_grad():
                result = closure()
        if self.head.centres.grad is not None:
            raise ArcwiseError(
                "CentreSGD: the centres have a gradient of something beside the head's loss, which "
                "a sweep leaves out; detach them there (a regulariser of the embeddings), or give "
                "head.parameters() to a torch.optim optimiser instead"
            )
        pending, self.head.pending = self.head.pending, None
        if pending is None:
            return result
        if not (pending.swept.loss * pending.multiple).isfinite():
            raise NonFiniteError(
                f"CentreSGD: the loss is {float(pending.swept.loss)}; no centre has changed, nor "
                "has the encoder where this step comes before its own"
            )
        centres = self.head.centres
        if centres._version != pending.version:
            raise ArcwiseError(
                "CentreSGD: the centres changed between backward() and step(), which would move "
                "them by another point's gradient; expected nobody else to change them"
            )
        momentum = self._momentum()
        if pending.chosen is None:
            self._sweep(pending, centres, momentum)
        else:
            taken = pending.chosen.classes
            some = centres[taken]
            some_momentum = None if momentum is None else momentum[taken]
            self._sweep(pending, some, some_momentum)
            centres[taken] = some
            if momentum is not None and some_momentum is not None:
                momentum[taken] = some_momentum
        # The fused update does not say so: a loss of the old centres must not pass for a new one.
        torch.autograd.graph.increment_version(centres)
        return result

    def _sweep(self, pending: Pending, centres: Tensor, momentum: Tensor | None) -> None:
        group = self.param_groups[0]
        numbers = {name: group[name] for name in ("lr", "momentum", "weight_decay", "nesterov")}
        rule = Rule(multiple=float(pending.multiple), sphere=self.sphere, **numbers)
        flat = centres.view(-1, centres.shape[-1])
        moving = None if momentum is None else momentum.view_as(flat)
        pending.swept.step_centres(flat, moving, rule)

    def _momentum(self) -> Tensor | None:
        """The buffer of all centres, None without momentum."""
        if not self.param_groups[0]["momentum"]:
            return None
        state = self.state[self.head.centres]
        if state.get("momentum_buffer") is None:
            state["momentum_buffer"] = torch.zeros_like(self.head.centres)
        return state["momentum_buffer"]
