from collections.abc import Iterator

import numpy as np
import pytest

from arcwise.clustering.map_equation import (
    Flow,
    code_length,
    directed_flow,
    modules,
    numbered_by_first,
    undirected_flow,
)
from arcwise.errors import ArcwiseError
from tests.oracles import described_walk


def partitions(count: int) -> Iterator[np.ndarray]:
    """Yield every way to part so many nodes."""

    def grown(labels: list[int]) -> Iterator[np.ndarray]:
        if len(labels) == count:
            yield np.array(labels)
            return
        for label in range(max(labels, default=-1) + 2):
            yield from grown([*labels, label])

    yield from grown([])


def graph(seed: int, nodes: int, directed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return links that are likelier within two halves of the nodes than between them."""
    draw = np.random.default_rng(seed)
    pairs = np.array(
        [(a, b) for a in range(nodes) for b in range(nodes) if a < b or (directed and a != b)]
    )
    half = pairs < nodes // 2
    chance = np.where(half[:, 0] == half[:, 1], 0.75, 0.15)
    kept = draw.random(len(pairs)) < chance
    return pairs[kept], draw.random(kept.sum()) + 0.1


@pytest.mark.parametrize("directed", [False, True])
def test_code_length_equals_the_entropies(directed: bool) -> None:
    """The code length is that of its definition, from the codebooks' entropies."""
    for seed in range(5):
        pairs, weight = graph(seed, 7, directed)
        flow = (directed_flow if directed else undirected_flow)(pairs, weight, 7)
        assert flow.node.sum() == pytest.approx(1)
        for number, labels in enumerate(partitions(7)):
            if number % 40 == 0:
                expected = described_walk(pairs, weight, labels, directed)
                assert code_length(flow, labels) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("directed", [False, True])
def test_finds_what_exhaustive_search_finds(directed: bool) -> None:
    several = list(partitions(7))
    parted = 0
    for seed in range(12):
        pairs, weight = graph(seed, 7, directed)
        flow = (directed_flow if directed else undirected_flow)(pairs, weight, 7)
        lengths = [code_length(flow, labels) for labels in several]
        found = modules(flow, seed=seed)
        assert code_length(flow, found) == pytest.approx(min(lengths), abs=1e-9)
        parted += found.max() > 0
    assert parted > 3  # else one module would do


def test_cliques_in_a_ring() -> None:
    cliques = [(5 * c + a, 5 * c + b) for c in range(30) for a in range(5) for b in range(a)]
    ring = [(5 * c, 5 * ((c + 1) % 30) + 1) for c in range(30)]
    pairs = np.array(cliques + ring)
    flow = undirected_flow(pairs, np.ones(len(pairs)), 150)
    assert (modules(flow) == np.arange(150) // 5).all()
    both = np.concatenate([pairs, pairs[:, ::-1]])
    flow = directed_flow(both, np.ones(len(both)), 150)
    assert (modules(flow) == np.arange(150) // 5).all()


def test_same_seed_same_modules() -> None:
    draw = np.random.default_rng(0)
    pairs = np.unique(np.sort(draw.integers(0, 400, (1500, 2)), axis=1), axis=0)
    flow = undirected_flow(pairs, draw.random(len(pairs)) + 0.1, 400)
    first = modules(flow, seed=3)
    assert (first == modules(flow, seed=3)).all()
    assert code_length(flow, first) < code_length(flow, np.zeros(400, int))
    assert code_length(flow, modules(flow, seed=3, trials=3)) <= code_length(flow, first)


@pytest.mark.parametrize("make", [undirected_flow, directed_flow])
def test_nodes_without_links_are_alone(make) -> None:
    flow = make(np.array([[1, 2], [2, 1], [3, 3]]), np.ones(3), 5)
    assert (modules(flow) == [0, 1, 1, 2, 3]).all()
    assert np.isfinite(code_length(flow, np.arange(5)))
    empty = make(np.zeros((0, 2), int), np.zeros(0), 3)
    assert (modules(empty) == [0, 1, 2]).all()
    assert code_length(empty, np.arange(3)) == 0
    assert len(modules(make(np.zeros((0, 2), int), np.zeros(0), 0))) == 0


def test_a_walk_that_ends_starts_anew() -> None:
    """A node that links to nothing keeps its visits; the flow stays a distribution."""
    flow = directed_flow(np.array([[0, 1], [1, 2]]), np.ones(2), 3)
    assert flow.node.sum() == pytest.approx(1)
    assert isinstance(flow, Flow)


def test_numbered_by_first() -> None:
    assert numbered_by_first(np.array([7, 2, 7, 9, 2])).tolist() == [0, 1, 0, 2, 1]


def test_bad_links() -> None:
    with pytest.raises(ArcwiseError, match="above 0"):
        undirected_flow(np.array([[0, 1]]), np.zeros(1), 2)
    with pytest.raises(ArcwiseError, match="expected 2"):
        directed_flow(np.array([[0, 2]]), np.ones(1), 2)
