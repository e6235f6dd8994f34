"""Pairs pulled together and pushed apart: the contrastive losses and the circle loss."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.pairs.pairwise import (
    AnchorBlock,
    BlockSums,
    Distance,
    check_margin,
    checked_labels,
    distance_of,
    pairwise_loss,
)


@dataclass(frozen=True)
class Contrastive:
    """Half the mean of d² over same pairs, and half that of max(0, margin - d)² over close others.

    Hadsell, Chopra and LeCun, CVPR 2006, equation 4, with one mean for each kind: summed together,
    the few same pairs of a batch would drown in the others. Of the different pairs the active ones
    are averaged, those closer than the margin.

    Attributes:
        margin: how far apart samples of different identities have to be, in units of `distance`.
        distance: ``"euclidean"``, ‖a - b‖ of the rows at unit length, 0 to 2; or ``"angular"``, θ.
    """

    margin: float = 1.0
    distance: Distance = "euclidean"

    def __post_init__(self) -> None:
        check_margin("Contrastive", self.margin)
        distance_of("Contrastive", self.distance, squared=False)

    def loss(
        self, embeddings: Tensor, labels: Tensor, *, chunk: int = 256
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, and how many negative pairs were active.

        Args:
            embeddings: (N, D), any float type, any length; directions are what counts.
            labels: (N,) int64, -1 for a row without a class, which is in no pair.
            chunk: anchors at a time; memory is chunk×N, and the loss does not depend on it.

        Returns:
            A scalar in float32 or, for float64 embeddings, float64; and ``active_negatives``. A
            zero row is at 90° to everything and has gradient 0.

        Raises:
            ArcwiseError: shapes or labels that do not fit.
        """
        labels = checked_labels("Contrastive", embeddings, labels, chunk)
        measure = distance_of("Contrastive", self.distance, squared=False)

        def sums(block: AnchorBlock) -> BlockSums:
            far = measure(block.cosines)
            positives = 0.5 * far[block.same].square()
            negatives = 0.5 * (self.margin - far[block.different]).relu().square()
            active = (negatives > 0).sum()
            terms = [(positives.sum(), block.same.sum()), (negatives.sum(), active)]
            return BlockSums(terms, {"active_negatives": active})

        return pairwise_loss(embeddings, labels, sums, chunk)


@dataclass(frozen=True)
class SupervisedContrastive:
    """Mean over anchors of -1/|P| Σ_p log( e^{cos_ap/T} / Σ_{b≠a} e^{cos_ab/T} ).

    Khosla et al., NeurIPS 2020 (arXiv 2004.11362), equation 2: the mean over an anchor's positives
    is outside the logarithm. Anchors without a positive are not counted; they still are others'
    negatives.

    Attributes:
        temperature: T.
    """

    temperature: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.temperature < math.inf:
            raise ArcwiseError(
                f"SupervisedContrastive: got temperature={self.temperature!r}; expected a "
                "positive number"
            )

    def loss(
        self, embeddings: Tensor, labels: Tensor, *, chunk: int = 256
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, and how many anchors had a positive.

        Args:
            embeddings: (N, D), any float type, any length; directions are what counts. Views of
                one image are rows with one label.
            labels: (N,) int64, -1 for a row without a class, which is neither positive nor
                negative.
            chunk: anchors at a time; memory is chunk×N, and the loss does not depend on it.

        Returns:
            A scalar in float32 or, for float64 embeddings, float64, 0 with gradient 0 where no row
            has a positive; and ``anchors``. A zero row has cosine 0 to everything and gradient 0.

        Raises:
            ArcwiseError: shapes or labels that do not fit.
        """
        labels = checked_labels("SupervisedContrastive", embeddings, labels, chunk)

        def sums(block: AnchorBlock) -> BlockSums:
            paired = block.same.any(1)
            same = block.same[paired]
            logits = block.cosines[paired] / self.temperature
            every = logits.masked_fill(~(same | block.different[paired]), -math.inf)
            positive = (logits * same).sum(1) / same.sum(1)
            total = (torch.logsumexp(every, 1) - positive).sum()
            return BlockSums([(total, paired.sum())], {"anchors": paired.sum()})

        return pairwise_loss(embeddings, labels, sums, chunk)


@dataclass(frozen=True)
class Circle:
    """Mean over anchors of log( 1 + Σ_n e^{γ α_n (s_n - m)} Σ_p e^{-γ α_p (s_p - 1 + m)} ).

    Sun et al., CVPR 2020 (arXiv 2002.10857), equations 6 to 8, s the cosines: similarities far
    from their optimum get a larger gradient. The weights α_p = max(0, 1 + m - s_p) and
    α_n = max(0, s_n + m) are constants to the gradient: it is the published one and not the
    derivative of the value. Anchors count that have both a positive and a negative.

    Attributes:
        margin: m, the relaxation; the defaults are the paper's for faces.
        scale: γ.
    """

    margin: float = 0.25
    scale: float = 256.0

    def __post_init__(self) -> None:
        check_margin("Circle", self.margin)
        if not 0 < self.scale < math.inf:
            raise ArcwiseError(f"Circle: got scale={self.scale!r}; expected a positive number")

    def loss(
        self, embeddings: Tensor, labels: Tensor, *, chunk: int = 256
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, and how many anchors counted.

        Args:
            embeddings: (N, D), any float type, any length; directions are what counts.
            labels: (N,) int64, -1 for a row without a class, which is in no pair.
            chunk: anchors at a time; memory is chunk×N, and the loss does not depend on it.

        Returns:
            A scalar in float32 or, for float64 embeddings, float64, 0 with gradient 0 where no
            anchor counts; and ``anchors``. A zero row has cosine 0 to everything and gradient 0.

        Raises:
            ArcwiseError: shapes or labels that do not fit.
        """
        labels = checked_labels("Circle", embeddings, labels, chunk)
        m = self.margin

        def sums(block: AnchorBlock) -> BlockSums:
            counted = block.same.any(1) & block.different.any(1)
            cosines = block.cosines[counted]
            fixed = cosines.detach()
            positives = -self.scale * (1 + m - fixed).relu() * (cosines - (1 - m))
            negatives = self.scale * (fixed + m).relu() * (cosines - m)
            both = torch.logsumexp(positives.masked_fill(~block.same[counted], -math.inf), 1)
            both = both + torch.logsumexp(
                negatives.masked_fill(~block.different[counted], -math.inf), 1
            )
            total = torch.logaddexp(both, torch.zeros_like(both)).sum()
            return BlockSums([(total, counted.sum())], {"anchors": counted.sum()})

        return pairwise_loss(embeddings, labels, sums, chunk)
