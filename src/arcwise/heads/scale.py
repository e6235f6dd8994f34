"""How sharp the softmax has to be for a number of classes."""

from __future__ import annotations

import math

from arcwise.errors import ArcwiseError


def scale_for(classes: int) -> float:
    """The scale s for this many classes: 2.5 · √2 · log(C - 1), at least 8.

    √2 · log(C - 1) is the start value of AdaCos (arXiv 1905.00292, section 3.2), chosen so that
    the target's probability responds most where angles are halfway. A margin and centres that are
    not spread evenly ask for more; the factor was chosen on products kept apart for that. A
    fixed 64, right for ten thousand classes and more, leaves a few dozen hardly grouped: the loss
    is satisfied long before they are.
    """
    if classes < 2:
        raise ArcwiseError(f"scale_for: got {classes} classes; expected at least 2")
    return max(8.0, 2.5 * math.sqrt(2) * math.log(max(classes - 1, 1)))
