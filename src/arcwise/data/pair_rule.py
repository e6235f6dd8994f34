"""Which two rows may make a pair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]

_BLOCK = 2**22  # pairs looked at at once


@dataclass(frozen=True, eq=False)
class PairRule:
    """What is asked of a pair besides two different rows, for N rows.

    Attributes:
        first: (N,) bool, the rows that may be on one side.
        second: (N,) bool, those that may be on the other.
        medium: (N,) int64; two rows of one medium make no pair. None where none is known.
        age: (N,) float64, in years; NaN where it is not known. None if ages do not matter.
        gap: years between the two, at least and at most.
    """

    first: NDArray[np.bool_]
    second: NDArray[np.bool_]
    medium: NDArray[np.int64] | None = None
    age: NDArray[np.float64] | None = None
    gap: tuple[float, float] = (0.0, np.inf)

    @classmethod
    def any(cls, rows: int) -> PairRule:
        """Any two rows."""
        return cls(np.ones(rows, bool), np.ones(rows, bool))

    def allows(self, a: Rows, b: Rows) -> NDArray[np.bool_]:
        """Whether rows make a pair, of two arrays that broadcast against each other."""
        fits = (self.first[a] & self.second[b]) | (self.first[b] & self.second[a])
        fits = fits & (a != b)
        if self.medium is not None:
            fits &= self.medium[a] != self.medium[b]
        if self.age is not None:
            apart = np.abs(self.age[a] - self.age[b])  # NaN is never in a range
            fits &= (apart >= self.gap[0]) & (apart <= self.gap[1])
        return fits

    def oriented(self, a: Rows, b: Rows) -> tuple[Rows, Rows]:
        """(P,) and (P,) rows of pairs, what may be on the first side on the first side."""
        turned = ~(self.first[a] & self.second[b])
        return np.where(turned, b, a), np.where(turned, a, b)

    def block(self, rows: int) -> int:
        """How many rows to look at at once with so many others."""
        return max(1, _BLOCK // max(rows, 1))


def distinct(pairs: Rows) -> Rows:
    """(2, P) pairs without those that came before, whichever side is which."""
    low, high = pairs.min(0), pairs.max(0)
    count = int(high.max(initial=0)) + 1
    return pairs[:, np.sort(np.unique(low * count + high, return_index=True)[1])]
