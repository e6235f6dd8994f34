"""Accuracy and VAL by folds, the threshold of each fold chosen on the other folds (LFW)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.intervals import Rate, bootstrapped, multiplicities, wilson
from arcwise.evaluation.scored import Pairs
from arcwise.evaluation.thresholds import resolved

FoldThreshold = Literal["between", "score"]
"""Position of a fold's threshold between the two scores that the other folds determine.

between: midway. score: on the upper one, as scripts have it that try the scores themselves; the
lowest mated score of the other folds is then just accepted, a slightly lower one of the fold not.
"""

GRID = np.arange(0, 4, 0.001)
"""Squared distances tried as thresholds."""


@dataclass(frozen=True)
class Folds:
    """The accuracy of each fold, and the decisions behind it.

    Attributes:
        names: (F,) the folds' labels, in their order.
        accuracy: (F,) fraction of the fold's pairs decided rightly.
        threshold: (F,) chosen on the other folds; accepted means at or above.
        correct: (N,) bool, every pair decided with its own fold's threshold.
        member: (N,) int64, the place of each pair's fold among the names.
        pairs: the pairs.
    """

    names: np.ndarray
    accuracy: np.ndarray
    threshold: np.ndarray
    correct: np.ndarray
    member: np.ndarray
    pairs: Pairs

    def mean(self, draws: int, seed: int) -> Rate:
        """Return the mean accuracy; the interval draws identities, or is Wilson's without them."""
        value = float(self.accuracy.mean())
        identities = self.pairs.identities
        if identities is None:
            low, high = wilson(int(self.correct.sum()), len(self.correct))
            return Rate(value, min(low, value), max(high, value))
        drawn = [self.drawn(times) for times in multiplicities(len(identities.names), draws, seed)]
        return bootstrapped(value, drawn, len(identities.names))

    def drawn(self, times: np.ndarray) -> float:
        """Return the mean accuracy when identities (I,) count so many times; NaN without pairs."""
        weight = self.pairs.weight(times)
        counted = np.bincount(self.member, weight, minlength=len(self.names))
        right = np.bincount(self.member, weight * self.correct, minlength=len(self.names))
        if not counted.any():
            return np.nan
        return float((right[counted > 0] / counted[counted > 0]).mean())


def cross_validate(
    pairs: Pairs,
    folds: int | Sequence[int] | np.ndarray,
    threshold: FoldThreshold = "between",
) -> Folds:
    """Return the accuracy of each fold (the LFW protocol, Huang et al., UMass TR 07-49).

    Every threshold between two neighbouring scores of the other folds is tried, which is exact
    where a grid of thresholds is not. Of several best ones the middle one is taken. A fold may hold
    pairs of one kind only; what is left without it may not.

    Args:
        pairs: N scored pairs.
        folds: number of contiguous folds, or (N,) fold labels.
        threshold: "between" the two scores, or on the upper "score".

    Raises:
        ArcwiseError: fewer than two folds; an identity in two of them; a fold whose others hold
            pairs of one kind only; or an unknown kind of threshold.
    """
    if threshold not in ("between", "score"):
        raise ArcwiseError(f"fold_threshold is {threshold!r}, expected 'between' or 'score'")
    names, member = _membership(folds, len(pairs.same))
    _check_disjoint(names, member, pairs)
    order = np.argsort(pairs.similarity, kind="stable")
    scores, truth, fold_of = pairs.similarity[order], pairs.same[order], member[order]
    thresholds = np.empty(len(names))
    for fold, name in enumerate(names):
        rest = fold_of != fold
        mated = int(np.count_nonzero(truth[rest]))
        if mated in (0, int(np.count_nonzero(rest))):
            raise ArcwiseError(
                f"without fold {name} there are {mated} mated and "
                f"{np.count_nonzero(rest) - mated} impostor pairs, expected some of both: the "
                "fold's threshold is chosen on the others; spread both kinds over the folds"
            )
        thresholds[fold] = _best(scores[rest], truth[rest], threshold)
    correct = (pairs.similarity >= thresholds[member]) == pairs.same
    accuracy = np.bincount(member, weights=correct) / np.bincount(member)
    return Folds(names, accuracy, thresholds, correct, member, pairs)


def _membership(
    folds: int | Sequence[int] | np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted fold names (F,) and the place of every pair's fold among them (N,)."""
    if isinstance(folds, (int, np.integer)):
        if not 2 <= folds <= count:
            raise ArcwiseError(
                f"folds is {folds} for {count} pairs, expected 2 to {count}; "
                "leave the folds out (folds=None) to measure without accuracy"
            )
        sizes = [len(part) for part in np.array_split(np.arange(count), folds)]
        member = np.repeat(np.arange(folds), sizes)
    else:
        member = inputs.identities("folds", folds, count)
    names, place = inputs.numbered(member)
    if len(names) < 2:
        raise ArcwiseError(
            "folds holds one label, expected at least two: "
            "each fold's threshold is chosen on the other folds"
        )
    return names, place


def _check_disjoint(names: np.ndarray, member: np.ndarray, pairs: Pairs) -> None:
    """Raise where an identity is in two folds, if the identities are known."""
    if pairs.identities is None:
        return
    low = np.full(len(pairs.identities.names), len(names))
    high = np.full(len(pairs.identities.names), -1)
    for side in (pairs.identities.first, pairs.identities.second):
        np.minimum.at(low, side, member)
        np.maximum.at(high, side, member)
    shared = np.flatnonzero(low < high)
    if len(shared):
        one = shared[0]
        raise ArcwiseError(
            f"identity {pairs.identities.names[one]!s} is in folds {names[low[one]]!s} and "
            f"{names[high[one]]!s} ({len(shared)} such identities), expected folds that share "
            "no identity: a threshold chosen on people it is tested on looks too good; "
            "leave the folds out (folds=None) to measure without accuracy"
        )


def _best(scores: np.ndarray, truth: np.ndarray, threshold: FoldThreshold) -> float:
    """Return the threshold with fewest errors, at or below one of the ascending scores."""
    cuts = np.flatnonzero(np.diff(scores) > 0) + 1
    cuts = np.concatenate([[0], cuts, [len(scores)]])  # accept all, between, accept none
    mated_before = np.concatenate([[0], np.cumsum(truth)])[cuts]
    right = (cuts - mated_before) + (truth.sum() - mated_before)
    best = cuts[right == right.max()]
    cut = best[(len(best) - 1) // 2]
    if cut == len(scores):
        return np.inf
    high = float(scores[cut])
    if threshold == "score":
        return high
    if cut == 0:
        return -np.inf
    low = float(scores[cut - 1])
    middle = low + (high - low) / 2
    return middle if middle > low else high


@dataclass(frozen=True, eq=False, repr=False)
class Val:
    """VAL at a target FAR, over folds; prints itself.

    Attributes:
        target: the requested false-accept rate.
        rate: (F,) true-accept rate of each fold.
        far: (F,) false-accept rate that each fold really had.
        threshold: (F,) cosine from the other folds; accepted means strictly above.
        resolved: whether each fold's threshold rests on at least ten accepted impostors.
    """

    target: float
    rate: np.ndarray
    far: np.ndarray
    threshold: np.ndarray
    resolved: bool

    @property
    def mean(self) -> float:
        """Mean of the folds' true-accept rates."""
        return float(self.rate.mean())

    @property
    def std(self) -> float:
        """Standard deviation of the folds' true-accept rates, of the population."""
        return float(self.rate.std())

    @property
    def mean_far(self) -> float:
        """Mean of the false-accept rates that the folds really had."""
        return float(self.far.mean())

    def __str__(self) -> str:
        mark = "" if self.resolved else " (not resolved)"
        return f"VAL {self.mean:.4f} ± {self.std:.4f} @ FAR {self.mean_far:.5f}{mark}"

    __repr__ = __str__


def val_at(folds: Folds, far: float) -> Val:
    """Return the VAL@FAR of facenet and insightface (`calculate_val`) from cosines.

    For each fold, the others' false-accept rate is computed on a grid of squared distances
    d = 2 - 2 cos; the fold's threshold is interpolated linearly between the last grid point at or
    below the target and the next one, and is 0 where none reaches it. Accepted means strictly
    nearer. The rate does not rise at every grid point, which makes the scripts' own
    `interp1d(kind="slinear")` an error in today's SciPy.

    Raises:
        ArcwiseError: a fold holds pairs of one kind only; or scores that are no cosines.
    """
    rate = inputs.fraction("far", far)
    cosine, same = folds.pairs.similarity, folds.pairs.same
    if np.abs(cosine).max() > 1 + 1e-4:
        raise ArcwiseError(
            f"scores reach {np.abs(cosine).max():g}, expected cosines between -1 and 1: VAL is "
            "defined on squared distances, which are 2 - 2 cos"
        )
    distance = 2.0 - 2.0 * cosine.astype(np.float64)
    count = len(folds.names)
    mated = np.bincount(folds.member[same], minlength=count)
    impostors = np.bincount(folds.member[~same], minlength=count)
    if not (mated.all() and impostors.all()):
        one = int(np.argmin(np.minimum(mated, impostors)))
        raise ArcwiseError(
            f"fold {folds.names[one]} holds {mated[one]} mated and {impostors[one]} impostor "
            "pairs, expected some of both: VAL is a rate of each fold"
        )
    # How many impostors of each fold lie strictly below each grid point.
    passed = np.stack(
        [
            np.searchsorted(np.sort(distance[~same & (folds.member == fold)]), GRID)
            for fold in range(count)
        ]
    )
    others = (passed.sum(axis=0) - passed) / (impostors.sum() - impostors)[:, None]
    threshold = np.array(
        [np.interp(rate, line, GRID) if line[-1] >= rate else 0.0 for line in others]
    )
    accepted = distance < threshold[folds.member]
    return Val(
        target=rate,
        rate=np.bincount(folds.member[same & accepted], minlength=count) / mated,
        far=np.bincount(folds.member[~same & accepted], minlength=count) / impostors,
        threshold=1.0 - threshold / 2,
        resolved=resolved(rate, int((impostors.sum() - impostors).min())),
    )
