"""The ROC of weighted pairs, from how many impostors lie above each mated score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Curve:
    """An empirical ROC, exact and with ties, in U distinct mated scores.

    The true-accept rate only changes at mated scores, so two numbers at each of them are the whole
    curve; the impostor scores themselves are not needed.

    Attributes:
        mated: (U,) weight of the mated pairs at each distinct mated score, lowest score first.
        above: (U,) weight of the impostors strictly above each of those scores.
        at_or_above: (U,) the same with those that tie.
        impostors: weight of all impostors.
    """

    mated: np.ndarray
    above: np.ndarray
    at_or_above: np.ndarray
    impostors: float

    def accepted(self, budget: float) -> float:
        """Return the weight of the mated pairs accepted while `budget` impostors are.

        A threshold that accepts a mated score accepts every impostor that ties with it or lies
        above.
        """
        within = int(np.searchsorted(self.at_or_above[::-1], budget, side="right"))
        return float(self.mated[len(self.mated) - within :].sum())

    def tar(self, far: float) -> float:
        """Return the largest true-accept rate whose false-accept rate is at most `far`."""
        # A relative 1e-9 absorbs rounding: 100 * 0.29 must allow 29.
        return self.accepted(far * self.impostors * (1 + 1e-9)) / float(self.mated.sum())

    def auc(self) -> float:
        """Return the area: how often a mated pair scores above an impostor, a tie being half."""
        below = self.impostors - (self.above + self.at_or_above) / 2
        return float(self.mated @ below / (self.mated.sum() * self.impostors))

    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the corners (far, tar), each (2U + 2,), from (0, 0) to (1, 1)."""
        rejected = np.concatenate([[0.0], np.cumsum(self.mated)]) / self.mated.sum()
        enter = np.concatenate([[self.impostors], self.above]) / self.impostors
        leave = np.concatenate([self.at_or_above, [0.0]]) / self.impostors
        far = np.stack([enter, leave], axis=1).ravel()
        return far[::-1], 1.0 - np.repeat(rejected, 2)[::-1]

    def hull(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the corners (far, tar) of the smallest concave curve that lies on no point.

        Each of its points is reached by a threshold, or by a toss between two of them
        (Provost and Fawcett, Machine Learning 42, 2001). Pool-adjacent-violators finds it: along
        the curve, the share of mated pairs may only fall.
        """
        from scipy.optimize import isotonic_regression

        steps = np.diff(np.stack(self.points()), axis=1)
        steps = steps[:, steps.sum(axis=0) > 0]
        length = steps.sum(axis=0)
        corners = isotonic_regression(steps[1] / length, weights=length, increasing=False).blocks
        far, tar = np.concatenate([[[0.0], [0.0]], np.cumsum(steps, axis=1)], axis=1)[:, corners]
        return far, tar

    def eer(self) -> float:
        """Return the equal-error rate: where the curve, corners joined, meets FAR = 1 - TAR."""
        return _crossing(*self.points())

    def eer_hull(self) -> float:
        """Return the equal-error rate of the convex hull; never above `eer`."""
        return _crossing(*self.hull())


def _crossing(far: np.ndarray, tar: np.ndarray) -> float:
    """Return the rate at which the joined corners meet FAR = 1 - TAR."""
    frr = 1.0 - tar
    after = int(np.argmax(far >= frr))
    gap, next_gap = far[after - 1] - frr[after - 1], far[after] - frr[after]
    share = gap / (gap - next_gap)
    return float(far[after - 1] + share * (far[after] - far[after - 1]))
