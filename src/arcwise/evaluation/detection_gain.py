"""Does another score find more images of enrolled identities, at the same false-positive rate?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.intervals import (
    DRAWS,
    FEW,
    Rate,
    multiplicities,
    percentile_interval,
    student_factor,
)
from arcwise.evaluation.thresholds import RESOLVED_BY, resolved, weighted_threshold


@dataclass(frozen=True, eq=False)
class TwoScores:
    """Two scores of the same images, higher for a better match.

    Attributes:
        first: (N,) of each image.
        second: (N,) of each image.
        ids: (N,) whose it is.
    """

    first: np.ndarray
    second: np.ndarray
    ids: inputs.Identities


def detection_gain(
    unknown: TwoScores,
    own: TwoScores,
    fpirs: Sequence[float],
    *,
    seed: int = 0,
    draws: int = 5 * DRAWS,
) -> tuple[Rate, tuple[float, ...]]:
    """Return how much more the second score finds than the first, in one gallery as it is.

    At each rate both scores get the lowest threshold that keeps it among the unknown images. The
    gain is the difference of the two detection rates, in the mean over the rates. Its 95 % interval
    is from drawing unknown and enrolled identities with replacement, thresholds and all, and wider
    by `student_factor` of the images that only one of the two scores finds.

    Args:
        unknown: images of nobody enrolled, by their best score.
        own: images of enrolled identities; minus infinity where the best is of another identity.
        fpirs: false-positive identification rates.
        seed: of the draws.
        draws: of identities.

    Returns:
        The gain, and the rates that it is the mean of: those that the unknown images resolve. It is
        `resolved` where there are ten identities or more on both sides.

    Raises:
        ArcwiseError: no rate is resolved, there is no image of an enrolled identity, or bad input.
    """
    rates = tuple(one for one in inputs.rates("fpirs", fpirs) if resolved(one, len(unknown.first)))
    if not rates or not len(own.first):
        raise ArcwiseError(
            f"{len(unknown.first)} images of unknown identities and {len(own.first)} of enrolled "
            f"ones, expected some of both, and {RESOLVED_BY} / FPIR of the unknown ones"
        )
    strangers = inputs.codes("unknown.ids", unknown.ids, len(unknown.first))
    owners = inputs.codes("own.ids", own.ids, len(own.first))
    count, enrolled = int(strangers.max()) + 1, int(owners.max()) + 1
    scores = [
        (np.asarray(theirs), np.asarray(ours), np.argsort(-np.asarray(theirs), kind="stable"))
        for theirs, ours in ((unknown.first, own.first), (unknown.second, own.second))
    ]

    def found(times: np.ndarray) -> np.ndarray:
        """Return (2, R, Q) which images each score finds, where strangers count so many times."""
        total = float(times[strangers].sum())
        return np.array(
            [
                [
                    ours >= weighted_threshold(theirs[order], times[strangers[order]], rate, total)
                    for rate in rates
                ]
                for theirs, ours, order in scores
            ]
        )

    def gains(times: np.ndarray) -> np.ndarray:
        first, second = found(times).mean(axis=1)
        return second - first

    everybody = np.ones(count, np.int64)
    gain = float(gains(everybody).mean())
    drawn = [
        float(np.average(gains(times), weights=owned[owners]))
        for times, owned in zip(
            multiplicities(count, draws, seed),
            multiplicities(enrolled, draws, seed + 1),
            strict=True,
        )
    ]
    first, second = found(everybody)
    factor = student_factor(np.bincount(owners, (first != second).sum(axis=0)))
    low, high = (gain + factor * (end - gain) for end in percentile_interval(drawn))
    several = min(count, enrolled) >= FEW
    return Rate(gain, min(low, gain), max(high, gain), several), rates
