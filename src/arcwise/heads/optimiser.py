"""The centres' own optimiser, inside the sweep over the classes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim.sgd import sgd

from arcwise.errors import ArcwiseError, NonFiniteError
from arcwise.heads.centre import CentreHead, Pending


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
        nesterov: as in ``torch.optim.SGD``.
        sphere: whether centres return to unit length after each step; they have no decay then.

    Raises:
        ArcwiseError: decay on the sphere.
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
        defaults = {
            "lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov,
        }  # fmt: skip
        super().__init__([head.centres], defaults)
        self.head = head
        self.sphere = sphere
        head.swept = True
        if sphere:
            with torch.no_grad():
                _to_sphere(head.centres)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients that no step has used."""
        super().zero_grad(set_to_none)
        self.head.pending = None

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move the centres by the gradient of the last loss; nothing when there is none.

        Raises:
            NonFiniteError: the loss is not finite; no centre has changed.
        """
        pending, self.head.pending = self.head.pending, None
        if pending is None:
            return
        if not (pending.swept.loss * pending.multiple).isfinite():
            raise NonFiniteError(f"the loss is {float(pending.swept.loss)}; no centre has changed")
        centres, momentum = self.head.centres, self._momentum()
        if pending.chosen is None:
            self._sweep(pending, centres, momentum)
            return
        taken = pending.chosen.classes
        some, its_momentum = centres[taken], momentum[taken]
        self._sweep(pending, some, its_momentum)
        centres[taken] = some
        momentum[taken] = its_momentum

    def _sweep(self, pending: Pending, centres: Tensor, momentum: Tensor) -> None:
        group = self.param_groups[0]
        rule = {name: group[name] for name in ("lr", "momentum", "weight_decay", "nesterov")}
        flat, moving = (part.view(-1, part.shape[-1]) for part in (centres, momentum))
        multiple = float(pending.multiple)
        for rows, gradient in pending.swept.centre_gradients():
            if multiple != 1.0:
                gradient.mul_(multiple)
            sgd(
                [flat[rows]], [gradient], [moving[rows]],
                fused=True, maximize=False, dampening=0.0, **rule,
            )  # fmt: skip
            if self.sphere:
                _to_sphere(flat[rows])

    def _momentum(self) -> Tensor:
        state = self.state[self.head.centres]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(self.head.centres)
        return state["momentum_buffer"]


def _to_sphere(centres: Tensor) -> None:
    length = torch.linalg.vector_norm(centres, dim=-1, keepdim=True)
    centres.div_(torch.where(length > 0, length, 1.0))
