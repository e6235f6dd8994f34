"""The objectives there are: over class centres, between samples, and regularisers."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from arcwise.encoders.interface import EncoderOutput
from arcwise.errors import ArcwiseError
from arcwise.heads import CentreHead, LinearHead
from arcwise.objectives.objective import Batch
from arcwise.pairs import PairLoss, Triplet
from arcwise.regularisers import CentreLoss, inter, intra

Head = CentreHead | LinearHead


class ClassCentres(nn.Module):
    """The softmax loss of a head over its class centres.

    Attributes:
        head: owns the centres.
        margin_scale: fraction of the margin in force.
    """

    columns: tuple[str, ...] = ()

    def __init__(self, head: Head) -> None:
        super().__init__()
        self.head = head
        self.margin_scale = 1.0

    def loss(self, output: EncoderOutput, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the head's loss, and its metrics of that loss, such as a truncation error."""
        loss = self.head.loss(output.embedding, batch.labels, self.margin_scale)
        return loss, {name: torch.as_tensor(value) for name, value in self.head.metrics.items()}

    def set_margin_scale(self, margin_scale: float) -> None:
        """Set the fraction of the margin in force, for margin warm-up."""
        self.margin_scale = margin_scale


class BetweenSamples(nn.Module):
    """A loss between the samples of a batch, such as `pairs.Triplet(margin=0.35)`.

    Under several processes each forms the pairs of its own part of the batch.

    Attributes:
        pair_loss: the loss and its numbers.
    """

    def __init__(self, pair_loss: PairLoss, across: str = "") -> None:
        """Take the loss, and the column whose values the two of every pair differ in.

        Such a column needs a `pairs.Triplet`.
        """
        super().__init__()
        self.pair_loss = pair_loss
        self.columns: tuple[str, ...] = (across,) if across else ()

    def loss(self, output: EncoderOutput, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss over the batch's pairs or triplets, and how many of them counted."""
        if not self.columns:
            return self.pair_loss.loss(output.embedding, batch.labels)
        assert isinstance(self.pair_loss, Triplet)
        (groups,) = (batch.columns[name] for name in self.columns)
        return self.pair_loss.loss(output.embedding, batch.labels, groups=groups)

    def set_margin_scale(self, margin_scale: float) -> None:
        """Have no effect: margin warm-up concerns class centres."""


class Regulariser(nn.Module):
    """A regulariser: ``"intra"`` or ``"inter"`` of a head's centres, or a `CentreLoss`.

    The intra-loss and the inter-loss are computed with the centres of a head and move them too. To
    add one to the loss of that head, give both to a `WeightedSum`:

        head = CentreHead(classes, dim, margin=ArcFace(0.5))
        WeightedSum({
            "arcface": (ClassCentres(head), 1.0),
            "intra": (Regulariser("intra", head), 1.0),
        })

    A `CentreLoss` has centres of its own, which follow the embeddings: ``Regulariser(CentreLoss(
    classes, dim, alpha=0.5))``.
    """

    columns: tuple[str, ...] = ()

    def __init__(
        self, term: CentreLoss | Literal["intra", "inter"], head: Head | None = None
    ) -> None:
        """Take the term, and for ``"intra"`` and ``"inter"`` the head that owns the centres.

        Raises:
            ArcwiseError: an unknown term, no head where one is needed or one where it is not, or a
                head with several centres a class.
        """
        super().__init__()
        self.term = term
        if isinstance(term, CentreLoss):
            if head is not None:
                raise ArcwiseError(
                    "Regulariser: got a head for a CentreLoss, which has centres of its own; "
                    "expected none"
                )
        elif term not in ("intra", "inter"):
            raise ArcwiseError(
                f'Regulariser: got {term!r}; expected "intra", "inter" or a CentreLoss'
            )
        elif head is None:
            raise ArcwiseError(
                f"Regulariser: got {term!r} without a head; expected the one whose centres it is "
                "computed with"
            )
        elif isinstance(head, CentreHead) and head.centres.ndim > 2:
            raise ArcwiseError(
                f"Regulariser: got {term!r} with {head.centres.shape[1]} sub-centres a class; "
                "expected a head with one centre a class"
            )
        # Not a submodule: the head belongs to its own term, and is saved there once.
        self.__dict__["head"] = head

    def loss(self, output: EncoderOutput, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the regulariser's value; it has no metrics beyond that."""
        if isinstance(self.term, CentreLoss):
            return self.term(output.embedding, batch.labels), {}
        head: Head = self.__dict__["head"]
        centres = head.centres if isinstance(head, CentreHead) else head.weight
        if self.term == "intra":
            return intra(output.embedding, centres, batch.labels), {}
        return inter(centres, batch.labels), {}

    def set_margin_scale(self, margin_scale: float) -> None:
        """Have no effect: there is no margin."""
