"""Groups of equal values, and groups that links connect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


class Links(NamedTuple):
    """Pairs of rows that are alike.

    Attributes:
        a: (P,) int64, the first of each pair.
        b: (P,) int64, the second.
        similarity: (P,) float32, at most 1.
    """

    a: NDArray[np.int64]
    b: NDArray[np.int64]
    similarity: NDArray[np.float32]

    def at(self, chosen: NDArray[np.generic]) -> Links:
        """Return some of them, by position or by mask."""
        return Links(self.a[chosen], self.b[chosen], self.similarity[chosen])

    @classmethod
    def joined(cls, parts: Sequence[Links]) -> Links:
        """Return all links of several."""
        return cls(
            np.concatenate([np.empty(0, np.int64), *(part.a for part in parts)]),
            np.concatenate([np.empty(0, np.int64), *(part.b for part in parts)]),
            np.concatenate([np.empty(0, np.float32), *(part.similarity for part in parts)]),
        )


def equal(values: NDArray[np.generic]) -> list[NDArray[np.int64]]:
    """Return the positions, ascending, of each of (N,) values that occurs more than once.

    Args:
        values: anything that can be sorted.
    """
    code, counts = np.unique(values, return_inverse=True, return_counts=True)[1:]
    again = np.flatnonzero(counts[code] > 1)
    if not len(again):
        return []
    order = again[np.argsort(code[again], kind="stable")]
    starts = np.flatnonzero(np.diff(code[order])) + 1
    return sorted(np.split(order, starts), key=lambda group: int(group[0]))


class Group(NamedTuple):
    """Rows that links connect.

    Attributes:
        members: (M,) int64, ascending.
        least: the lowest similarity of a link in it.
    """

    members: NDArray[np.int64]
    least: float


def connected(links: Links, count: int) -> list[Group]:
    """Return the connected groups of two or more among `count` rows, ordered by first member."""
    graph = coo_array((np.ones(len(links.a), bool), (links.a, links.b)), (count, count))
    number = connected_components(graph, directed=False)[1]
    least = np.ones(count, np.float32)
    np.minimum.at(least, number[links.a], links.similarity)
    return [Group(members, float(least[number[members[0]]])) for members in equal(number)]
