"""The decision: the enrolled identity a query is, or unknown, at a stated error rate. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from arcwise.errors import ArcwiseError
from arcwise.gallery.contract import Hit


@dataclass(frozen=True, slots=True)
class Decision:
    """What a search means at a threshold.

    Attributes:
        identity: the one recognised; None where it is unknown.
        similarity: cosine of the closest identity, accepted or not; None in an empty gallery.
        margin: by how much that beats the runner-up; None without a runner-up among the hits.
        threshold: the smallest similarity that is accepted.
        far: false-accept rate of one comparison at that threshold; None where it was not measured.
        fpir: share of unknown queries that get any answer at that threshold in this gallery, at
            most; None without such a bound.
    """

    identity: str | None
    similarity: float | None
    margin: float | None
    threshold: float
    far: float | None = None
    fpir: float | None = None

    def __str__(self) -> str:
        rate = "" if self.far is None else f", set for one false accept in {1 / self.far:,.0f}"
        if self.fpir is not None:
            rate = f", set to answer at most one unknown query in {1 / self.fpir:,.0f}"
        if self.similarity is None:
            return f"unknown: nothing to compare with (threshold {self.threshold:.4f}{rate})"
        lead = "" if self.margin is None else f", {self.margin:.4f} ahead of the next"
        side = "below" if self.identity is None else "at or above"
        return (
            f"{'unknown' if self.identity is None else self.identity}: closest similarity "
            f"{self.similarity:.4f}{lead}, {side} the threshold {self.threshold:.4f}{rate}"
        )


def decide(
    hits: Sequence[Hit], threshold: float, far: float | None = None, fpir: float | None = None
) -> Decision:
    """Return the decision for the hits of one query.

    Args:
        hits: the results of its search; at least two for a margin.
        threshold: cosine from which a hit is accepted, as the model's calibration gives it.
        far: the false-accept rate of one comparison at that threshold, part of the decision.
        fpir: the share of unknown queries answered at that threshold, part of the decision.

    Raises:
        ArcwiseError: a threshold that is not a finite number, or a rate outside (0, 1].
    """
    if not math.isfinite(threshold):
        raise ArcwiseError(f"the threshold is {threshold}; expected a cosine, from -1 to 1")
    for rate in (far, fpir):
        if rate is not None:
            _check_rate(rate)
    ordered = sorted(hits, key=lambda hit: (-hit.similarity, hit.identity))
    if not ordered:
        return Decision(None, None, None, threshold, far, fpir)
    best = ordered[0]
    rivals = [hit.similarity for hit in ordered if hit.identity != best.identity]
    return Decision(
        identity=best.identity if best.similarity >= threshold else None,
        similarity=best.similarity,
        margin=best.similarity - rivals[0] if rivals else None,
        threshold=threshold,
        far=far,
        fpir=fpir,
    )


def _check_rate(far: float) -> None:
    if not 0 < far <= 1:
        raise ArcwiseError(f"the error rate is {far}; expected more than 0 and at most 1")
