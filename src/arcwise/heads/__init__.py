"""Heads: they own the class centres and answer ``loss(embeddings, labels)``."""

from arcwise.heads.centre import CentreHead
from arcwise.heads.linear import LinearHead
from arcwise.heads.scale import scale_for

__all__ = ["CentreHead", "LinearHead", "scale_for"]
