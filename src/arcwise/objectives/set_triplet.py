"""Sets against sets: what teaches an encoder the quality of an image, without labels of quality.

Quality aware network (QAN; Liu et al., CVPR 2017, arXiv 1704.03373): the images of a set become
one embedding, R = Σ μᵢ rᵢ / Σ μᵢ (equation 2), and sets are anchors, positives and negatives of a
triplet loss. An image that pulls R away from its identity gets a lower μ. With the softmax on
single images as a second term, `arcface+set-triplet`, embeddings are learned at the same time.

Here rᵢ has unit length: a gallery stores directions, and what is trained is what is served.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from arcwise.encoders.interface import EncoderOutput
from arcwise.errors import ArcwiseError
from arcwise.objectives.objective import Batch
from arcwise.pairs import Triplet
from arcwise.sphere import unit, wide

_ZERO = 1e-12
"""Largest quality of a set under which all count as 0: its gradient would leave float32."""


def pool_sets(embeddings: Tensor, quality: Tensor | None, sets: Tensor, count: int) -> Tensor:
    """Return R of every set, not normalised, with exact gradients.

    dR/drᵢ = μᵢ / Σμ and dR/dμᵢ = (rᵢ - R) / Σμ. The paper's equations 5 and 6 leave 1/Σμ out: they
    hold for qualities that sum to 1. R depends on ratios alone, so Σ μᵢ dL/dμᵢ = 0.

    Args:
        embeddings: (N, D), of any length; their directions are what counts.
        quality: (N,) 0 or more, a negative one counting as 0; None where all count alike. In a set
            whose qualities are all 0 they count alike, and have gradient 0.
        sets: (N,) int64, the set of each, in 0..S-1.
        count: S.

    Returns:
        (S, D) in float32 or, for float64 embeddings, float64; a set without embeddings is 0.
    """
    directions, _ = unit(wide(embeddings))
    if quality is None:
        weights = torch.ones_like(directions[:, 0])
    else:
        mu = wide(quality).to(directions.dtype).clamp_min(0)
        # Divided by the largest, which is constant to autograd as R has no scale in μ: sums of huge
        # qualities stay finite.
        largest = mu.detach().new_zeros(count).scatter_reduce(0, sets, mu.detach(), "amax")[sets]
        some = ~(largest <= _ZERO)  # a NaN is no zero: it stays one and reaches the loss
        weights = torch.where(some, mu / torch.where(some, largest, 1.0), 1.0)
    sums = weights.new_zeros(count).index_add(0, sets, weights)
    parts = weights / sums[sets]
    return directions.new_zeros(count, directions.shape[1]).index_add(
        0, sets, parts[:, None] * directions
    )


class SetTriplet(nn.Module):
    """The triplet loss of sets, each pooled by the qualities of its images.

    Neighbours in the planned batch are a set: places 0..K-1, K..2K-1, …. Where an image could not
    be read, its set is smaller. Under several processes each forms the sets of its own part.

    Attributes:
        triplet: the loss between the sets.
        images: K.
    """

    columns: tuple[str, ...] = ()

    def __init__(self, triplet: Triplet, images: int) -> None:
        """Take the loss and the number of images of a set.

        Raises:
            ArcwiseError: a set of no image.
        """
        super().__init__()
        if images < 1:
            raise ArcwiseError(f"SetTriplet: got {images} images a set; expected at least 1")
        self.triplet, self.images = triplet, images

    def loss(self, output: EncoderOutput, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss, and in the log the triplets and the mean and deviation of the quality.

        Raises:
            ArcwiseError: images of several identities in one set.
        """
        labels = batch.labels
        places = batch.places
        if places is None:
            places = torch.arange(len(labels), device=labels.device)
        different, sets = torch.unique(places // self.images, return_inverse=True)
        count = len(different)
        of_set = labels.new_full((count,), -1).scatter_reduce(0, sets, labels, "amax")
        if bool((of_set[sets] != labels).any()):
            raise ArcwiseError(
                f"SetTriplet: a set of {self.images} neighbours has images of several identities; "
                "expected batches of whole sets (data.sampling=sets)"
            )
        pooled = pool_sets(output.embedding, output.quality, sets, count)
        loss, metrics = self.triplet.loss(pooled, of_set)
        if output.quality is not None:
            mu = output.quality.detach().float()
            metrics |= {"quality": mu.mean(), "quality_std": mu.std(correction=0)}
        return loss, metrics

    def set_margin_scale(self, margin_scale: float) -> None:
        """Have no effect: margin warm-up concerns class centres."""
