"""The methods by name: from embeddings, their neighbours and links to a cluster for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from arcwise.clustering.fc_es import selected_edges
from arcwise.clustering.graph import Neighbours
from arcwise.clustering.links import NeighbourLinks
from arcwise.clustering.map_equation import directed_flow, modules, undirected_flow
from arcwise.errors import ArcwiseError
from arcwise.evaluation.clustering import NOISE

LINKAGE_UP_TO = 20_000
"""Embeddings that average linkage takes: it holds the distances of all pairs."""

LEAST_WEIGHT = 0.02
"""Weight of a pair that is linked by its similarity alone."""

_ROUNDS = 30  # of Chinese whispers


@dataclass(frozen=True, eq=False)
class ClusteringProblem:
    """What is to be clustered.

    Attributes:
        unit: (N, D) float32 unit rows.
        neighbours: of each.
        links: between them.
        clusters: how many to make; None where that is not known.
        seed: of everything random.
    """

    unit: np.ndarray
    neighbours: Neighbours
    links: NeighbourLinks
    clusters: int | None
    seed: int


def _map_equation(problem: ClusteringProblem) -> np.ndarray:
    linked, count = problem.links.linked, len(problem.unit)
    weight = problem.links.agreement[linked] + LEAST_WEIGHT
    flow = undirected_flow(problem.links.pairs[linked], weight, count)
    return modules(flow, seed=problem.seed)


def _fc_es(problem: ClusteringProblem) -> np.ndarray:
    edges, probability = selected_edges(problem.neighbours)
    return modules(directed_flow(edges, probability, len(problem.unit)), seed=problem.seed)


def _components(problem: ClusteringProblem) -> np.ndarray:
    pairs, _ = problem.neighbours.pairs(problem.links.threshold)
    count = len(problem.unit)
    graph = coo_array((np.ones(len(pairs)), tuple(pairs.T)), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def _average_linkage(problem: ClusteringProblem) -> np.ndarray:
    count = len(problem.unit)
    if count > LINKAGE_UP_TO:
        raise ArcwiseError(
            f"average linkage of {count:,} embeddings holds all their pairs; expected at most "
            f"{LINKAGE_UP_TO:,}: take the method auto"
        )
    if count == 1:
        return np.zeros(1, np.int64)
    tree = linkage(problem.unit, "average", "cosine")
    return fcluster(tree, 1 - problem.links.threshold, "distance") - 1


def _chinese_whispers(problem: ClusteringProblem) -> np.ndarray:
    """Biemann, TextGraphs 2006: each node takes the label of most weight around it."""
    linked, count = problem.links.linked, len(problem.unit)
    graph = _both_ways(problem.links.pairs[linked], problem.links.similarity[linked], count)
    labels, draw = np.arange(count), np.random.default_rng(problem.seed)
    for _ in range(_ROUNDS):
        order = draw.permutation(count)
        if not _whispered(order, graph.indptr, graph.indices, graph.data, labels):
            break
    return labels


@njit(cache=True, nogil=True)
def _whispered(
    order: np.ndarray, start: np.ndarray, other: np.ndarray, weight: np.ndarray, labels: np.ndarray
) -> int:
    """Give each node, in place, the label of most weight among its neighbours; count changes."""
    total, changes = np.zeros(len(labels)), 0
    for i in order:
        best = labels[i]
        for e in range(start[i], start[i + 1]):
            total[labels[other[e]]] += weight[e]
        for e in range(start[i], start[i + 1]):
            label = labels[other[e]]
            if total[label] > total[best] or (total[label] == total[best] and label < best):
                best = label
        for e in range(start[i], start[i + 1]):
            total[labels[other[e]]] = 0.0
        changes += best != labels[i]
        labels[i] = best
    return changes


def _dbscan(problem: ClusteringProblem) -> np.ndarray:
    from sklearn.cluster import DBSCAN

    pairs, similarity = problem.neighbours.pairs(problem.links.threshold)
    distance = np.maximum(1 - similarity, 1e-9)  # 0 would be no neighbour
    graph = csr_array(_both_ways(pairs, distance, len(problem.unit)))
    return DBSCAN(eps=1 - problem.links.threshold, min_samples=3, metric="precomputed").fit_predict(
        graph
    )


def _hdbscan(problem: ClusteringProblem) -> np.ndarray:
    from sklearn.cluster import HDBSCAN  # pyrefly: ignore[missing-module-attribute]

    if len(problem.unit) == 1:
        return np.zeros(1, np.int64)
    return HDBSCAN(min_cluster_size=2, copy=True).fit_predict(problem.unit)


def _k_means(problem: ClusteringProblem) -> np.ndarray:
    from sklearn.cluster import MiniBatchKMeans

    count = len(problem.unit)
    if problem.clusters is None or not 1 <= problem.clusters <= count:
        raise ArcwiseError(
            f"k-means of {count:,} embeddings got {problem.clusters} clusters; expected how many "
            f"to make, from 1 to {count:,}"
        )
    k_means = MiniBatchKMeans(problem.clusters, random_state=problem.seed, n_init=1)
    return k_means.fit_predict(problem.unit)


class Method(NamedTuple):
    """A method by name.

    Attributes:
        cluster: from a problem to (N,) clusters, -1 for embeddings that are in none.
        joined: what it joins, for people, with the `{threshold}`; empty for linked pairs.
        by_threshold: whether a similarity decides.
    """

    cluster: Callable[[ClusteringProblem], np.ndarray]
    joined: str = ""
    by_threshold: bool = True


_AT = "similarity {threshold:.3f} and above"

METHODS: dict[str, Method] = {
    "auto": Method(_map_equation),
    "fc-es": Method(_fc_es, "neighbours with neighbours in common, by FC-ES's own limit", False),
    "components": Method(_components, f"all pairs of {_AT}"),
    "average-linkage": Method(_average_linkage, f"clusters of a mean {_AT}"),
    "chinese-whispers": Method(_chinese_whispers),
    "dbscan": Method(_dbscan, f"images that two others have {_AT} to"),
    "hdbscan": Method(_hdbscan, "dense regions of two images or more", False),
    "k-means": Method(_k_means, "the images nearest to each of as many centres as asked", False),
}


def each_in_a_cluster(labels: np.ndarray) -> np.ndarray:
    """Return (N,) clusters in which each embedding that was in none is one of its own."""
    labels = labels.astype(np.int64)
    alone = labels == NOISE
    labels[alone] = labels.max(initial=NOISE) + 1 + np.arange(alone.sum())
    return labels


def _both_ways(pairs: np.ndarray, weight: np.ndarray, count: int) -> csr_array:
    """Return the symmetric matrix of weighted pairs."""
    rows = np.concatenate([pairs[:, 0], pairs[:, 1]]).astype(np.int32)
    columns = np.concatenate([pairs[:, 1], pairs[:, 0]]).astype(np.int32)
    both = np.concatenate([weight, weight])
    return csr_array(coo_array((both, (rows, columns)), shape=(count, count)))
