"""95 % intervals: Wilson's, and the bootstrap over identities."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from arcwise.evaluation import inputs

CONFIDENCE = 0.95
_Z = 1.959963984540054  # the normal quantile of a two-sided 95 % interval
DRAWS = 200
FEW = 10
"""With fewer identities than this the bootstrap is too narrow, and Wilson's interval is added."""


class Rate(float):
    """A measured fraction that works as a float and carries its 95 % interval.

    Attributes:
        low: lower end of the interval.
        high: upper end of the interval.
        resolved: whether there were enough impostors to measure the requested error rate;
            a rate that is not resolved is left out of tables.
    """

    __slots__ = ("high", "low", "resolved")
    low: float
    high: float
    resolved: bool

    def __new__(cls, value: float, low: float, high: float, resolved: bool = True) -> Rate:
        """Return `value` with its interval."""
        rate = super().__new__(cls, value)
        rate.low, rate.high, rate.resolved = float(low), float(high), bool(resolved)
        return rate

    def __getnewargs__(self) -> tuple[float, float, float, bool]:  # type: ignore[override]
        return float(self), self.low, self.high, self.resolved

    def __repr__(self) -> str:
        return f"Rate({float(self)!r}, {self.low!r}, {self.high!r}, resolved={self.resolved})"

    def __str__(self) -> str:
        mark = "" if self.resolved else " (not resolved)"
        return f"{self:.4f} [{self.low:.4f}, {self.high:.4f}]{mark}"


def wilson(successes: float, trials: float, quantile: float = _Z) -> tuple[float, float]:
    """Return the interval of a proportion (Wilson, JASA 22, 1927), by default the 95 % one.

    It treats the trials as independent. Pairs that share a person are not: where the identities
    are known, use `bootstrap`. Exact at 0 and at `trials`, where the usual normal interval has no
    width. `trials` of 0 gives (0, 1).
    """
    if trials == 0:
        return 0.0, 1.0
    p, z2 = successes / trials, quantile * quantile
    centre = (p + z2 / (2 * trials)) / (1 + z2 / trials)
    root = math.sqrt(p * (1 - p) / trials + z2 / (4 * trials * trials))
    half = quantile * root / (1 + z2 / trials)
    return min(max(0.0, centre - half), p), max(min(1.0, centre + half), p)


def paired_interval(first_only: int, second_only: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two proportions of the same trials.

    Second minus first; half a trial is added to each of the four outcomes (Agresti and Min,
    Statistics in Medicine 24, 2005), so that it has a width where the two never differ.
    """
    b, c, n = first_only + 0.5, second_only + 0.5, trials + 2.0
    half = _Z * math.sqrt(b + c - (c - b) ** 2 / n) / n
    return max(-1.0, (c - b) / n - half), min(1.0, (c - b) / n + half)


def multiplicities(identities: int, draws: int, seed: int) -> Iterator[np.ndarray]:
    """Yield, `draws` times, how often each identity was drawn: (I,) int64 that sums to I.

    Whole identities are drawn with replacement, because what an identity's images have in common
    (one bad photograph, a twin) moves all its pairs together. A pair counts as often as both its
    sides were drawn. For impostor pairs this errs on the wide side: a pair that shares nothing with
    the others gets a variance of 2·2 - 1 = 3 instead of 1.
    """
    generator = inputs.generator(seed)
    for _ in range(draws):
        yield np.bincount(generator.integers(identities, size=identities), minlength=identities)


def percentile_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Return the middle 95 % of bootstrapped values; NaNs (draws without a value) do not count."""
    valid = np.asarray(values, dtype=np.float64)
    valid = valid[~np.isnan(valid)]
    if not len(valid):
        return math.nan, math.nan
    low, high = np.quantile(valid, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def bootstrapped(
    value: float, drawn: Sequence[float] | np.ndarray, identities: int, resolved: bool = True
) -> Rate:
    """Return the value with the middle 95 % of the drawn ones.

    Draws of few identities are too much alike, and those of one identity are all the same. Where
    there are fewer than `FEW`, or the draws agree, or the value is 0 or 1, the
    interval reaches at least as far as Wilson's with one trial for each identity: it never has
    width 0.
    """
    low, high = percentile_interval(drawn)
    if math.isnan(low):
        low, high = 0.0, 1.0
    rate = Rate(value, min(low, value), max(high, value), resolved)
    alike = low == high or not 1e-9 < value < 1 - 1e-9
    return widened_to_wilson(rate, identities) if identities < FEW or alike else rate


def student_factor(counts: np.ndarray) -> float:
    """Return the widening of an interval: the quantile of Student's t divided by the normal one.

    Where a few identities make all the errors, draws of identities are too much alike. The degrees
    of freedom are those of the effective number of identities (Kish, Survey Sampling, 1965), of at
    least four. Ratios of drawn rates are raised to this power.

    Args:
        counts: (I,) errors that each identity takes part in.
    """
    from scipy import stats

    total = float(counts.sum())
    if total <= 0:
        return 1.0
    effective = max(4.0, total**2 / float((counts**2).sum()))
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, effective - 1) / _Z)


def widened_to_wilson(rate: Rate, identities: int) -> Rate:
    """Return the rate with an interval at least as wide as Wilson's for one trial an identity.

    Where errors are rare they come from few identities, and draws of these are too much alike.
    """
    low, high = wilson(min(1.0, rate) * identities, identities)
    return Rate(rate, min(low, rate.low), max(high, rate.high), rate.resolved)


def with_countable_ends(rate: Rate, images: int) -> Rate:
    """Return the rate with ends that a count among `images` can have.

    A lower end of less than one image becomes 0, an upper end of less than one image below 1
    becomes 1.
    """
    low = 0.0 if rate.low * images < 1 else rate.low
    high = 1.0 if (1 - rate.high) * images < 1 else rate.high
    return Rate(rate, low, high, rate.resolved)


def detection_rate(
    hits: np.ndarray,
    owner: np.ndarray,
    deviation: np.ndarray | float = 0.0,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Rate:
    """Return the detection rate with the interval of as many other identities.

    Identities are drawn twice: for those measured, and for the others. The interval is widened by
    `student_factor` of the misses or of the hits, whichever is larger.

    Args:
        hits: (N,) how often each image is answered rightly, 0 to 1.
        owner: (N,) int64, the identity of each.
        deviation: (draws,) of one gallery from the mean, where galleries are drawn too.
        draws: of identities.
        seed: of the draws.
    """
    mean = min(1.0, float(np.mean(hits)))
    moved = deviation
    for repeat in (1, 2):
        moved = moved + redrawn_means(hits, owner, draws=draws, seed=seed + repeat) - mean
    missed, detected = (np.bincount(owner, part) for part in (1.0 - hits, hits))
    drawn = np.clip(mean + max(student_factor(missed), student_factor(detected)) * moved, 0, 1)
    identities = len(np.unique(owner))
    rate = widened_to_wilson(bootstrapped(mean, drawn, identities), identities)
    return with_countable_ends(rate, len(hits))


def mean_over_identities(
    values: np.ndarray, codes: np.ndarray, *, draws: int = DRAWS, seed: int = 0
) -> Rate:
    """Return the mean of `values` with an interval from drawing identities.

    Args:
        values: (N,) numbers, for instance whether a query was answered rightly.
        codes: (N,) int64, the identity each belongs to.
        draws: how many bootstrap samples.
        seed: of the draws.
    """
    drawn = redrawn_means(values, codes, draws=draws, seed=seed)
    return bootstrapped(float(np.mean(values)), drawn, len(np.unique(codes)))


def redrawn_means(
    values: np.ndarray, codes: np.ndarray, *, draws: int = DRAWS, seed: int = 0
) -> np.ndarray:
    """Return (draws,) means of (N,) values when their (N,) identities are drawn again."""
    members = np.unique(codes, return_inverse=True)[1]
    counts = np.bincount(members).astype(np.float64)
    sums = np.bincount(members, weights=values)
    return np.array([m @ sums / (m @ counts) for m in multiplicities(len(counts), draws, seed)])
