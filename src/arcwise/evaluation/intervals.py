"""How sure a measured number is: Wilson's interval, and the bootstrap over identities."""

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
        resolved: whether there were enough impostors to speak of the asked error rate at all;
            a number that is not resolved belongs in no table.
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


def wilson(successes: float, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a proportion (Wilson, JASA 22, 1927).

    It treats the trials as independent. Pairs that share a person are not: where the identities
    are known, use `bootstrap`. Exact at 0 and at `trials`, where the usual normal interval has no
    width. `trials` of 0 gives (0, 1): nothing is known.
    """
    if trials == 0:
        return 0.0, 1.0
    p, z2 = successes / trials, _Z * _Z
    centre = (p + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z * math.sqrt(p * (1 - p) / trials + z2 / (4 * trials * trials)) / (1 + z2 / trials)
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

    Whole identities are drawn with replacement, because what an identity's pictures have in common
    (one bad photograph, a twin) moves all its pairs together. A pair counts as often as both its
    sides were drawn. For impostor pairs this errs on the wide side: a pair that shares nothing with
    the others gets a variance of 2·2 - 1 = 3 instead of 1.
    """
    generator = inputs.generator(seed)
    for _ in range(draws):
        yield np.bincount(generator.integers(identities, size=identities), minlength=identities)


def percentile_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Return the middle 95 % of bootstrapped values; NaNs (draws without a value) do not count."""
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    if not len(known):
        return math.nan, math.nan
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def bootstrapped(
    value: float, drawn: Sequence[float] | np.ndarray, identities: int, resolved: bool = True
) -> Rate:
    """Return the value with the middle 95 % of the drawn ones.

    Draws of few identities are too much alike, and those of one identity are all the same. Where
    there are fewer than `FEW`, or the draws agree, or nothing went wrong or everything, the
    interval reaches at least as far as Wilson's with one trial for each identity: it never has
    width 0.
    """
    low, high = percentile_interval(drawn)
    if math.isnan(low):
        low, high = 0.0, 1.0
    rate = Rate(value, min(low, value), max(high, value), resolved)
    alike = low == high or not 1e-9 < value < 1 - 1e-9
    return at_least_wilson(rate, identities) if identities < FEW or alike else rate


def stretch(parts: np.ndarray) -> float:
    """Return the power that ratios of drawn rates are raised to, for what few identities hide.

    Where a handful of identities makes all the errors, draws of identities are as much alike as
    those of a handful. So the logarithms are stretched as Student's quantile is beside the normal
    one, for as many identities as there are in effect (Kish, Survey Sampling, 1965); at least four.

    Args:
        parts: (I,) how many of the errors each identity has to do with.
    """
    from scipy import stats

    total = float(parts.sum())
    if total <= 0:
        return 1.0
    effective = max(4.0, total**2 / float((parts**2).sum()))
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, effective - 1) / _Z)


def at_least_wilson(rate: Rate, identities: int) -> Rate:
    """Return the rate with an interval that reaches at least as far as Wilson's.

    With one trial for each identity. Where next to nothing goes wrong, it does so with few
    identities, and draws of these are too much alike.
    """
    low, high = wilson(min(1.0, rate) * identities, identities)
    return Rate(rate, min(low, rate.low), max(high, rate.high), rate.resolved)


def whole_images(rate: Rate, images: int) -> Rate:
    """Return the rate with ends that a count of as many other images can have.

    A rate of less than one of the images is a count of none, so that the end is 0; likewise 1.
    """
    low = 0.0 if rate.low * images < 1 else rate.low
    high = 1.0 if (1 - rate.high) * images < 1 else rate.high
    return Rate(rate, low, high, rate.resolved)


def found_of_others(
    found: np.ndarray,
    owner: np.ndarray,
    apart: np.ndarray | float = 0.0,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Rate:
    """Return how often identities are found, with the interval of as many other identities.

    Identities are drawn twice: for those measured, and for those to come. The draws are stretched
    by the identities that are missed, or by those that are found, whichever are fewer in effect.

    Args:
        found: (N,) how often each image is answered rightly, 0 to 1.
        owner: (N,) int64, the identity of each.
        apart: (draws,) how far one gallery is from the mean, where galleries differ too.
        draws: of identities.
        seed: of the draws.
    """
    mean = min(1.0, float(np.mean(found)))
    moved = apart
    for repeat in (1, 2):
        moved = moved + redrawn_means(found, owner, draws=draws, seed=seed + repeat) - mean
    missed, hit = (np.bincount(owner, part) for part in (1.0 - found, found))
    drawn = np.clip(mean + max(stretch(missed), stretch(hit)) * moved, 0, 1)
    identities = len(np.unique(owner))
    rate = at_least_wilson(bootstrapped(mean, drawn, identities), identities)
    return whole_images(rate, len(found))


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
