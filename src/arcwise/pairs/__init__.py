"""Losses between the samples of a batch: no class centres, only which samples share an identity."""

from arcwise.pairs.contrastive import Circle, Contrastive, SupervisedContrastive
from arcwise.pairs.pairwise import Distance, PairLoss
from arcwise.pairs.triplet import Mining, Triplet, mine

__all__ = [
    "Circle",
    "Contrastive",
    "Distance",
    "Mining",
    "PairLoss",
    "SupervisedContrastive",
    "Triplet",
    "mine",
]
