"""Query expansion, and re-ranking by k-reciprocal neighbours (Zhong et al., CVPR 2017)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation.nearest import BLOCK, nearest, unit_rows

if TYPE_CHECKING:
    from scipy import sparse

_ROWS = 2**13  # images whose neighbours' neighbours are computed together


@dataclass(frozen=True)
class QueryExpansion:
    """Each query becomes its sum with its neighbours, weighted by their similarity^alpha.

    alpha = 0 is average query expansion (Chum et al., ICCV 2007), alpha > 0 alpha-QE (Radenović et
    al., TPAMI 2019, section 3.5). Neighbours at a right angle or farther have weight 0.

    Attributes:
        k: number of neighbours.
        alpha: power of the similarity.
    """

    k: int = 10
    alpha: float = 0.0

    def __post_init__(self) -> None:
        _check("k", self.k, 1)
        if not 0.0 <= self.alpha < np.inf:
            raise ArcwiseError(f"alpha is {self.alpha}, expected 0 (average expansion) or more")

    def expand(self, queries: np.ndarray, gallery: np.ndarray | None = None) -> np.ndarray:
        """Return the expanded queries, (Q, D) float32 of unit length.

        Database-side augmentation is the same for the gallery: `expand(gallery)`.

        Args:
            queries: (Q, D) embeddings, scaled to unit length.
            gallery: (G, D) embeddings; by default the other queries.

        Raises:
            ArcwiseError: one embedding and no gallery, or bad input.
        """
        unit_queries, unit_gallery = unit_rows(queries, gallery)
        if len(unit_gallery) == 1 and gallery is None:
            raise ArcwiseError("one embedding and no gallery, expected others to expand it by")
        neighbours, cosine, _ = nearest(
            unit_queries, unit_gallery, self.k, leave_one_out=gallery is None
        )
        weight = np.maximum(cosine, 0.0) ** np.float32(self.alpha)
        total = unit_queries.copy()
        for place in range(neighbours.shape[1]):
            total += weight[:, place, None] * unit_gallery[neighbours[:, place]]
        return unit_rows(total, None)[0]


@dataclass(frozen=True)
class KReciprocal:
    """Re-ranking by shared k-reciprocal neighbours.

    Zhong et al., CVPR 2017: k-reciprocal neighbours R (equation 3), expanded by the nearer ones'
    (equation 5); V of exp(-d) on them (equation 7); V averaged over the nearest (equation 11); and
    d* = (1 - λ) Jaccard distance of V + λ d (equations 10 and 12). As in the authors' code, d is
    the squared distance over the largest of its row, so that λ weighs two numbers of one size; an
    image is the first of its own neighbours; and neighbourhoods are those of queries and gallery
    together. λ = 1 leaves the order of the cosines as it is.

    Attributes:
        k1: neighbours that may be reciprocal; half of them for the nearer ones' own.
        k2: nearest, itself included, whose V is averaged.
        lam: λ, the weight of the distance itself, 0 to 1.
    """

    k1: int = 20
    k2: int = 6
    lam: float = 0.3

    def __post_init__(self) -> None:
        _check("k1", self.k1, 1)
        _check("k2", self.k2, 1)
        if not 0.0 <= self.lam <= 1.0:
            raise ArcwiseError(f"lam is {self.lam}, expected 0 to 1: the weight of the distance")

    def fit(self, queries: np.ndarray, gallery: np.ndarray | None = None) -> Reranked:
        """Return the neighbourhoods of queries and gallery, sparse, ready to give distances.

        Args:
            queries: (Q, D) embeddings, scaled to unit length.
            gallery: (G, D) embeddings; the queries themselves where it is missing.

        Raises:
            ArcwiseError: fewer than two embeddings, or bad input.
        """
        unit_queries, unit_gallery = unit_rows(queries, gallery)
        every = unit_queries if gallery is None else np.concatenate([unit_queries, unit_gallery])
        if len(every) == 1:
            raise ArcwiseError("one embedding, expected at least two to have neighbours")
        others, _, lowest = nearest(every, every, max(self.k1, self.k2 - 1), leave_one_out=True)
        near = np.column_stack([np.arange(len(every)), others])
        reach = 2.0 - 2.0 * lowest.astype(np.float64)
        reach[reach <= 0] = 1.0  # all of them are one point
        wide = _reciprocal(near[:, : self.k1 + 1])
        narrow = _reciprocal(near[:, : int(np.around(self.k1 / 2)) + 1])
        shares = _shares(_expanded(wide, narrow), every, reach)
        close = near[:, : self.k2]
        shares = (_graph(close) @ shares) / close.shape[1]
        own = len(unit_queries)
        return Reranked(
            unit_queries, unit_gallery, reach[:own], shares[:own],
            shares[0 if gallery is None else own :].tocsc(), self.lam,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Reranked:
    """Queries and gallery with the neighbourhoods of each.

    Attributes:
        queries: (Q, D) float32 unit rows.
        gallery: (G, D) float32 unit rows.
        reach: (Q,) each query's largest squared distance.
        query_shares: (Q, M) sparse rows that sum to 1: V of each query on all M images.
        gallery_shares: (G, M) the same of the gallery, by columns.
        lam: weight of the distance itself.
    """

    queries: np.ndarray
    gallery: np.ndarray
    reach: np.ndarray
    query_shares: sparse.csr_array
    gallery_shares: sparse.csc_array
    lam: float

    def distance(self, rows: np.ndarray) -> np.ndarray:
        """Return (B, G) float64: d* of these queries, (B,) int64, to the whole gallery."""
        from scipy import sparse

        cosine = (self.queries[rows] @ self.gallery.T).astype(np.float64)
        plain = (2.0 - 2.0 * cosine) / self.reach[rows, None]
        shared = _shared(
            sparse.csr_array(self.query_shares[rows]), self.gallery_shares, len(self.gallery)
        )
        # Rows that sum to 1: the larger of each pair sum to 2 less what the smaller ones do.
        return (1.0 - self.lam) * (1.0 - shared / (2.0 - shared)) + self.lam * plain


def _check(name: str, value: int, least: int) -> None:
    if value < least:
        raise ArcwiseError(f"{name} is {value}, expected {least} or more: a number of neighbours")


def _graph(near: np.ndarray) -> sparse.csr_array:
    """Return (M, M) ones where column is among row's neighbours, (M, K)."""
    count, k = near.shape
    starts = np.arange(0, count * k + 1, k)
    from scipy import sparse

    return sparse.csr_array((np.ones(count * k), near.ravel(), starts), shape=(count, count))


def _reciprocal(near: np.ndarray) -> sparse.csr_array:
    """Return (M, M) ones where each is among the other's neighbours (equation 3)."""
    graph = _graph(near)
    return graph.multiply(graph.T).tocsr()


def _expanded(wide: sparse.csr_array, narrow: sparse.csr_array) -> sparse.csr_array:
    """Return R* (M, M): with the sets that lie to more than two thirds in one's own (equation 5).

    Args:
        wide: (M, M) R(p, k1).
        narrow: (M, M) R(p, k1 / 2).
    """
    count = len(wide.indptr) - 1
    sizes = narrow.sum(axis=1)
    rows, columns = [], []
    for start in range(0, count, _ROWS):
        own = wide[start : start + _ROWS]
        overlap = (own @ narrow.T).multiply(own).tocoo()
        accepted = 3 * overlap.data > 2 * sizes[overlap.col]
        rows.append(start + overlap.row[accepted])
        columns.append(overlap.col[accepted])
    place = np.concatenate(rows), np.concatenate(columns)
    from scipy import sparse

    taken_in = sparse.csr_array((np.ones(len(place[0])), place), shape=(count, count))
    return wide + taken_in @ narrow


def _shares(near: sparse.csr_array, unit: np.ndarray, reach: np.ndarray) -> sparse.csr_array:
    """Return V (M, M): exp(-d) on the neighbours, each row summing to 1 (equation 7)."""
    row, column = near.nonzero()
    weight = np.empty(len(row))
    for start in range(0, len(row), step := max(1, BLOCK // unit.shape[1])):
        part = slice(start, start + step)
        cosine = np.einsum("nd,nd->n", unit[row[part]], unit[column[part]])
        weight[part] = np.exp((2.0 * cosine - 2.0) / reach[row[part]])
    weight /= np.bincount(row, weight)[row]
    from scipy import sparse

    return sparse.csr_array((weight, (row, column)), shape=near.shape)


def _shared(queries: sparse.csr_array, gallery: sparse.csc_array, entries: int) -> np.ndarray:
    """Return (B, G) sums of the smaller of each two shares, for rows of (B, M) and rows of (G, M).

    Only columns where both have a share are visited.
    """
    count = len(queries.indptr) - 1
    total = np.zeros(count * entries)
    row = np.repeat(np.arange(count) * entries, np.diff(queries.indptr))
    counts = np.diff(gallery.indptr)[queries.indices]
    for part in _chunks(counts):
        times = counts[part]
        first = gallery.indptr[queries.indices[part]] - (np.cumsum(times) - times)
        place = np.arange(times.sum()) + np.repeat(first, times)
        smaller = np.minimum(np.repeat(queries.data[part], times), gallery.data[place])
        cell = np.repeat(row[part], times) + gallery.indices[place]
        total += np.bincount(cell, smaller, minlength=len(total))
    return total.reshape(count, entries)


def _chunks(counts: np.ndarray) -> Iterator[slice]:
    """Yield slices of the (E,) counts, each summing to a block, or being one that is larger."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + BLOCK, side="right")))
        yield slice(start, stop)
        start = stop
