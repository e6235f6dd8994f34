"""The lowest threshold that keeps a false-accept rate, exact with ties.

One convention in the whole toolkit: **accepted means at or above the threshold**, and the threshold
is the lowest one whose false-accept rate does not exceed the target: the next float above the first
impostor score that must be refused. Any lower threshold would let that impostor in, so no other one
within the target accepts more mated pairs.
"""

from __future__ import annotations

import math

import numpy as np

RESOLVED_BY = 10
"""A rate is resolved when at least this many impostors are expected to pass at it."""


def allowed(count: int, rate: float) -> int:
    """Return the largest k with k / count <= rate: how many of `count` impostors may pass.

    Not `floor(count * rate)`, which loses one when the product rounds down (100 * 0.29).
    """
    k = math.floor(count * rate)
    if k < count and (k + 1) / count <= rate:
        k += 1
    elif k > 0 and k / count > rate:
        k -= 1
    return min(k, count)


def threshold_at(descending: np.ndarray, rate: float) -> float:
    """Return the lowest threshold that at most `rate` of the scores reach.

    Args:
        descending: (N,) impostor scores, largest first.
        rate: the target, 0 to 1. At 1 everything may pass and the threshold is minus infinity.
    """
    k = allowed(len(descending), rate)
    return just_above(descending[k]) if k < len(descending) else -math.inf


def just_above(score: np.floating) -> float:
    """Return the lowest threshold that refuses this score: the next number of its own kind.

    A float32 score gets the next float32, so that the threshold stays one for float32 scores after
    it went through a file as a decimal number.
    """
    return float(np.nextafter(score, np.inf, dtype=score.dtype))


def weighted_threshold(
    descending: np.ndarray, weight: np.ndarray, rate: float, total: float
) -> float:
    """Return `threshold_at` for scores that each count `weight` times, `total` in all.

    `descending` may be only the upper end of the scores. The last one is returned when the
    threshold lies below all of them.
    """
    passed = np.cumsum(weight)
    # A relative 1e-9 absorbs the rounding of weights and keeps the whole-number case exact.
    k = int(np.searchsorted(passed, rate * total * (1 + 1e-9), side="right"))
    return just_above(descending[min(k, len(descending) - 1)])


def resolved(rate: float, impostors: int) -> bool:
    """Return whether at least ten of `impostors` scores pass at this rate."""
    return rate * impostors >= RESOLVED_BY * (1 - 1e-9)
