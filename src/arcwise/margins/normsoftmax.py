"""NormSoftmax: no margin."""

from __future__ import annotations

from dataclasses import dataclass

from arcwise.margins.margin import Margin


@dataclass(frozen=True)
class NormSoftmax(Margin):
    """No margin: the softmax of scaled cosines (NormFace, arXiv 1704.06369; ArcFace eq. 2)."""
