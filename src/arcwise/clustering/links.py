"""Which pairs of neighbours are linked, and how strongly, by the neighbours that they share.

A similarity alone does not say whether two embeddings are of one identity: where an identity has
many images, or its neighbourhood is dense, impostors are as similar as the images of a small
identity are to each other. But images of one identity have the *same* neighbours.

Two are neighbours here where their similarity s reaches the threshold t above which an embedding
has ten impostors by chance. With v_im = s_im - t over the neighbours m of i, and v_ii = 1 - t, the
agreement of i and j is

    J_ij = Σ_m min(v_im, v_jm) / Σ_m max(v_im, v_jm),

the weighted Jaccard similarity (Ruzicka, 1958), as k-reciprocal re-ranking has it (Zhong et al.,
CVPR 2017). A pair is linked, with weight J, where J reaches 0.25, or where its similarity is one
that an embedding reaches by chance with three images in a thousand. The four numbers were settled
on half of the people of LFW and on background characters of Omniglot: docs/clustering.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.sparse import coo_array

from arcwise.clustering.graph import Neighbours
from arcwise.clustering.impostors import Impostors

BY_CHANCE = 0.003
"""Impostors of one embedding above the similarity that links a pair by itself."""

AROUND = 10.0
"""Impostors of one embedding above the similarity of neighbours whose agreement is measured."""

AGREEMENT = 0.25
"""Agreement that links a pair."""


@dataclass(frozen=True, eq=False)
class Links:
    """The pairs of neighbours, and which of them are linked.

    Attributes:
        pairs: (E, 2) int64 rows, the lower first.
        similarity: (E,) float32 cosines.
        agreement: (E,) float64, above 0 and at most 1.
        linked: (E,) bool.
        threshold: the similarity that links by itself.
        around: the similarity from which on two are neighbours.
    """

    pairs: np.ndarray
    similarity: np.ndarray
    agreement: np.ndarray
    linked: np.ndarray
    threshold: float
    around: float


def links(neighbours: Neighbours, impostors: Impostors, threshold: float | None = None) -> Links:
    """Return the pairs of neighbours with their agreement.

    Args:
        neighbours: of N embeddings.
        impostors: what is similar by chance.
        threshold: the similarity that links by itself, in the place of the one by chance.
    """
    count = len(neighbours)
    by_itself = impostors.threshold(BY_CHANCE, count) if threshold is None else threshold
    around = min(impostors.threshold(AROUND, count), by_itself, 1 - 1e-3)
    pairs, similarity = neighbours.pairs(around)
    agreement = _agreement(pairs, np.maximum(similarity - around, 1e-6), 1 - around, count)
    linked = (agreement >= AGREEMENT) | (similarity >= by_itself)
    return Links(pairs, similarity, agreement, linked, by_itself, around)


def _agreement(pairs: np.ndarray, excess: np.ndarray, own: float, count: int) -> np.ndarray:
    """Return the weighted Jaccard similarity of both ends of each pair."""
    rows = np.concatenate([pairs[:, 0], pairs[:, 1]]).astype(np.int32)
    columns = np.concatenate([pairs[:, 1], pairs[:, 0]]).astype(np.int32)
    values = np.concatenate([excess, excess]).astype(np.float32)
    matrix = coo_array((values, (rows, columns)), shape=(count, count)).tocsr()
    matrix.sort_indices()
    total = own + np.asarray(matrix.sum(axis=1, dtype=np.float64)).ravel()
    return _shared(pairs, matrix.indptr, matrix.indices, matrix.data, total, own)


@njit(cache=True, nogil=True)
def _shared(
    pairs: np.ndarray, start: np.ndarray, other: np.ndarray, value: np.ndarray,
    total: np.ndarray, own: float,
) -> np.ndarray:  # fmt: skip
    """Return Σ min / Σ max for each pair; Σ max is both totals less Σ min."""
    result = np.empty(len(pairs))
    for e in range(len(pairs)):
        i, j = pairs[e]
        a, b, smaller = start[i], start[j], 0.0
        while a < start[i + 1] and b < start[j + 1]:
            if other[a] < other[b]:
                if other[a] == j:
                    smaller += min(value[a], own)
                a += 1
            elif other[a] > other[b]:
                if other[b] == i:
                    smaller += min(value[b], own)
                b += 1
            else:
                smaller += min(value[a], value[b])
                a += 1
                b += 1
        while a < start[i + 1]:
            if other[a] == j:
                smaller += min(value[a], own)
            a += 1
        while b < start[j + 1]:
            if other[b] == i:
                smaller += min(value[b], own)
            b += 1
        result[e] = smaller / (total[i] + total[j] - smaller)
    return result
