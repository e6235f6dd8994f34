"""Which pairs of neighbours are linked, and how strongly, by the neighbours that they share.

A similarity alone does not say whether two embeddings are of one identity: where an identity has
many images, or its neighbourhood is dense, impostors are as similar as the images of a small
identity are to each other. But images of one identity have the *same* neighbours.

Two are neighbours here where their score z (`impostors`) reaches the limit t above which an
embedding has thirty impostors by chance. With v_im = z_im - t over the neighbours m of i, and v_ii
that of a copy, the agreement of i and j is

    J_ij = Σ_m min(v_im, v_jm) / Σ_m max(v_im, v_jm),

the weighted Jaccard similarity (Ruzicka, 1958), as k-reciprocal re-ranking has it (Zhong et al.,
CVPR 2017). A pair is linked, with weight J, where J reaches 0.25, or where its score is one that an
embedding reaches by chance with three images in a thousand. The three numbers were settled on half
of the people of LFW and on background characters of Omniglot: docs/clustering.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.sparse import coo_array

from arcwise.clustering.graph import Neighbours
from arcwise.clustering.impostors import Impostors

BY_CHANCE = 0.003
"""Impostors of one embedding above the score that links a pair by itself."""

AROUND = 30.0
"""Impostors of one embedding above the score of neighbours whose agreement is measured."""

AGREEMENT = 0.25
"""Agreement that links a pair."""


DUPLICATE = 1 - 1e-6
"""Cosine of two embeddings of one image."""


@dataclass(frozen=True, eq=False)
class NeighbourLinks:
    """The pairs of neighbours, and which of them are linked.

    Attributes:
        pairs: (E, 2) int64 rows, the lower first.
        similarity: (E,) float32 cosines.
        agreement: (E,) float64, above 0 and at most 1.
        linked: (E,) bool.
        threshold: the cosine that links a typical pair by itself; at most `DUPLICATE`.
        around: the cosine from which on a typical pair are neighbours; at most `DUPLICATE`.
        reason: where the two come from, for people.
        note: what is uncertain about that; empty for nothing.
    """

    pairs: np.ndarray
    similarity: np.ndarray
    agreement: np.ndarray
    linked: np.ndarray
    threshold: float
    around: float
    reason: str
    note: str = ""

    def __str__(self) -> str:
        limits = f"all pairs of similarity {self.threshold:.3f} and above"
        if self.around < self.threshold:
            limits = f"pairs of similarity {self.around:.3f} and above that share their neighbours"
            if self.threshold < DUPLICATE:
                limits += f", and all from {self.threshold:.3f} on"
            limits += " (of an average image; each has limits of its own)"
        elif self.threshold >= DUPLICATE:
            limits = "copies alone, as no similarity below 1 is unusual enough"
        return f"linked: {limits}; by {self.reason}"


def links(
    neighbours: Neighbours, impostors: Impostors, threshold: float | None = None
) -> NeighbourLinks:
    """Return the pairs of neighbours with their agreement.

    Args:
        neighbours: of N embeddings.
        impostors: what is similar by chance.
        threshold: the cosine that links, and without which none does; in place of both limits.
    """
    count = len(neighbours)
    strict, around = impostors.limit(BY_CHANCE), impostors.limit(AROUND)
    # A score at the limit takes a cosine at that of one of the two, at least.
    least = float((impostors.centre + around * impostors.spread).min())
    pairs, similarity = neighbours.pairs(least if threshold is None else min(least, threshold))
    score = impostors.score(pairs[:, 0], pairs[:, 1], similarity)
    near = (score >= around) | (similarity >= DUPLICATE)
    if threshold is not None:
        near |= similarity >= threshold
    pairs, similarity, score = pairs[near], similarity[near], score[near]
    copy = max(impostors.score_of(1.0) - around, around)
    agreement = _agreement(pairs, np.clip(score - around, 1e-6, copy), copy, count)
    linked = (agreement >= AGREEMENT) | (score >= strict) | (similarity >= DUPLICATE)
    cosines = min(impostors.cosine(strict), DUPLICATE), min(impostors.cosine(around), DUPLICATE)
    reason, note = impostors.reason, impostors.note
    if threshold is not None:
        linked, cosines, reason, note = (
            similarity >= threshold, (threshold, threshold), "your threshold", "",
        )  # fmt: skip
    return NeighbourLinks(pairs, similarity, agreement, linked, *cosines, reason, note)


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
