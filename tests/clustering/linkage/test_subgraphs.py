"""Packed sub-graphs against sets, one pivot after the other."""

from __future__ import annotations

import numpy as np
import pytest

from arcwise.clustering.linkage.subgraphs import SubgraphShape, batches, subgraphs
from arcwise.errors import ArcwiseError


def random_index(size: int, k: int, seed: int, missing: float = 0.2) -> np.ndarray:
    """Neighbours at random, with -1 at the end of some rows."""
    rng = np.random.default_rng(seed)
    index = np.full((size, k), -1, dtype=np.int32)
    for row in range(size):
        others = rng.permutation(np.delete(np.arange(size), row))[:k]
        kept = len(others) if rng.random() > missing else rng.integers(0, len(others) + 1)
        index[row, :kept] = others[:kept]
    return index


def by_sets(index: np.ndarray, pivot: int, shape: SubgraphShape) -> tuple[set, set, list]:
    """Nodes, links and first hop of one sub-graph, as the authors' code makes them."""

    def near(row: int, k: int) -> list[int]:
        return [int(one) for one in index[row, :k] if one >= 0]

    hops = [set(near(pivot, shape.hops[0]))]
    for k in shape.hops[1:]:
        hops.append({one for row in hops[-1] for one in near(row, k)})
    nodes = {pivot}.union(*hops)
    links = {(a, b) for a in nodes for b in near(a, shape.links) if b in nodes}
    return nodes, links | {(b, a) for a, b in links}, near(pivot, shape.hops[0])


@pytest.mark.parametrize(
    "shape",
    [SubgraphShape((4, 2), 2), SubgraphShape((5,), 1), SubgraphShape((3, 3, 2), 4)],
    ids=["two hops", "one hop", "three hops"],
)
def test_sub_graphs_are_those_of_sets(shape: SubgraphShape) -> None:
    index = random_index(40, 6, seed=0)
    pivots = np.array([3, 17, 3, 39, 0])
    graphs = subgraphs(index, pivots, shape)
    ends = np.searchsorted(np.cumsum([len(by_sets(index, p, shape)[0]) for p in pivots]),
                           np.arange(len(graphs.node)), side="right")  # fmt: skip
    row = np.repeat(np.arange(len(graphs.node)), np.diff(graphs.start))
    for number, pivot in enumerate(pivots):
        nodes, links, first = by_sets(index, pivot, shape)
        own = np.flatnonzero(ends == number)
        assert graphs.node[own].tolist() == sorted(nodes)
        assert (graphs.pivot[own] == pivot).all()
        mine = np.isin(row, own)
        found = zip(graphs.node[row[mine]], graphs.node[graphs.column[mine]], strict=True)
        assert sorted(found) == sorted(links)
        assert np.isin(graphs.column[mine], own).all()
        of = graphs.of == number
        assert graphs.node[graphs.first_hop[of]].tolist() == first
        assert np.isin(graphs.first_hop[of], own).all()
        assert graphs.rank[of].tolist() == list(range(len(first)))


def test_pivots_without_neighbours() -> None:
    index = np.full((3, 2), -1, dtype=np.int32)
    graphs = subgraphs(index, np.arange(3), SubgraphShape((2, 1), 1))
    assert graphs.node.tolist() == graphs.pivot.tolist() == [0, 1, 2]
    assert graphs.start.tolist() == [0, 0, 0, 0]
    assert len(graphs.first_hop) == len(graphs.column) == 0


def test_every_pivot_is_in_one_batch() -> None:
    shape = SubgraphShape((80, 5), 5)
    assert shape.most_nodes == 1 + 80 + 400
    parts = list(batches(1000, shape))
    assert len(parts) > 1
    assert np.concatenate([np.arange(1000)[part] for part in parts]).tolist() == list(range(1000))
    assert list(batches(2, SubgraphShape((10**6, 5), 5))) == [slice(0, 1), slice(1, 2)]


@pytest.mark.parametrize(("hops", "links"), [((), 5), ((0,), 5), ((8, 5), 4), ((8,), 0)])
def test_impossible_shapes(hops: tuple[int, ...], links: int) -> None:
    with pytest.raises(ArcwiseError, match="sub-graph"):
        SubgraphShape(hops, links)
