"""Same or not: what pairs of pictures say about one threshold and about all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.curve import Curve
from arcwise.evaluation.folds import Folds, cross_validate
from arcwise.evaluation.intervals import DRAWS, Rate, wilson
from arcwise.evaluation.sample import PairSample, kept_above
from arcwise.evaluation.thresholds import allowed, just_above, resolved


@dataclass(frozen=True, eq=False, repr=False)
class Verification:
    """What verification measured; prints itself.

    Accepted means at or above a threshold. Intervals are 95 %. Those of `auc`, `eer` and
    `tar_at` draw identities where the identities of the pairs are known; all others are Wilson's,
    which take pairs for independent and are too narrow when one person occurs in many.

    Attributes:
        mated: (P,) scores of the mated pairs, ascending.
        impostor: highest impostor scores, descending; all of them but for very large sets.
        impostors: number of impostor pairs.
        curve: the ROC.
        folds: accuracy by folds; None when it was not asked for.
        sample: the pairs with their identities; None when these are unknown.
    """

    mated: np.ndarray
    impostor: np.ndarray
    impostors: int
    curve: Curve
    folds: Folds | None
    sample: PairSample | None = field(default=None)

    @property
    def accuracy(self) -> Rate:
        """Mean accuracy of the folds, each with the threshold of the others; Wilson's interval."""
        folds = self._folds()
        correct = int(folds.correct.sum())
        value = float(folds.accuracy.mean())
        low, high = wilson(correct, len(folds.correct))
        return Rate(value, min(low, value), max(high, value))

    @property
    def accuracy_std(self) -> float:
        """Standard deviation of the folds' accuracies (of the population, as LFW reports it)."""
        return float(self._folds().accuracy.std())

    @property
    def auc(self) -> Rate:
        """Area under the ROC: how often a mated pair scores above an impostor, ties being half.

        Without identities the interval is Hanley and McNeil's (Radiology 143, 1982).
        """
        value = self.curve.auc()
        if self.sample is not None:
            return self.sample.rate(value, [curve.auc() for curve in self.sample.curves()])
        p, n = len(self.mated), self.impostors
        q1, q2 = value / (2 - value), 2 * value**2 / (1 + value)
        variance = value * (1 - value) + (p - 1) * (q1 - value**2) + (n - 1) * (q2 - value**2)
        half = 1.959964 * math.sqrt(max(0.0, variance) / (p * n))
        return Rate(value, max(0.0, value - half), min(1.0, value + half))

    @property
    def eer(self) -> Rate:
        """Equal-error rate: where false accepts and false rejects are equally frequent.

        Without identities the interval is Wilson's with the smaller of the two numbers of pairs.
        """
        value = self.curve.eer()
        if self.sample is not None:
            return self.sample.rate(value, [curve.eer() for curve in self.sample.curves()])
        trials = min(len(self.mated), self.impostors)
        return Rate(value, *wilson(value * trials, trials))

    def tar_at(self, far: float) -> Rate:
        """Return the largest true-accept rate whose false-accept rate is at most `far`.

        `resolved` is False when `far` is below ten in the number of impostor pairs. With identities
        the interval draws them, and the threshold moves with each draw; without, it is Wilson's for
        the threshold found.
        """
        return self.tars_at((far,))[0]

    def tars_at(self, fars: Sequence[float]) -> tuple[Rate, ...]:
        """Return `tar_at` for several rates in one pass over the draws."""
        rates = [inputs.fraction("far", far) for far in fars]
        total = len(self.mated)
        hits = [self.curve.accepted(allowed(self.impostors, rate)) for rate in rates]
        enough = [resolved(rate, self.impostors) for rate in rates]
        if self.sample is None:
            bounds = [wilson(hit, total) for hit in hits]
            return tuple(
                Rate(hit / total, low, high, known)
                for hit, (low, high), known in zip(hits, bounds, enough, strict=True)
            )
        drawn = np.array([[curve.tar(r) for r in rates] for curve in self.sample.curves()])
        return tuple(
            self.sample.rate(hit / total, drawn[:, column] if len(drawn) else [], known)
            for column, (hit, known) in enumerate(zip(hits, enough, strict=True))
        )

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
        """Return the fraction of mated pairs accepted by a threshold found elsewhere."""
        hits = int(np.count_nonzero(self.mated >= threshold))
        return Rate(hits / len(self.mated), *wilson(hits, len(self.mated)))

    def far_with(self, threshold: float) -> Rate:
        """Return the fraction of impostor pairs accepted by a threshold found elsewhere."""
        hits = int(np.count_nonzero(self.impostor >= threshold))
        if hits == len(self.impostor) < self.impostors:
            raise ArcwiseError(
                f"threshold {threshold} lies below the highest {hits} of {self.impostors} impostor "
                "scores, and only those were kept: ask for a higher threshold"
            )
        return Rate(hits / self.impostors, *wilson(hits, self.impostors))

    def roc(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (far, tar), the corners of the ROC from (0, 0) to (1, 1)."""
        return self.curve.points()

    def __str__(self) -> str:
        lines = [f"verification: {len(self.mated)} mated, {self.impostors} impostor pairs"]
        if self.folds is not None:
            count = len(self.folds.names)
            lines.append(f"  accuracy    {self.accuracy} ± {self.accuracy_std:.4f} ({count} folds)")
        lines.append(f"  AUC         {self.auc}")
        lines.append(f"  EER         {self.eer}")
        rates = [rate for rate in (1e-2, 1e-3, 1e-4) if resolved(rate, self.impostors)]
        for rate, tar in zip(rates, self.tars_at(rates), strict=True):
            lines.append(f"  TAR@{rate:<7g} {tar}")
        return "\n".join(lines)

    __repr__ = __str__

    def _folds(self) -> Folds:
        if self.folds is None:
            raise ArcwiseError("accuracy was not measured, expected folds: give folds=10 or labels")
        return self.folds


def verification(
    similarity: np.ndarray,
    same: np.ndarray,
    folds: int | Sequence[int] | np.ndarray | None = 10,
    *,
    ids_a: inputs.Identities | None = None,
    ids_b: inputs.Identities | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Verification:
    """Return the accuracy, ROC, equal-error rate and thresholds of scored pairs.

    Args:
        similarity: (N,) scores, higher is closer.
        same: (N,) bool, both pictures show one identity.
        folds: number of contiguous folds, or (N,) fold labels; None measures no accuracy.
        ids_a: (N,) identity of each pair's first picture; with `ids_b`, intervals draw identities.
        ids_b: (N,) identity of each pair's second picture.
        draws: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        ArcwiseError: lengths differ, a score is not finite, or all pairs are of one kind.
    """
    scores = inputs.scores("similarity", similarity, 1)
    truth = _truth(same, len(scores))
    order = np.argsort(scores, kind="stable")
    rising, kind = scores[order], truth[order]
    mated, impostor = rising[kind], rising[~kind][::-1]

    distinct, place, counts = np.unique(mated, return_inverse=True, return_counts=True)
    above, at_or_above = kept_above(distinct, impostor)
    sample = None
    if (ids_a is None) != (ids_b is None):
        raise ArcwiseError("one of ids_a and ids_b is missing, expected both or neither")
    if ids_a is not None and ids_b is not None:
        first, second = _pair_codes(ids_a, ids_b, truth)
        first, second = first[order], second[order]
        sample = PairSample(
            place, first[kind], above, at_or_above, first[~kind][::-1], second[~kind][::-1],
            np.ones(len(impostor)), None, int(max(first.max(), second.max())) + 1, draws, seed,
        )  # fmt: skip
    return Verification(
        mated=mated,
        impostor=impostor,
        impostors=len(impostor),
        curve=Curve(counts, above, at_or_above, len(impostor)),
        folds=None if folds is None else cross_validate(scores, truth, folds),
        sample=sample,
    )


def _truth(same: np.ndarray, count: int) -> np.ndarray:
    """Return (N,) bool, refused when all pairs are of one kind."""
    truth = np.asarray(same)
    if truth.shape != (count,):
        raise ArcwiseError(f"same has shape {truth.shape}, expected ({count},): one for each score")
    if truth.dtype != bool:
        if truth.dtype.kind not in "iuf" or not np.isin(truth, (0, 1)).all():
            raise ArcwiseError("same holds other values than 0 and 1, expected truth values")
        truth = truth.astype(bool)
    mated = int(truth.sum())
    if mated in (0, count):
        raise ArcwiseError(
            f"{mated} mated and {count - mated} impostor pairs, expected some of both: "
            "a rate of errors needs pairs that can go wrong either way"
        )
    return truth


def _pair_codes(
    ids_a: inputs.Identities, ids_b: inputs.Identities, truth: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return (N,) identity numbers of both sides, refused where they contradict `same`."""
    count = len(truth)
    sides = [inputs.identities("ids_a", ids_a, count), inputs.identities("ids_b", ids_b, count)]
    joint = inputs.codes("ids_a and ids_b", np.concatenate(sides), 2 * count)
    first, second = joint[:count], joint[count:]
    wrong = np.flatnonzero((first == second) != truth)
    if len(wrong):
        raise ArcwiseError(
            f"pair {wrong[0]} has identities {sides[0][wrong[0]]!r} and {sides[1][wrong[0]]!r} and "
            f"same={bool(truth[wrong[0]])}, expected them to agree ({len(wrong)} such pairs)"
        )
    return first, second
