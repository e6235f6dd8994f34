"""Heads: they own the class centres and answer ``loss(embeddings, labels)``."""

from arcwise.heads.centre import CentreHead, scale_for
from arcwise.heads.dominant import Dominant
from arcwise.heads.linear import LinearHead
from arcwise.heads.optimiser import CentreSGD
from arcwise.heads.selection import All, Sampled

__all__ = ["All", "CentreHead", "CentreSGD", "Dominant", "LinearHead", "Sampled", "scale_for"]
