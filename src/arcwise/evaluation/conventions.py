"""Two published ways to state a true-accept rate, as their scripts compute them.

Neither keeps to the false-accept rate that it is named after. They are here to compare with
published numbers; `Verification.tar_at` without a convention is the one to rely on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.folds import Folds
from arcwise.evaluation.thresholds import resolved

GRID = np.arange(0, 4, 0.001)
"""Squared distances tried as thresholds."""


def nearest_accepted(mated: np.ndarray, impostor: np.ndarray, impostors: int, far: float) -> int:
    """Return how many mated pairs the point of the ROC nearest in false-accept rate accepts.

    As insightface's IJB scripts do with scikit-learn's `roc_curve` turned around: of the points
    with the nearest rate the one that accepts most, of two equally near rates the higher one. The
    points are scikit-learn's: one for each distinct score, without those inside a straight run.
    The rate found may be above `far`.

    Args:
        mated: (P,) scores, ascending.
        impostor: (K,) highest impostor scores, descending.
        impostors: number of impostors, K or more.
        far: the target.
    """
    # (0, 0) is a point, so that the nearest one accepts at most twice as many as the target asks.
    needed = min(impostors, int(2 * far * impostors) + 2)
    if needed > len(impostor):
        raise ArcwiseError(
            f"the point nearest to FAR {far} needs the highest {needed} impostors, only "
            f"{len(impostor)} of {impostors} were kept: ask for a lower rate"
        )
    lowest = impostor[needed - 1]
    if needed == impostors:
        lowest = min(lowest, mated[0])
    near = impostor[: len(impostor) - np.searchsorted(impostor[::-1], lowest)]
    accepted = mated[np.searchsorted(mated, lowest) :]
    scores = np.unique(np.concatenate([near, accepted]))[::-1]
    false = len(near) - np.searchsorted(near[::-1], scores)
    true = len(accepted) - np.searchsorted(accepted, scores)
    corner = np.ones(len(scores), dtype=bool)
    corner[1:-1] = (np.diff(false, 2) != 0) | (np.diff(true, 2) != 0)
    rates = np.concatenate([[0], false[corner]])[::-1] / impostors
    hits = np.concatenate([[0], true[corner]])[::-1]
    return int(hits[np.argmin(np.abs(rates - far))])


@dataclass(frozen=True, eq=False, repr=False)
class Val:
    """VAL at a target FAR, over folds; prints itself.

    Attributes:
        target: the false-accept rate asked for.
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
