"""What a softmax over centres asks of a margin, and the margin that is none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Self, get_args

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError

State = Mapping[str, Tensor]
"""Running statistics that a head keeps for its margin; empty for most."""


class Margin:
    """The margin logit is the target cosine, and the negatives keep their cosines.

    A margin is a frozen dataclass on top of this one and states only what it changes.
    """

    def initial(self) -> dict[str, Tensor]:
        """Return the running statistics before the first step; the head keeps them as buffers."""
        return {}

    def of_classes(self, sizes: Tensor) -> dict[str, Tensor]:
        """Return what the margin needs of every class, (C,) each; nothing for most.

        The head keeps it, and the state of a step has the entries of its samples' classes.

        Args:
            sizes: (C,) images of every class.
        """
        return {}

    def observe(self, cos: Tensor, norm: Tensor, state: State) -> dict[str, Tensor]:
        """Return the state of this step.

        It is called before `target` and `negatives`, which are then given its result. Whatever is
        random is drawn here, so that those two are pure.

        Args:
            cos: (N,) target cosines of the labelled rows only.
            norm: (N,) lengths of their embeddings.
            state: the state so far.
        """
        return dict(state)

    def target(
        self, cos: Tensor, norm: Tensor, state: State
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the margin logit ψ, its derivative, and its derivative by length (None for 0).

        A state without this margin's statistics stands for `initial()`.

        Args:
            cos: (N,) target cosines.
            norm: (N,) lengths of the embeddings.
            state: what `observe` returned.
        """
        return cos, torch.ones_like(cos), None

    def negatives(self, cos: Tensor, psi: Tensor, state: State) -> tuple[Tensor, Tensor | None]:
        """Return the cosines to negatives as they count in the softmax, and their derivative.

        Unchanged cosines are the same tensor with the derivative None, for 1. No result is above
        the larger of 1 and this function's at cos = -1 and cos = 1, by which a softmax bounds its
        logits.

        Args:
            cos: (N, K) cosines to classes that are not the target.
            psi: (N,) margin logits of the targets.
            state: what `observe` returned.
        """
        return cos, None

    def penalty(self, norm: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return the penalty of (N,) embedding lengths and its derivative, or None for none.

        The loss adds its mean.
        """
        return None

    def scaled(self, margin_scale: float) -> Self:
        """Return the margin for warm-up: none at a margin scale of 0, itself at 1."""
        return self


@dataclass(frozen=True)
class NormSoftmax(Margin):
    """No margin: the softmax of scaled cosines (NormFace, arXiv 1704.06369; ArcFace eq. 2)."""


def check_range(
    margin: object, field: str, low: float, high: float = math.inf, unit: str = ""
) -> None:
    """Refuse a field that is no number in low..high, NaN included; without a high, infinity too."""
    value = getattr(margin, field)
    number = float(value) if isinstance(value, Real) else math.nan
    if low <= number <= high and number < math.inf:
        return
    span = f"{low:.4g} to {high:.4g}" if high < math.inf else f"{low:.4g} or more"
    expected = f"{span} {unit}".rstrip()
    raise ArcwiseError(f"{type(margin).__name__}: {field}={value!r}; expected {expected}")


def check_choice(margin: object, field: str, choices: Any) -> None:
    """Refuse a field that is none of a Literal's names."""
    value = getattr(margin, field)
    if value not in get_args(choices):
        expected = " or ".join(f'"{name}"' for name in get_args(choices))
        raise ArcwiseError(f"{type(margin).__name__}: {field}={value!r}; expected {expected}")
