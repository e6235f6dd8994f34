"""From probabilities of links to clusters: pseudo-label propagation (section 3.4 of L-GCN)."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_CERTAIN = 1 - 1e-6  # a threshold above which no cluster is split any more


def symmetric_links(index: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each pair of neighbours once, with the mean of the probabilities in both directions.

    Args:
        index: (N, K) rows of neighbours, -1 where there is none.
        probability: (N, K) of each being of the same identity.

    Returns:
        (E, 2) int64 rows, the lower first and in rising order, and (E,) float64 probabilities. A
        pair that is known from one side only keeps what that side says.
    """
    size = len(index)
    row, column = np.nonzero(index >= 0)
    other = index[row, column].astype(np.int64)
    key = np.minimum(row, other) * size + np.maximum(row, other)
    pair, place, count = np.unique(key, return_inverse=True, return_counts=True)
    total = np.bincount(place, weights=probability[row, column], minlength=len(pair))
    return np.stack(np.divmod(pair, max(size, 1)), axis=1), total / count


def propagate(
    links: np.ndarray,
    probability: np.ndarray,
    size: int,
    *,
    threshold: float = 0.0,
    largest: int = 900,
    step: float = 0.6,
) -> np.ndarray:
    """Return the clusters that links join, (N,) int64 from 0 in the order of their first rows.

    Links at or above the threshold join. The nodes of a cluster that is too large are joined again
    at a higher threshold, θ + (1 - θ)·step, until none is. A cluster that only links of nearly 1
    hold together stays whole.

    Args:
        links: (E, 2) rows.
        probability: (E,) of each link.
        size: N.
        threshold: θ at the start. The authors begin at the lowest probability.
        largest: rows in the largest cluster: 900 on IJB-B and 300 on MS1M in the paper.
        step: how fast the threshold rises.
    """
    cluster = np.arange(size)
    open_ = np.ones(size, dtype=bool)  # the nodes of which the cluster is still too large
    while open_.any():
        kept = (probability >= threshold) & open_[links[:, 0]] & open_[links[:, 1]]
        row, column = links[kept].T
        graph = coo_array((np.ones(len(row), dtype=bool), (row, column)), shape=(size, size))
        component = connected_components(graph, directed=False)[1]
        too_large = open_ & (np.bincount(component)[component] > largest)
        if threshold > _CERTAIN:
            too_large[:] = False
        final = open_ & ~too_large
        first = np.unique(component, return_index=True)[1]
        cluster[final] = first[component[final]]  # a cluster is known by its first row until then
        open_ = too_large
        threshold += (1 - threshold) * step
    return np.unique(cluster, return_inverse=True)[1].astype(np.int64)
