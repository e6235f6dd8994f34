"""Pairs pulled together and pushed apart: the contrastive losses, old and new."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError
from arcwise.pairs.distances import Distance, check_margin, distance_of
from arcwise.pairs.sweep import Block, check, sweep


def contrastive(
    embeddings: Tensor,
    labels: Tensor,
    *,
    margin: float = 1.0,
    distance: Distance = "euclidean",
    chunk: int = 256,
) -> Tensor:
    """Half the mean of d² over same pairs, and half that of max(0, margin - d)² over close others.

    Hadsell, Chopra and LeCun, CVPR 2006, equation 4, with one mean for each kind: summed together,
    the few same pairs of a batch would drown in the others. Of the different pairs the active ones
    are averaged, those closer than the margin.

    Args:
        embeddings: (N, D), any float type, any length; directions are what counts.
        labels: (N,) int64, -1 for a row without a class, which is in no pair.
        margin: how far apart different ones have to be, in units of `distance`.
        distance: ``"euclidean"``, ‖a - b‖ of the rows at unit length, 0 to 2; or ``"angular"``, θ.
        chunk: anchors at a time; memory is chunk×N, and the loss does not depend on it.

    Returns:
        A scalar in float32 or, for float64 embeddings, float64. A zero row is at 90° to everything
        and has gradient 0.

    Raises:
        ArcwiseError: shapes, labels or options that do not fit.
    """
    check("contrastive", embeddings, labels, chunk)
    check_margin("contrastive", margin)
    measure = distance_of("contrastive", distance, squared=False)

    def terms(block: Block) -> list[tuple[Tensor, Tensor]]:
        far = measure(block.cosines)
        pull = 0.5 * far[block.same].square()
        push = 0.5 * (margin - far[block.different]).relu().square()
        return [(pull.sum(), block.same.sum()), (push.sum(), (push > 0).sum())]

    return sweep(embeddings, labels, terms, chunk)


def supervised_contrastive(
    embeddings: Tensor, labels: Tensor, *, temperature: float = 0.1, chunk: int = 256
) -> Tensor:
    """Mean over anchors of -1/|P| Σ_p log( e^{cos_ap/T} / Σ_{b≠a} e^{cos_ab/T} ).

    Khosla et al., NeurIPS 2020 (arXiv 2004.11362), equation 2: the mean over an anchor's positives
    is outside the logarithm. Anchors without a positive are not counted; they still are others'
    negatives.

    Args:
        embeddings: (N, D), any float type, any length; directions are what counts. Views of one
            picture are rows with one label.
        labels: (N,) int64, -1 for a row without a class, which is neither positive nor negative.
        temperature: T.
        chunk: anchors at a time; memory is chunk×N, and the loss does not depend on it.

    Returns:
        A scalar in float32 or, for float64 embeddings, float64; 0 with gradient 0 where no row has
        a positive. A zero row has cosine 0 to everything and gradient 0.

    Raises:
        ArcwiseError: shapes, labels or options that do not fit.
    """
    check("supervised_contrastive", embeddings, labels, chunk)
    if not 0 < temperature < math.inf:
        raise ArcwiseError(
            f"supervised_contrastive: got temperature={temperature!r}; expected a positive number"
        )

    def terms(block: Block) -> list[tuple[Tensor, Tensor]]:
        paired = block.same.any(1)
        same = block.same[paired]
        logits = block.cosines[paired] / temperature
        every = logits.masked_fill(~(same | block.different[paired]), -math.inf)
        chosen = (logits * same).sum(1) / same.sum(1)
        return [((torch.logsumexp(every, 1) - chosen).sum(), paired.sum())]

    return sweep(embeddings, labels, terms, chunk)
