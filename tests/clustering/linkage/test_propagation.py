"""Pseudo-label propagation against a walk over dictionaries; with the labels as scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise import evaluation
from arcwise.clustering.graph import nearest_neighbours
from arcwise.clustering.linkage.propagation import propagate, symmetric_links


def by_walking(
    links: np.ndarray, score: np.ndarray, size: int, threshold: float, largest: int
) -> set[frozenset[int]]:
    """The published rule, one component after the other."""
    clusters, remain = set(), set(range(size))
    while remain:
        near: dict[int, set[int]] = {one: set() for one in remain}
        for (a, b), s in zip(links.tolist(), score, strict=True):
            if s >= threshold and a in remain and b in remain:
                near[a].add(b)
                near[b].add(a)
        left: set[int] = set()
        while near:
            group, queue = set(), [next(iter(near))]
            while queue:
                one = queue.pop()
                if one not in group:
                    group.add(one)
                    queue += near[one]
            for one in group:
                del near[one]
            if len(group) <= largest:
                clusters.add(frozenset(group))
            else:
                left |= group
        remain, threshold = left, threshold + (1 - threshold) * 0.6
    return clusters


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6), largest=st.integers(1, 12), threshold=st.floats(0, 0.9))
def test_clusters_are_those_of_the_published_rule(
    seed: int, largest: int, threshold: float
) -> None:
    rng, size = np.random.default_rng(seed), 25
    pairs = np.argwhere(np.triu(rng.random((size, size)) < 0.12, 1))
    score = rng.random(len(pairs)) * 0.999
    cluster = propagate(pairs, score, size, threshold=threshold, largest=largest)
    found = {frozenset(np.flatnonzero(cluster == one).tolist()) for one in np.unique(cluster)}
    assert found == by_walking(pairs, score, size, threshold, largest)
    assert cluster.tolist() == np.unique(cluster, return_inverse=True)[1].tolist()
    first = [int(np.flatnonzero(cluster == one)[0]) for one in range(cluster.max() + 1)]
    assert first == sorted(first)


def test_the_labels_as_scores_give_precision_1() -> None:
    rng = np.random.default_rng(0)
    identity = rng.integers(0, 30, 300)
    embeddings = rng.normal(size=(30, 4))[identity] + rng.normal(size=(300, 4))
    near = nearest_neighbours(embeddings, 10)
    same = (identity[near.index] == identity[:, None]).astype(np.float32)
    links, score = symmetric_links(near.index, same)
    result = evaluation.clustering(identity, propagate(links, score, 300, threshold=0.5), draws=1)
    assert float(result.pairwise_precision) == float(result.bcubed_precision) == 1.0
    assert 0.2 < float(result.bcubed_recall) < 1.0  # identities fall into parts of the graph


def test_certain_links_hold_whatever_the_size() -> None:
    chain = np.stack([np.arange(9), np.arange(1, 10)], axis=1)
    cluster = propagate(chain, np.r_[np.ones(4), 0.9, np.ones(4)], 10, largest=3)
    assert cluster.tolist() == [0] * 5 + [1] * 5


def test_nobody_has_a_link() -> None:
    none = np.zeros((0, 2), dtype=np.int64)
    assert propagate(none, np.zeros(0), 3).tolist() == [0, 1, 2]
    assert propagate(none, np.zeros(0), 0).tolist() == []


def test_links_of_both_directions_are_averaged() -> None:
    index = np.array([[1, 2], [0, -1], [1, -1], [-1, -1]], dtype=np.int32)
    probability = np.array([[0.2, 0.6], [0.4, 0.9], [0.8, 0.9], [0.9, 0.9]])
    links, score = symmetric_links(index, probability)
    assert links.tolist() == [[0, 1], [0, 2], [1, 2]]
    assert score.tolist() == pytest.approx([0.3, 0.6, 0.8])
