"""Every pair compared: the nearest among all rows, by codes of 8 bits first (`gallery.codes`).

A product of codes says between which limits a cosine lies. For each query the K-th best lower limit
is kept as a cut; what has an upper limit below it is not among the K nearest. The few rows that
remain are compared again by their vectors, so that the answer is that of a full comparison.

Shapes: N queries, G rows, D dimensions, K neighbours.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import faiss
import numpy as np
from numba import njit

from arcwise.gallery.codes import ROUNDING, WIDTH, ZERO, TemplateCodes, coded, multiplied, product

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_QUERIES = 256  # multiplied at once
_HELD = 2**13  # rows that may be among the nearest of a query, before they are sifted
_STRIDE = 64  # products looked at together, of which mostly none counts; it divides WIDTH


class EveryPair:
    """The nearest among some rows, for queries.

    Args:
        unit: (G, D) float32, of unit length.
    """

    def __init__(self, unit: np.ndarray) -> None:
        self._unit = unit
        self._blocks: _Blocks | None = None

    def nearest(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the (N, K) largest cosines of queries (N, D), and their rows, the largest first.

        Args:
            queries: of unit length.
            k: at most G.
        """
        session = product(1)
        if session is None:
            return self._by_vectors(queries, k)
        cosine = np.empty((len(queries), k), np.float32)
        row = np.empty((len(queries), k), np.int64)
        parts = [slice(one, one + _QUERIES) for one in range(0, len(queries), _QUERIES)]
        if self._blocks is None:
            codes = TemplateCodes(self._unit.shape[1], session)
            codes.append(self._unit)
            arrays = codes.arrays()
            self._blocks = arrays["codes"], arrays["scales"], arrays["wrong"], arrays["zero"]
        blocks = self._blocks

        def fill(part: slice) -> None:
            cosine[part], row[part] = self._some(session, blocks, queries[part], k)

        threads = int(os.environ.get("OMP_NUM_THREADS", "0") or 0) or os.cpu_count()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fill, parts))
        return cosine, row

    def _some(
        self, session: InferenceSession, blocks: _Blocks, queries: np.ndarray, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what `nearest` does, of queries that are multiplied at once."""
        codes, scales, wrong = coded(queries)
        shifted = (codes.astype(np.int16) + ZERO).astype(np.uint8)
        shape = len(queries), max(_HELD, 4 * k)
        found = np.empty(shape, np.int64), np.empty(shape, np.float32), np.empty(shape, np.float32)
        held = np.zeros(len(queries), np.int64)
        cut = np.full(len(queries), -np.inf, np.float32)
        for number, (block, *facts) in enumerate(zip(*blocks, strict=True)):
            first = number * WIDTH
            used = min(WIDTH, len(self._unit) - first)
            products = multiplied(session, shifted, block)
            _sift(products, tuple(facts), first, used, (scales, wrong), k, cut, found, held)
        cosine, row = np.empty((len(queries), k), np.float32), np.empty((len(queries), k), np.int64)
        for query, count in enumerate(held.tolist()):
            if count == _TOO_MANY:
                continue
            rows = found[0][query, :count]
            # Summed in one order whatever the row: equal rows get equal cosines.
            near = np.einsum("nd,d->n", self._unit[rows], queries[query])
            order = np.argsort(-near, kind="stable")[:k]  # of equals the lower row first
            cosine[query], row[query] = near[order], rows[order]
        if (left := held == _TOO_MANY).any():
            cosine[left], row[left] = self._by_vectors(queries[left], k)
        return cosine, row

    def _by_vectors(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        return faiss.knn(queries, self._unit, k, metric=faiss.METRIC_INNER_PRODUCT)


_Blocks = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
_TOO_MANY = -1  # rows tie, such as copies of one image


@njit(cache=True, nogil=True)
def _sift(products, of_rows, first, used, of_queries, k, cut, found, held):
    """Add the rows of a block that may be among the K nearest of each query.

    Args:
        products: (N, W) int32, of codes.
        of_rows: (W,) scales, what the codes are wrong by, and what the shift of queries added.
        first: the number of the block's first row.
        used: how many rows the block has.
        of_queries: (N,) scales, and what the codes are wrong by.
        k: K.
        cut: (N,) the K-th best lower limit so far.
        found: (N, H) rows, lower and upper limits of their cosines.
        held: (N,) how many were found; -1 for too many.
    """
    scales, wrong, zero = of_rows
    of_query, query_wrong = of_queries
    rows, lower, upper = found
    widest = wrong[:used].max()
    for query in range(len(products)):
        if held[query] == _TOO_MANY:
            continue
        of_row, error = products[query], query_wrong[query]
        least = (cut[query] - _limit(error, widest)) / of_query[query]
        for start in range(0, used, _STRIDE):
            near = np.int32(0)
            for j in range(start, start + _STRIDE):
                near |= np.int32(np.float32(of_row[j] - zero[j]) * scales[j] >= least)
            if not near:
                continue
            for j in range(start, min(start + _STRIDE, used)):
                similarity = np.float32(of_row[j] - zero[j]) * scales[j] * of_query[query]
                limit = _limit(error, wrong[j])
                if similarity + limit < cut[query]:
                    continue
                place = held[query]
                rows[query, place] = first + j
                lower[query, place] = similarity - limit
                upper[query, place] = similarity + limit
                held[query] = place + 1
                if place + 1 == rows.shape[1]:
                    _leave_out(rows[query], lower[query], upper[query], k, cut, held, query)
                    least = (cut[query] - _limit(error, widest)) / of_query[query]
                    if held[query] > rows.shape[1] // 2:
                        held[query] = _TOO_MANY
                        break
            if held[query] == _TOO_MANY:
                break
        if held[query] > 2 * k:
            _leave_out(rows[query], lower[query], upper[query], k, cut, held, query)


@njit(cache=True, nogil=True)
def _leave_out(rows, lower, upper, k, cut, held, query):
    """Raise a query's cut, and keep what may still be among its K nearest."""
    count = held[query]
    if count < k:
        return
    cut[query] = max(cut[query], np.partition(lower[:count], count - k)[count - k])
    kept = 0
    for place in range(count):
        if upper[place] >= cut[query]:
            rows[kept], lower[kept], upper[kept] = rows[place], lower[place], upper[place]
            kept += 1
    held[query] = kept


@njit(cache=True, nogil=True)
def _limit(of_query, of_row):
    return of_query + (np.float32(1) + of_query) * of_row + ROUNDING
