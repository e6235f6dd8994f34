"""The similarity from which on the page says "the same one"."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from arcwise.evaluation.thresholds import resolved

if TYPE_CHECKING:
    from arcwise.protocols.result import Evaluation

FARS = (1e-2, 1e-1)
"""What is looked for, the usual one first."""


class Line(NamedTuple):
    """A threshold.

    Attributes:
        place: accepted means at or above this similarity.
        name: in a few words, for a plot.
        words: where it comes from, for a sentence.
    """

    place: float
    name: str
    words: str


def line(result: Evaluation) -> Line | None:
    """Return the model's own threshold, else one found here; None where there are too few pairs."""
    own = {one.threshold.far: one.threshold for one in result.thresholds if one.threshold.resolved}
    for far in FARS:
        if far in own:
            words = f"the model's own threshold for a false-accept rate of {far:.0%}"
            return Line(own[far].threshold, f"own, FAR {far:.0%}", words)
    for far in FARS:
        if resolved(far, result.verification.impostors):
            words = f"the threshold with a false-accept rate of {far:.0%} on these very data"
            return Line(result.verification.threshold_at(far), f"FAR {far:.0%}", words)
    return None
