"""Losses between the samples of a batch: no class centres, only who is the same as whom."""

from arcwise.pairs.circles import circle
from arcwise.pairs.contrasts import contrastive, supervised_contrastive
from arcwise.pairs.mining import mine
from arcwise.pairs.triplets import triplet

__all__ = ["circle", "contrastive", "mine", "supervised_contrastive", "triplet"]
