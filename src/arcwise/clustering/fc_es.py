"""FC-ES: edge probabilities from shared neighbours (arXiv 2408.13431, without its trained part).

With d = 2 - 2 cos and P_ij = exp(-d_ij / τ) / Σ_j exp(-d_ij / τ) over the neighbours of i, the
probability of an edge from i to j is half the sum of P_im + P_jm over the m that are neighbours of
both. The neighbours of i are walked from the nearest on, up to the first whose edge is less
probable than θ; the communities of what is left are those of the directed map equation.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from arcwise.clustering.graph import Neighbours

TEMPERATURE = 0.5
LEAST = 0.22
"""θ of the paper, for MS-Celeb-1M."""


def selected_edges(neighbours: Neighbours, least: float = LEAST) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges that are left, (E, 2) source and target, and their (E,) probabilities.

    Args:
        neighbours: of N embeddings. Each is itself among its neighbours here, as in the paper.
        least: θ.
    """
    index, count = neighbours.index, len(neighbours)
    own = np.arange(count, dtype=np.int32)[:, None]
    index = np.concatenate([own, index], axis=1)
    cosine = np.concatenate([np.ones((count, 1), np.float32), neighbours.similarity], axis=1)
    weight = np.exp((2 * cosine.astype(np.float64) - 2) / TEMPERATURE) * (index >= 0)
    weight /= weight.sum(axis=1, keepdims=True)
    order = np.argsort(index, axis=1)
    ranked = np.take_along_axis(index, order, axis=1)
    probability = _walked(index, ranked, np.take_along_axis(weight, order, axis=1), least)
    row, column = np.nonzero(probability)
    edges = np.stack([row, index[row, column + 1].astype(np.int64)], axis=1)
    return edges, probability[row, column]


@njit(cache=True, nogil=True)
def _walked(index: np.ndarray, ranked: np.ndarray, weight: np.ndarray, least: float) -> np.ndarray:
    """Return (N, K) probabilities of the edges that are kept; 0 for the others.

    Args:
        index: (N, K + 1) each embedding, and its neighbours, the nearest first.
        ranked: (N, K + 1) the same, by rising row; `weight` (N, K + 1) is in that order.
        weight: P.
        least: θ.
    """
    count, wide = index.shape
    kept = np.zeros((count, wide - 1))
    for i in range(count):
        for place in range(1, wide):
            j = index[i, place]
            if j < 0:
                break
            a, b, both = 0, 0, 0.0
            while a < wide and b < wide:
                if ranked[i, a] < ranked[j, b]:
                    a += 1
                elif ranked[i, a] > ranked[j, b]:
                    b += 1
                else:
                    if ranked[i, a] >= 0:
                        both += weight[i, a] + weight[j, b]
                    a += 1
                    b += 1
            if both / 2 < least:
                break
            kept[i, place - 1] = both / 2
    return kept
