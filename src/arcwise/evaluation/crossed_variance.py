"""The mean over seeds and identities that are both drawn: its variance, interval and p-value.

Every seed is measured on the same identities, as several readers read the same cases in a
multi-reader multi-case study. The variance is that of its random-effects analysis on jackknife
pseudo-values (Dorfman, Berbaum and Metz, Investigative Radiology 27, 1992). The degrees of freedom
are Satterthwaite's (Biometrics Bulletin 2, 1946).

Few identities, none of which fails, say little about those that do. So one identity is added, a
quarter of which is wrong. Near 0 and 1 it decides the interval, elsewhere it is negligible.
`studies/compare_intervals.py` measures how often the intervals hold the truth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from arcwise.evaluation.intervals import Rate, wilson

ADDED = 0.25
"""Error rate of the identity that is added."""


@dataclass(frozen=True)
class CrossedMean:
    """The mean of a metric, or of a difference, over S seeds measured on the same identities.

    Attributes:
        value: the mean.
        variance: of the mean, over draws of as many seeds and identities.
        freedom: degrees of freedom of the variance.
        identities: I.
    """

    value: float
    variance: float
    freedom: float
    identities: int

    @property
    def spread(self) -> float:
        """Return the variance of one trial that succeeds at the rate `value`."""
        return self.value * (1 - self.value)

    def rate(self, level: float, resolved: bool = True) -> Rate:
        """Return the mean, which is a rate, with its interval.

        It is Wilson's with Student's quantile, so it is not symmetric near 0 and 1. An identity
        counts as so many trials as give the mean its variance.
        """
        size = self.identities
        trials = (size * self.spread + ADDED) / (size * self.variance + ADDED**2 / size)
        low, high = wilson(self.value * trials, trials, self.quantile(level))
        return Rate(self.value, low, high, resolved)

    def quantile(self, level: float) -> float:
        """Return Student's quantile of a two-sided interval."""
        from scipy import stats

        return float(stats.t.ppf((1 + level) / 2, self.freedom))


def crossed_mean(values: np.ndarray, left_out: np.ndarray) -> CrossedMean:
    """Return the mean over seeds with the variance of drawing both seeds and identities.

    Args:
        values: (S,) the metric of each seed; of one, the seeds' part of the variance is left out.
        left_out: (S, I) the metric of each seed without each identity.
    """
    seeds, identities = left_out.shape
    pseudo = (identities - 1) * (left_out.mean(axis=1, keepdims=True) - left_out)
    of_identity = pseudo.mean(axis=0)
    by_identity = seeds * float(of_identity @ of_identity) / (identities - 1)
    freedom = _identity_freedom(of_identity)
    value = float(values.mean())
    if seeds == 1:
        return CrossedMean(value, by_identity / identities, freedom, identities)
    rest_freedom = (identities - 1) * (seeds - 1)
    rest = float(((pseudo - of_identity) ** 2).sum()) / rest_freedom
    by_seed = identities * float(np.var(values, ddof=1))
    # What a seed does to single identities is in both mean squares, and counts once.
    total = by_identity + max(by_seed - rest, 0.0)
    doubt = by_identity**2 / freedom + by_seed**2 / (seeds - 1) + rest**2 / rest_freedom
    if doubt > 0:
        freedom = max(1.0, total**2 / doubt)
    return CrossedMean(value, total / (seeds * identities), freedom, identities)


def crossed_difference(
    first: CrossedMean, second: CrossedMean, difference: CrossedMean, level: float, resolved: bool
) -> tuple[Rate, float]:
    """Return the difference of two rates with its interval, and the p-value of no difference.

    The added identity counts as far as its errors are many compared with those of the others.

    Args:
        first: of one loss.
        second: of the other.
        difference: first minus second, seed by seed and identity by identity.
        level: of the interval.
        resolved: whether the metric is resolved.
    """
    from scipy import stats

    errors = difference.identities * (first.spread + second.spread) / 2
    added = ADDED**2 / 2 / difference.identities**2 * ADDED / (errors + ADDED)
    error = math.sqrt(difference.variance + added)
    half, value = difference.quantile(level) * error, difference.value
    rate = Rate(value, max(-1.0, value - half), min(1.0, value + half), resolved)
    return rate, float(2 * stats.t.sf(abs(value) / error, difference.freedom))


def holm(p: np.ndarray) -> np.ndarray:
    """Return (C,) p-values corrected for C comparisons (Holm, Scand. J. Statistics 6, 1979)."""
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return corrected


def _identity_freedom(deviation: np.ndarray) -> float:
    """Return the degrees of freedom of the variance of (I,) deviations.

    They are I - 1 of normal ones, fewer where a few identities make most of the variance: the
    fourth moment gives the variance of a variance.
    """
    identities, total = len(deviation), float(deviation @ deviation)
    if total <= 0:
        return identities - 1
    excess = max(0.0, float((deviation**4).sum()) / total**2 - 3 / identities)
    return 2 / (2 / (identities - 1) + excess)
