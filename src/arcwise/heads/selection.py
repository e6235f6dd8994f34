"""Which classes take part in a step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError


@dataclass(frozen=True)
class Chosen:
    """The classes of a step.

    Attributes:
        classes: (S,) ascending.
        labels: (N,) positions in `classes`, -1 for no class.
        offsets: (S,) added to the logit of a class where it is a negative, or None.
    """

    classes: Tensor
    labels: Tensor
    offsets: Tensor | None


class Selection(Protocol):
    """Selects the classes of a step."""

    def select(self, labels: Tensor, centres: Tensor) -> Chosen | None:
        """Return the classes that take part, of (C, …) centres and (N,) labels; None for all."""
        ...

    def update(self, chosen: Chosen, embeddings: Tensor, centres: Tensor) -> dict[str, float]:
        """Learn from a step in which these classes took part; return what is worth logging.

        Args:
            chosen: of this step.
            embeddings: (N, D).
            centres: (S, D) or (S, K, D), those of the chosen classes, before they move.
        """
        ...


class Stateless:
    """A selection that learns nothing from a step."""

    def update(self, chosen: Chosen, embeddings: Tensor, centres: Tensor) -> dict[str, float]:
        """Return an empty mapping."""
        return {}


@dataclass(frozen=True)
class All(Stateless):
    """Every class, in every step."""

    def select(self, labels: Tensor, centres: Tensor) -> None:
        """Return None."""
        return None


@dataclass(frozen=True)
class Sampled(Stateless):
    """The classes of the batch and random others (Partial FC, arXiv 2203.15565, section 3.2).

    A class that does not take part is left as it is, bit for bit: neither weight decay nor momentum
    moves it. Random choices come from torch's global generator.

    Attributes:
        rate: share of all classes that take part; those of the batch always do.
        correction: the logQ correction of sampled softmax: whether log(1/r) is added to the logits
            of sampled negatives, r the share of them that was taken. The sum of exponentials then
            has the right expectation. The paper has none, and its gradient is biased.
    """

    rate: float = 0.1
    correction: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise ArcwiseError(
                f"Sampled: rate={self.rate!r}; expected a share of the classes, over 0, at most 1"
            )

    def select(self, labels: Tensor, centres: Tensor) -> Chosen:
        """Return the batch's classes, and as many negatives as the rate leaves room for."""
        classes = len(centres)
        positive = torch.zeros(classes, dtype=torch.bool, device=labels.device)
        positive[labels[labels >= 0]] = True
        positives = int(positive.sum())
        negatives = classes - positives
        room = min(max(round(self.rate * classes) - positives, 0), negatives)
        order = torch.rand(classes, device=labels.device).masked_fill_(positive, 2.0)
        taken = order.topk(positives + room).indices.sort().values
        place = torch.full((classes,), -1, device=labels.device)
        place[taken] = torch.arange(len(taken), device=labels.device)
        offsets = None
        if self.correction and room:
            offsets = torch.where(positive[taken], 0.0, math.log(negatives / room))
        return Chosen(taken, torch.where(labels >= 0, place[labels], -1), offsets)
