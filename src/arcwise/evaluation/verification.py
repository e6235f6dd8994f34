"""Verification: accuracy, ROC, equal-error rate and thresholds of scored pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.folds import Folds, FoldThreshold, Val, cross_validate, val_at
from arcwise.evaluation.impostor_sample import sample_listed
from arcwise.evaluation.intervals import DRAWS, Rate, wilson
from arcwise.evaluation.roc import Curve, PairSample, counts_above, nearest_accepted, pair_sample
from arcwise.evaluation.scored import scored_pairs
from arcwise.evaluation.thresholds import allowed, just_above, resolved

FarConvention = Literal["conservative", "nearest"]

TABLE = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""False-accept rates of the printed table, where the pairs resolve them."""


class _Statistic(NamedTuple):
    """A value, the function of a drawn curve, and the interval where identities are unknown."""

    value: float
    of_curve: Callable[[Curve], float]
    independent: tuple[float, float]
    resolved: bool = True


@dataclass(frozen=True, eq=False, repr=False)
class Verification:
    """The result of verification; prints itself.

    Accepted means at or above a threshold. Intervals are 95 %. Where the identities of the pairs
    are known they come from drawing identities; else, for the "nearest" convention, and for a
    false-accept rate of 0, they are Wilson's, which take pairs for independent and are too narrow
    when one person occurs in many.

    Attributes:
        mated: (P,) scores of the mated pairs, ascending.
        impostor: highest impostor scores, descending; all of them but for very large sets.
        impostors: number of impostor pairs.
        curve: the ROC.
        folds: accuracy by folds; None without folds.
        draws: bootstrap samples.
        seed: of the bootstrap.
        sample: the pairs with their identities; None where these are unknown.
    """

    mated: np.ndarray
    impostor: np.ndarray
    impostors: int
    curve: Curve
    folds: Folds | None
    draws: int
    seed: int
    sample: PairSample | None = field(default=None)

    @property
    def accuracy(self) -> Rate:
        """Mean accuracy of the folds, each with the threshold of the others."""
        return self._folds().mean(self.draws, self.seed)

    @property
    def accuracy_std(self) -> float:
        """Standard deviation of the folds' accuracies (of the population, as LFW reports it)."""
        return float(self._folds().accuracy.std())

    @property
    def auc(self) -> Rate:
        """Area under the ROC: how often a mated pair scores above an impostor, ties being half.

        Without identities the interval is Hanley and McNeil's (Radiology 143, 1982).
        """
        return self._rates([self._auc()])[0]

    @property
    def eer(self) -> Rate:
        """Equal-error rate: where false accepts and false rejects are equally frequent.

        The ROC's corners are joined. Without identities the interval is Wilson's with the smaller
        of the two numbers of pairs.
        """
        return self._rates([self._eer(Curve.eer)])[0]

    @property
    def eer_hull(self) -> Rate:
        """Equal-error rate of the ROC's convex hull, what bob calls `eer_rocch`; at most `eer`."""
        return self._rates([self._eer(Curve.eer_hull)])[0]

    def tar_at(self, far: float, convention: FarConvention = "conservative") -> Rate:
        """Return the true-accept rate at a false-accept rate.

        `resolved` is False when `far` is below ten in the number of impostor pairs.

        Args:
            far: the target, above 0 and at most 1.
            convention: "conservative" is the largest true-accept rate whose false-accept rate is at
                most `far`. With identities its interval draws them, and the threshold moves with
                each draw; without, it is Wilson's. "nearest" is that of insightface's IJB scripts:
                the point of scikit-learn's `roc_curve` whose rate is nearest, with Wilson's
                interval. Its rate may lie above `far`, and it then reports more than a system that
                keeps to `far` achieves. It is for comparison with published numbers only.
        """
        return self.tars_at((far,), convention)[0]

    def tars_at(
        self, fars: Sequence[float], convention: FarConvention = "conservative"
    ) -> tuple[Rate, ...]:
        """Return `tar_at` for several rates in one pass over the draws."""
        rates = [inputs.fraction("far", far) for far in fars]
        if convention == "conservative":
            return self._rates([self._tar(rate) for rate in rates])
        if convention != "nearest":
            raise ArcwiseError(
                f"convention is {convention!r}, expected 'conservative' or 'nearest'"
            )
        total, nearest = len(self.mated), []
        for rate in rates:
            hits = nearest_accepted(self.mated, self.impostor, self.impostors, rate)
            enough = resolved(rate, self.impostors)
            nearest.append(Rate(hits / total, *wilson(hits, total), enough))
        return tuple(nearest)

    def val_at(self, far: float) -> Val:
        """Return the VAL@FAR that LFW scripts print: see `folds.val_at`."""
        return val_at(self._folds(), far)

    def threshold_at(self, far: float) -> float:
        """Return the lowest threshold whose false-accept rate is at most `far`."""
        k = allowed(self.impostors, inputs.fraction("far", far))
        if k >= len(self.impostor) and k < self.impostors:
            raise ArcwiseError(
                f"the threshold at FAR {far} needs impostor {k + 1}, only the highest "
                f"{len(self.impostor)} of {self.impostors} were kept: ask for a lower rate"
            )
        return just_above(self.impostor[k]) if k < self.impostors else -math.inf

    def tar_with(self, threshold: float) -> Rate:
        """Return the fraction of mated pairs accepted at a given threshold."""
        return self._rates([self._tar_with(threshold)])[0]

    def frr_with(self, threshold: float) -> Rate:
        """Return the fraction of mated pairs rejected at a given threshold."""
        accepted = self.tar_with(threshold)
        value = np.count_nonzero(self.mated < threshold) / len(self.mated)
        return Rate(value, min(value, 1.0 - accepted.high), max(value, 1.0 - accepted.low))

    def far_with(self, threshold: float) -> Rate:
        """Return the fraction of impostor pairs accepted at a given threshold."""
        hits = int(np.count_nonzero(self.impostor >= threshold))
        if hits == len(self.impostor) < self.impostors:
            raise ArcwiseError(
                f"threshold {threshold} lies below the highest {hits} of {self.impostors} impostor "
                "scores, and only those were kept: ask for a higher threshold"
            )
        value = hits / self.impostors
        if self.sample is None:
            return Rate(value, *wilson(hits, self.impostors))
        if not hits:  # every draw would be 0, too; as many trials as there are pairs of identities
            count = self.sample.identities
            return Rate(0.0, *wilson(0, min(self.impostors, count * (count - 1) // 2)))
        return self.sample.rate(value, self.sample.fars(threshold))

    def roc(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (far, tar), the corners of the ROC from (0, 0) to (1, 1)."""
        return self.curve.points()

    def det(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (far, frr), the corners of the DET curve from (0, 1) to (1, 0).

        Its axes are usually probits (Martin et al., Eurospeech 1997): `scipy.special.ndtri`.
        """
        far, tar = self.curve.points()
        return far, 1.0 - tar

    def rows(self) -> list[tuple[str, Rate]]:
        """Return the names and values of the table; no rate that the pairs do not resolve."""
        fars = [far for far in TABLE if resolved(far, self.impostors)]
        names = ["AUC", "EER", *(f"TAR@{far:g}" for far in fars)]
        statistics = [self._auc(), self._eer(Curve.eer), *map(self._tar, fars)]
        rows = list(zip(names, self._rates(statistics), strict=True))
        return rows if self.folds is None else [("accuracy", self.accuracy), *rows]

    def __str__(self) -> str:
        lines = [f"verification: {len(self.mated)} mated, {self.impostors} impostor pairs"]
        for name, rate in self.rows():
            lines.append(f"  {name:<11} {rate}")
            if self.folds is not None and name == "accuracy":
                lines[-1] += f" ± {self.accuracy_std:.4f} ({len(self.folds.names)} folds)"
        return "\n".join(lines)

    __repr__ = __str__

    def _rates(self, statistics: Sequence[_Statistic]) -> tuple[Rate, ...]:
        """Return each value with its interval, in one pass over the draws."""
        if self.sample is None:
            return tuple(Rate(m.value, *m.independent, m.resolved) for m in statistics)
        drawn = [[m.of_curve(curve) for m in statistics] for curve in self.sample.curves()]
        columns = np.array(drawn).reshape(-1, len(statistics)).T
        return tuple(
            self.sample.rate(m.value, column, m.resolved)
            for m, column in zip(statistics, columns, strict=True)
        )

    def _auc(self) -> _Statistic:
        value = self.curve.auc()
        p, n = len(self.mated), self.impostors
        q1, q2 = value / (2 - value), 2 * value**2 / (1 + value)
        variance = value * (1 - value) + (p - 1) * (q1 - value**2) + (n - 1) * (q2 - value**2)
        half = 1.959964 * math.sqrt(max(0.0, variance) / (p * n))
        hanley = (max(0.0, value - half), min(1.0, value + half))
        return _Statistic(
            value, Curve.auc, hanley if half > 0 else wilson(value * min(p, n), min(p, n))
        )

    def _eer(self, of_curve: Callable[[Curve], float]) -> _Statistic:
        value, trials = of_curve(self.curve), min(len(self.mated), self.impostors)
        return _Statistic(value, of_curve, wilson(value * trials, trials))

    def _tar(self, far: float) -> _Statistic:
        hits, total = self.curve.accepted(allowed(self.impostors, far)), len(self.mated)
        enough = resolved(far, self.impostors)
        return _Statistic(hits / total, lambda curve: curve.tar(far), wilson(hits, total), enough)

    def _tar_with(self, threshold: float) -> _Statistic:
        total = len(self.mated)
        hits = int(np.count_nonzero(self.mated >= threshold))
        place = int(np.searchsorted(np.unique(self.mated), threshold))

        def accepted(curve: Curve) -> float:
            return float(curve.mated[place:].sum() / curve.mated.sum())

        return _Statistic(hits / total, accepted, wilson(hits, total))

    def _folds(self) -> Folds:
        if self.folds is None:
            raise ArcwiseError("accuracy was not measured, expected folds: give folds=10 or labels")
        return self.folds


def verification(
    similarity: np.ndarray,
    same: np.ndarray,
    folds: int | Sequence[int] | np.ndarray | None = None,
    *,
    ids_a: inputs.Identities | None = None,
    ids_b: inputs.Identities | None = None,
    fold_threshold: FoldThreshold = "between",
    draws: int = DRAWS,
    seed: int = 0,
) -> Verification:
    """Return the accuracy, ROC, equal-error rate and thresholds of scored pairs.

    Values are exact. Beyond 32768 impostors the less similar ones enter the intervals through a
    random sample.

    Args:
        similarity: (N,) scores, higher is closer.
        same: (N,) bool, both images show one identity.
        folds: number of contiguous folds (LFW has 10), or (N,) fold labels, to measure accuracy
            with; by default it is not measured.
        ids_a: (N,) identity of each pair's first image; with `ids_b`, intervals draw identities,
            and folds must share no identity. Numbers are read faster than strings.
        ids_b: (N,) identity of each pair's second image.
        fold_threshold: "between" two scores of the other folds, or on the upper "score".
        draws: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        ArcwiseError: lengths differ, a score is not finite, all pairs are of one kind, identities
            contradict `same`, or folds share one or leave pairs of one kind only.
    """
    pairs = scored_pairs(similarity, same, ids_a, ids_b)
    mated_rows, impostor_rows = np.flatnonzero(pairs.same), np.flatnonzero(~pairs.same)
    mated_rows = mated_rows[np.argsort(pairs.similarity[mated_rows], kind="stable")]
    mated, unsorted = pairs.similarity[mated_rows], pairs.similarity[impostor_rows]
    impostor = np.sort(unsorted)[::-1]
    distinct, counts = np.unique(mated, return_counts=True)
    above, at_or_above = counts_above(distinct, impostor)
    sample = None
    if pairs.identities is not None:
        first, second = pairs.identities.first, pairs.identities.second
        kept = sample_listed(unsorted, first[impostor_rows], second[impostor_rows], impostor, seed)
        identities = len(pairs.identities.names)
        sample = pair_sample(mated, first[mated_rows], kept, identities, draws, seed)
    return Verification(
        mated=mated,
        impostor=impostor,
        impostors=len(impostor),
        curve=Curve(counts, above, at_or_above, len(impostor)),
        folds=None if folds is None else cross_validate(pairs, folds, fold_threshold),
        draws=draws,
        seed=seed,
        sample=sample,
    )
