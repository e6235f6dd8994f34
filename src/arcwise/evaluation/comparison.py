"""The comparison of two systems on the same pairs: intervals of differences, McNemar's test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from arcwise.evaluation import inputs
from arcwise.evaluation.intervals import DRAWS, Rate, paired_interval, percentile_interval
from arcwise.evaluation.thresholds import resolved
from arcwise.evaluation.verification import Verification, verification

EXACT_UP_TO = 25
"""Discordant pairs up to which McNemar's test counts instead of approximating."""


@dataclass(frozen=True)
class Difference:
    """One rate of two systems, and the difference.

    Attributes:
        first: of the first system.
        second: of the second system.
        difference: second minus first, from -1 to 1, with the interval of the difference; it is
            narrower than those of the two rates suggest where both fail on the same pairs.
    """

    first: Rate
    second: Rate
    difference: Rate

    def __str__(self) -> str:
        gap = self.difference
        return f"{self.first}  {self.second}  {gap:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]"


@dataclass(frozen=True)
class McNemar:
    """McNemar's test (Psychometrika 12, 1947) of decisions on the same pairs.

    It takes pairs for independent; where people occur in many, trust the bootstrap's interval.

    Attributes:
        first_only: pairs that only the first system decided rightly.
        second_only: pairs that only the second one did.
    """

    first_only: int
    second_only: int

    @property
    def exact(self) -> bool:
        """Whether p is the binomial's; beyond 25 discordant pairs it is that of chi-square."""
        return self.first_only + self.second_only <= EXACT_UP_TO

    @property
    def p(self) -> float:
        """Probability of so uneven a split under the hypothesis of equally good systems."""
        few, count = min(self.first_only, self.second_only), self.first_only + self.second_only
        if self.exact:
            return min(1.0, 2 * sum(math.comb(count, k) for k in range(few + 1)) / 2**count)
        # Edwards' continuity correction (Psychometrika 13, 1948); one degree of freedom.
        gap = max(0, abs(self.first_only - self.second_only) - 1)
        return math.erfc(math.sqrt(gap**2 / count / 2))

    def __str__(self) -> str:
        kind = "exact binomial" if self.exact else "chi-square with continuity correction"
        return (
            f"{self.first_only} pairs only the first decides rightly, {self.second_only} only the "
            f"second: p = {self.p:.2g} ({kind})"
        )


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """The differences of two systems; prints itself.

    Attributes:
        first: verification of the first system.
        second: verification of the second one.
        far: the false-accept rate that `tar` is at.
        accuracy: accuracy over the folds; None without folds.
        tar: true-accept rate at `far`, each system with its own threshold.
        mcnemar: test of the decisions behind `accuracy`; None without folds.
    """

    first: Verification
    second: Verification
    far: float
    accuracy: Difference | None
    tar: Difference
    mcnemar: McNemar | None

    def __str__(self) -> str:
        mated, impostors = len(self.first.mated), self.first.impostors
        lines = [f"comparison: {mated} mated, {impostors} impostor pairs; first, second, gain"]
        if self.accuracy is not None:
            lines.append(f"  accuracy    {self.accuracy}")
        if self.tar.difference.resolved:
            lines.append(f"  TAR@{self.far:<7g} {self.tar}")
        if self.mcnemar is not None:
            lines.append(f"  McNemar     {self.mcnemar}")
        return "\n".join(lines)

    __repr__ = __str__


def compare(
    first: np.ndarray,
    second: np.ndarray,
    same: np.ndarray,
    folds: int | Sequence[int] | np.ndarray | None = None,
    *,
    far: float = 1e-3,
    ids_a: inputs.Identities | None = None,
    ids_b: inputs.Identities | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Comparison:
    """Return how two systems differ on the same pairs.

    With identities, both are measured on the same draws of them, and the interval of a difference
    is that of the draws' differences. Without, it is Agresti and Min's for paired proportions, at
    the thresholds of these pairs.

    Args:
        first: (N,) scores of the first system, higher is closer.
        second: (N,) scores of the second one, of any other scale.
        same: (N,) bool, both images show one identity.
        folds: as of `verification`; by default no accuracy is compared.
        far: false-accept rate to compare true-accept rates at.
        ids_a: (N,) identity of each pair's first image.
        ids_b: (N,) identity of each pair's second image.
        draws: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        ArcwiseError: as in `verification`.
    """
    rate = inputs.fraction("far", far)
    one, other = (
        verification(scores, same, folds, ids_a=ids_a, ids_b=ids_b, draws=draws, seed=seed)
        for scores in (first, second)
    )
    mated = np.asarray(same, dtype=bool)
    hits = np.asarray(first)[mated] >= one.threshold_at(rate)
    other_hits = np.asarray(second)[mated] >= other.threshold_at(rate)
    drawn_tar, drawn_accuracy = _drawn(one, other, rate)
    enough = resolved(rate, one.impostors)
    tar = _difference(one.tar_at(rate), other.tar_at(rate), hits, other_hits, drawn_tar, enough)
    if one.folds is None or other.folds is None:
        return Comparison(one, other, rate, None, tar, None)
    right, other_right = one.folds.correct, other.folds.correct
    return Comparison(
        one,
        other,
        rate,
        _difference(one.accuracy, other.accuracy, right, other_right, drawn_accuracy),
        tar,
        McNemar(*_discordant(right, other_right)),
    )


def _drawn(one: Verification, other: Verification, far: float) -> tuple[list[float], list[float]]:
    """Return the differences in true-accept rate and in accuracy of every draw of identities."""
    tars: list[float] = []
    accuracies: list[float] = []
    if one.sample is None or other.sample is None:
        return tars, accuracies
    for times in one.sample.times():
        curve, other_curve = one.sample.curve(times), other.sample.curve(times)
        if curve is not None and other_curve is not None:
            tars.append(other_curve.tar(far) - curve.tar(far))
        if one.folds is not None and other.folds is not None:
            accuracies.append(other.folds.drawn(times) - one.folds.drawn(times))
    return tars, accuracies


def _difference(
    first: Rate,
    second: Rate,
    right: np.ndarray,
    other_right: np.ndarray,
    drawn: list[float],
    resolved_rate: bool = True,
) -> Difference:
    """Return the difference with its interval; (N,) `right` and `other_right` are decisions."""
    value = float(second) - float(first)
    low, high = percentile_interval(drawn)
    if not low < high:  # identities are unknown, or the systems agree in every draw
        low, high = paired_interval(*_discordant(right, other_right), len(right))
    return Difference(first, second, Rate(value, min(low, value), max(high, value), resolved_rate))


def _discordant(right: np.ndarray, other_right: np.ndarray) -> tuple[int, int]:
    """Return on how many only the first is right, and on how many only the second."""
    return int(np.count_nonzero(right & ~other_right)), int(np.count_nonzero(other_right & ~right))
