"""Pairs with the identities of both sides: what the bootstrap over identities draws from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from arcwise.evaluation.curve import Curve
from arcwise.evaluation.intervals import Rate, bootstrapped, multiplicities
from arcwise.evaluation.tail import ImpostorTail


@dataclass(frozen=True)
class PairSample:
    """Mated and impostor pairs whose identities are known, I in all.

    Attributes:
        place: (P,) index of each mated pair's score among the U distinct mated scores.
        mated: (P,) int64 identity of each mated pair.
        before: (U,) how many of the kept impostors lie strictly above each distinct mated score.
        upto: (U,) the same with those that tie.
        similarity: (K,) of each kept impostor, descending.
        first: (K,) int64 one side's identity of each kept impostor.
        second: (K,) int64 the other side's.
        weight: (K,) how many impostor pairs each kept one stands for.
        sizes: (I,) pictures of each identity where the pairs are all pairs; None for a list.
        identities: I.
        draws: bootstrap samples.
        seed: of the bootstrap.
    """

    place: np.ndarray
    mated: np.ndarray
    before: np.ndarray
    upto: np.ndarray
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
        mated = np.bincount(self.place, times[self.mated], minlength=len(self.before))
        passed, total = self._impostors(times)
        if total > 0 and mated.sum() > 0:
            return Curve(mated, passed[self.before], passed[self.upto], total)
        return None

    def fars(self, threshold: float) -> list[float]:
        """Return what share of the impostors reaches a threshold, draw by draw."""
        reach = int(np.count_nonzero(self.similarity >= threshold))
        drawn = (self._impostors(times) for times in self.times())
        return [float(passed[reach]) / total for passed, total in drawn if total > 0]

    def _impostors(self, times: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the weights (K + 1,) of the 0 to K most similar impostors, and of all."""
        passed = np.cumsum(self.weight * times[self.first] * times[self.second])
        passed = np.concatenate([[0.0], passed])
        if self.sizes is None:
            return passed, float(passed[-1])
        pictures = self.sizes * times
        return passed, (float(pictures.sum()) ** 2 - float((pictures**2).sum())) / 2

    def rate(
        self, value: float, drawn: Sequence[float] | np.ndarray, resolved: bool = True
    ) -> Rate:
        """Return the value with the middle 95 % of the drawn ones."""
        return bootstrapped(value, drawn, len(np.unique(self.mated)), resolved)


def pair_sample(
    mated: np.ndarray,
    owner: np.ndarray,
    tail: ImpostorTail,
    identities: int,
    draws: int,
    seed: int,
    sizes: np.ndarray | None = None,
) -> PairSample:
    """Return the sample of mated scores (P,), their identities (P,), and impostors.

    Args:
        mated: (P,) scores.
        owner: (P,) int64 identities.
        tail: the impostors.
        identities: I.
        draws: bootstrap samples.
        seed: of the bootstrap.
        sizes: (I,) pictures of each identity where the pairs are all pairs.
    """
    distinct, place = np.unique(mated, return_inverse=True)
    before, upto = kept_above(distinct, tail.similarity)
    return PairSample(
        place, owner, before, upto, tail.similarity, tail.first, tail.second, tail.weight,
        sizes, identities, draws, seed,
    )  # fmt: skip


def kept_above(scores: np.ndarray, descending: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how many of the descending values are above, and at or above, each score (U,)."""
    ascending = descending[::-1]
    above = len(ascending) - np.searchsorted(ascending, scores, side="right")
    at_or_above = len(ascending) - np.searchsorted(ascending, scores, side="left")
    return above.astype(np.int64), at_or_above.astype(np.int64)
