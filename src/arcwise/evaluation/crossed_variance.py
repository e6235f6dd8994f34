"""The mean over seeds and identities that are both drawn: its variance, interval and p-value.

Every seed is measured on the same identities, as several readers read the same cases in a
multi-reader multi-case study. The variance is that of its random-effects analysis on jackknife
pseudo-values (Dorfman, Berbaum and Metz, Investigative Radiology 27, 1992), the degrees of freedom
are Satterthwaite's (Biometrics Bulletin 2, 1946).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from arcwise.evaluation.intervals import Rate, wilson


@dataclass(frozen=True)
class CrossedMean:
    """The mean of a metric over seeds, of these identities.

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

    def rate(self, level: float, images: int, resolved: bool) -> Rate:
        """Return the mean, which is a rate, with its interval.

        It is Wilson's, of as many trials as give a proportion this variance, with Student's
        quantile: so it is not symmetric near 0 and 1. The trials are at most the images. Where all
        seeds and identities agree, each identity is one trial.
        """
        spread = self.value * (1 - self.value)
        varies = self.variance > 0 and spread > 0
        trials = min(images, spread / self.variance) if varies else self.identities
        low, high = wilson(self.value * trials, trials, self._quantile(level))
        return Rate(self.value, low, high, resolved)

    def difference(self, level: float, resolved: bool) -> Rate:
        """Return the mean, which is a difference of rates, with Student's interval."""
        half = self._quantile(level) * self._error
        low, high = max(-1.0, self.value - half), min(1.0, self.value + half)
        return Rate(self.value, low, high, resolved)

    def p(self) -> float:
        """Return the two-sided p-value of the hypothesis that the mean difference is 0."""
        from scipy import stats

        return float(2 * stats.t.sf(abs(self.value) / self._error, self.freedom))

    @property
    def _error(self) -> float:
        """Return the standard error of a difference.

        Where all seeds and identities agree, half an identity is taken to differ in each direction
        (Agresti and Min, Statistics in Medicine 24, 2005).
        """
        return math.sqrt(self.variance) if self.variance > 0 else 1 / (self.identities + 2)

    def _quantile(self, level: float) -> float:
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
    if seeds == 1:
        return CrossedMean(float(values[0]), by_identity / identities, identities - 1, identities)
    rest = float(((pseudo - of_identity) ** 2).sum()) / ((identities - 1) * (seeds - 1))
    by_seed = identities * float(np.var(values, ddof=1))
    # What a seed does to single identities is in both mean squares, and counts once.
    total = max(by_identity + by_seed - rest, by_identity, by_seed)
    doubt = (
        by_identity**2 / (identities - 1)
        + by_seed**2 / (seeds - 1)
        + rest**2 / ((identities - 1) * (seeds - 1))
    )
    freedom = total**2 / doubt if doubt > 0 else identities - 1
    variance = total / (seeds * identities)
    return CrossedMean(float(values.mean()), variance, max(1.0, freedom), identities)


def holm(p: np.ndarray) -> np.ndarray:
    """Return (C,) p-values corrected for C comparisons (Holm, Scand. J. Statistics 6, 1979)."""
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return corrected
