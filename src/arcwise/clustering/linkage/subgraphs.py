"""Instance pivot sub-graphs (section 3.2 of L-GCN), many at once, packed and not padded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from arcwise.clustering.graph import NONE
from arcwise.errors import ArcwiseError

_BATCH_NODES = 2**15  # nodes of the sub-graphs that are built together, about


@dataclass(frozen=True)
class SubgraphShape:
    """How far a sub-graph reaches.

    Attributes:
        hops: neighbours taken at each hop from the pivot, k₁ … k_h.
        links: nearest neighbours that each node is linked to where they are in its sub-graph, u. At
            least as many as are taken at any hop but the first, so that a node is linked to the one
            that brought it in.
    """

    hops: tuple[int, ...]
    links: int

    def __post_init__(self) -> None:
        if not self.hops or min(self.hops) < 1 or self.links < max(self.hops[1:], default=1):
            raise ArcwiseError(
                f"a sub-graph of hops {self.hops} and {self.links} links: expected at least one "
                "neighbour at each hop, and as many links as neighbours at the second hop"
            )

    @property
    def neighbours(self) -> int:
        """Neighbours that every embedding needs, K."""
        return max(*self.hops, self.links)

    @property
    def most_nodes(self) -> int:
        """Nodes of the largest sub-graph that can be."""
        return 1 + sum(math.prod(self.hops[: hop + 1]) for hop in range(len(self.hops)))


@dataclass(frozen=True, eq=False)
class Subgraphs:
    """P sub-graphs with V nodes, E links and M neighbours of their pivots in all.

    The nodes of a sub-graph are its pivot and what its hops reach, each once. Links go both ways,
    none from a node to itself, and none between sub-graphs.

    Attributes:
        node: (V,) int64 rows of embeddings.
        pivot: (V,) int64 the row of the embedding that is the pivot.
        start: (V + 1,) int64 where the links of each node begin.
        column: (E,) int64 the node that a link goes to, a place among the V.
        first_hop: (M,) int64 places, among the V, of the neighbours of the pivots.
        of: (M,) int64 the number of the sub-graph, 0 … P-1.
        rank: (M,) int64 which neighbour of its pivot it is, 0 … k₁-1.
    """

    node: np.ndarray
    pivot: np.ndarray
    start: np.ndarray
    column: np.ndarray
    first_hop: np.ndarray
    of: np.ndarray
    rank: np.ndarray


def subgraphs(index: np.ndarray, pivots: np.ndarray, shape: SubgraphShape) -> Subgraphs:
    """Return the sub-graphs of some pivots.

    The pivot is a node, as in the authors' code; their paper leaves it out.

    Args:
        index: (N, K) rows of the nearest neighbours, -1 where there is none; as `Neighbours` has.
        pivots: (P,) rows.
        shape: how far they reach.
    """
    size, pivots = len(index), np.asarray(pivots, dtype=np.int64)
    # A node of sub-graph g is known by g·N + row.
    near = index[pivots, : shape.hops[0]]
    of, rank = np.nonzero(near != NONE)
    first_hop = of * size + near[of, rank]
    reached = [np.arange(len(pivots)) * size + pivots, first_hop]
    for k in shape.hops[1:]:
        reached.append(_neighbours_of(np.unique(reached[-1]), index, k)[1])
    key = np.unique(np.concatenate(reached))
    source, target = _neighbours_of(key, index, shape.links)
    place = np.minimum(np.searchsorted(key, target), len(key) - 1)
    inside = key[place] == target
    ones = np.ones(np.count_nonzero(inside), dtype=np.float32)
    one_way = csr_array((ones, (source[inside], place[inside])), shape=(len(key), len(key)))
    both = (one_way + one_way.T).tocsr()
    return Subgraphs(
        node=key % size,
        pivot=pivots[key // size],
        start=both.indptr.astype(np.int64),
        column=both.indices.astype(np.int64),
        first_hop=np.searchsorted(key, first_hop),
        of=of,
        rank=rank,
    )


def batches(count: int, shape: SubgraphShape) -> Iterator[slice]:
    """Yield parts of `count` pivots, small enough that their sub-graphs fit in memory together."""
    step = max(1, _BATCH_NODES // shape.most_nodes)
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def _neighbours_of(key: np.ndarray, index: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the place of each node (one entry a neighbour), and the keys of its k neighbours."""
    group, row = np.divmod(key, len(index))
    near = index[row, :k]
    place, column = np.nonzero(near != NONE)
    return place, group[place] * len(index) + near[place, column]
