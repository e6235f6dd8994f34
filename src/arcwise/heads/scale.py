"""How sharp the softmax has to be for a number of classes."""

from __future__ import annotations

import math

from arcwise.errors import ArcwiseError


def scale_for(classes: int, probability: float = 0.999) -> float:
    """The scale s at which a perfectly placed target reaches this probability.

    NormFace (arXiv 1704.06369) proposition 2: with centres at the corners of a regular simplex,
    s = (C-1)/C · log((C-1) P / (1-P)). Below it the loss cannot fall; far above it, with few
    classes, it is satisfied by embeddings that are hardly grouped.
    """
    if classes < 2 or not 0.5 < probability < 1:
        raise ArcwiseError(
            f"scale_for: got classes={classes}, probability={probability}; expected at least 2 "
            "classes and a probability between 0.5 and 1"
        )
    odds = (classes - 1) * probability / (1 - probability)
    return (classes - 1) / classes * math.log(odds)
