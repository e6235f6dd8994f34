"""What a softmax over centres asks of a margin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor

State = Mapping[str, Tensor]
"""Running statistics that a head keeps for its margin; empty for most."""


class Margin:
    """No margin at all: each method answers for a method that has nothing to say there.

    A margin is a frozen dataclass on top of this one and states only what it changes.
    """

    def initial(self) -> dict[str, Tensor]:
        """The running statistics before the first step; the head keeps them as buffers."""
        return {}

    def observe(self, cos: Tensor, norm: Tensor, state: State) -> dict[str, Tensor]:
        """The state of this step, from (N,) target cosines and lengths and the state so far.

        Given the labelled rows of the step only, and before `target` and `others`, which are then
        given its answer. Whatever is random is drawn here, so that those two are pure.
        """
        return dict(state)

    def target(
        self, cos: Tensor, norm: Tensor, state: State
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """(N,) target cosines and embedding lengths → value, slope, slope by length (None: 0).

        A state without this margin's statistics stands for `initial()`.
        """
        return cos, torch.ones_like(cos), None

    def others(self, cos: Tensor, value: Tensor, state: State) -> tuple[Tensor, Tensor | None]:
        """(N, K) other cosines, (N,) target values → value, slope.

        Unchanged others are the same tensor with slope None, for 1. No value is above the larger
        of 1 and this function's at cos = -1 and cos = 1, which is how a softmax bounds its logits.
        """
        return cos, None

    def penalty(self, norm: Tensor) -> tuple[Tensor, Tensor] | None:
        """(N,) embedding lengths → value and slope of what the loss adds the mean of, weighted."""
        return None

    def at(self, strength: float) -> Self:
        """This margin at a fraction of its strength; 0 is no margin, 1 is itself."""
        return self
