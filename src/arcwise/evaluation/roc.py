"""The ROC of weighted pairs, and its bootstrap over the identities of the pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation.impostor_sample import ImpostorSample
from arcwise.evaluation.intervals import Rate, bootstrapped, multiplicities


@dataclass(frozen=True)
class Curve:
    """An empirical ROC of U distinct mated scores, exact with ties.

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
        """Return the corners (far, tar) of the convex hull of the ROC.

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


@dataclass(frozen=True)
class PairSample:
    """Mated and impostor pairs whose identities are known, I in all.

    Attributes:
        place: (P,) index of each mated pair's score among the U distinct mated scores.
        mated: (P,) int64 identity of each mated pair.
        above: (U,) how many of the kept impostors lie strictly above each distinct mated score.
        at_or_above: (U,) the same with those that tie.
        similarity: (K,) of each kept impostor, descending.
        first: (K,) int64 one side's identity of each kept impostor.
        second: (K,) int64 the other side's.
        weight: (K,) how many impostor pairs each kept one represents.
        sizes: (I,) images of each identity where the pairs are all pairs; None for a list.
        identities: I.
        draws: bootstrap samples.
        seed: of the bootstrap.
    """

    place: np.ndarray
    mated: np.ndarray
    above: np.ndarray
    at_or_above: np.ndarray
    similarity: np.ndarray
    first: np.ndarray
    second: np.ndarray
    weight: np.ndarray
    sizes: np.ndarray | None
    identities: int
    draws: int
    seed: int

    def curves(self) -> Iterator[Curve]:
        """Yield one curve for each draw of identities that has pairs of both kinds."""
        for times in self.times():
            curve = self.curve(times)
            if curve is not None:
                yield curve

    def times(self) -> Iterator[np.ndarray]:
        """Yield how often each identity (I,) was drawn, one draw after the other."""
        return multiplicities(self.identities, self.draws, self.seed)

    def curve(self, times: np.ndarray) -> Curve | None:
        """Return the curve of one draw; None where it has pairs of one kind only."""
        mated = np.bincount(self.place, times[self.mated], minlength=len(self.above))
        passed, total = self._impostors(times)
        if total > 0 and mated.sum() > 0:
            return Curve(mated, passed[self.above], passed[self.at_or_above], total)
        return None

    def fars(self, threshold: float) -> list[float]:
        """Return the false-accept rate of a threshold in each draw."""
        reach = int(np.count_nonzero(self.similarity >= threshold))
        drawn = (self._impostors(times) for times in self.times())
        return [float(passed[reach]) / total for passed, total in drawn if total > 0]

    def _impostors(self, times: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the weights (K + 1,) of the 0 to K most similar impostors, and of all."""
        passed = np.cumsum(self.weight * times[self.first] * times[self.second])
        passed = np.concatenate([[0.0], passed])
        if self.sizes is None:
            return passed, float(passed[-1])
        images = self.sizes * times
        return passed, (float(images.sum()) ** 2 - float((images**2).sum())) / 2

    def rate(
        self, value: float, drawn: Sequence[float] | np.ndarray, resolved: bool = True
    ) -> Rate:
        """Return the value with the middle 95 % of the drawn ones."""
        return bootstrapped(value, drawn, len(np.unique(self.mated)), resolved)


def pair_sample(
    mated: np.ndarray,
    owner: np.ndarray,
    impostors: ImpostorSample,
    identities: int,
    draws: int,
    seed: int,
    sizes: np.ndarray | None = None,
) -> PairSample:
    """Return the sample of mated scores (P,), their identities (P,), and impostors.

    Args:
        mated: (P,) scores.
        owner: (P,) int64 identities.
        impostors: the impostors kept.
        identities: I.
        draws: bootstrap samples.
        seed: of the bootstrap.
        sizes: (I,) images of each identity where the pairs are all pairs.
    """
    distinct, place = np.unique(mated, return_inverse=True)
    above, at_or_above = counts_above(distinct, impostors.similarity)
    return PairSample(
        place, owner, above, at_or_above, impostors.similarity, impostors.first,
        impostors.second, impostors.weight, sizes, identities, draws, seed,
    )  # fmt: skip


def counts_above(scores: np.ndarray, descending: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many of the descending values are above, and at or above, each score (U,)."""
    ascending = descending[::-1]
    above = len(ascending) - np.searchsorted(ascending, scores, side="right")
    at_or_above = len(ascending) - np.searchsorted(ascending, scores, side="left")
    return above.astype(np.int64), at_or_above.astype(np.int64)


def nearest_accepted(mated: np.ndarray, impostor: np.ndarray, impostors: int, far: float) -> int:
    """Return how many mated pairs the point of the ROC nearest in false-accept rate accepts.

    As insightface's IJB scripts do with scikit-learn's `roc_curve` turned around: of the points
    with the nearest rate the one that accepts most, of two equally near rates the higher one. The
    points are scikit-learn's: one for each distinct score, without those inside a straight run.
    The rate of that point may be above `far`.

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
