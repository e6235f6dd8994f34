"""The decision: the enrolled identity a query is, or unknown, at a stated error rate. Pure.

A threshold is one of the best similarity, or of how far that is above the mean of the next
identities (a second look at the hits), whichever the calibration measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from arcwise.errors import ArcwiseError
from arcwise.gallery.contract import Hit

NEIGHBOURS = 10
"""Next identities of a second look, settled by `studies/second_look.py`."""

LEAST_IDENTITIES = 12
"""Enrolled identities below which there is no second look: too few are next."""


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
        above_next: by how much `similarity` is above the mean of the next identities, where that
            is what was compared with the threshold; None where `similarity` itself was.
        neighbours: how many next identities, at most; 0 where the similarity was compared.
    """

    identity: str | None
    similarity: float | None
    margin: float | None
    threshold: float
    far: float | None = None
    fpir: float | None = None
    above_next: float | None = None
    neighbours: int = 0

    def __str__(self) -> str:
        rate = "" if self.far is None else f", set for one false accept in {1 / self.far:,.0f}"
        if self.fpir is not None:
            rate = f", set to answer at most one unknown query in {1 / self.fpir:,.0f}"
        if self.similarity is None:
            return f"unknown: nothing to compare with (threshold {self.threshold:.4f}{rate})"
        lead = "" if self.margin is None else f", {self.margin:.4f} ahead of the next"
        if self.above_next is not None:
            lead += f", {self.above_next:.4f} above the mean of the next {self.neighbours}"
        side = "below" if self.identity is None else "at or above"
        return (
            f"{'unknown' if self.identity is None else self.identity}: closest similarity "
            f"{self.similarity:.4f}{lead}, {side} the threshold {self.threshold:.4f}{rate}"
        )


def decide(
    hits: Sequence[Hit],
    threshold: float,
    far: float | None = None,
    fpir: float | None = None,
    *,
    neighbours: int = 0,
) -> Decision:
    """Return the decision for the hits of one query.

    Args:
        hits: the results of its search; at least two for a margin, and one more than `neighbours`.
        threshold: what a hit is accepted from, as the calibration gives it: a cosine, or with
            `neighbours` a difference of cosines.
        far: the false-accept rate of one comparison at that threshold, part of the decision.
        fpir: the share of unknown queries answered at that threshold, part of the decision.
        neighbours: compare the similarity less the mean of so many next identities (`above_next`);
            0 for the similarity itself.

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
    lead = above_next(ordered, neighbours) if neighbours else None
    compared = best.similarity if lead is None else lead
    return Decision(
        identity=best.identity if compared >= threshold else None,
        similarity=best.similarity,
        margin=best.similarity - rivals[0] if rivals else None,
        threshold=threshold,
        far=far,
        fpir=fpir,
        above_next=lead,
        neighbours=neighbours,
    )


def above_next(hits: Sequence[Hit], neighbours: int) -> float:
    """Return the largest similarity less the mean of the next identities, 0 for a single one.

    It is the query's side of a score normalisation by the nearest of a cohort, without dividing by
    the deviation (adaptive s-norm: Matějka et al., Interspeech 2017), with the
    other identities of the gallery for the cohort.

    Args:
        hits: of one query, in any order, one or more.
        neighbours: next identities, one or more; where fewer are there, these.
    """
    closest: dict[str, float] = {}
    for hit in hits:
        closest[hit.identity] = max(hit.similarity, closest.get(hit.identity, -math.inf))
    best, *rest = sorted(closest.values(), reverse=True)
    following = rest[:neighbours]
    return best - math.fsum(following) / len(following) if following else 0.0


def _check_rate(far: float) -> None:
    if not 0 < far <= 1:
        raise ArcwiseError(f"the error rate is {far}; expected more than 0 and at most 1")
