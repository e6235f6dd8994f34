"""The first pass of an exact search: the rows nearest to each query, in float32.

Shapes: N queries, D dimensions, G gallery entries (templates), W rows of a list.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_QUERIES = 256  # compared at once: enough for a matrix product to be fast
_BLOCK = 2**22  # similarities held at once: 16 MiB, whatever the size of the gallery


def nearest_rows(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], width: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the largest W inner products of each query, in descending order, and their rows.

    Args:
        queries: (N, D).
        vectors: (G, D).
        width: W, at most G.

    Returns:
        (N, W) float32, and (N, W) int64; which of equal ones are on a list is not defined.
    """
    products = np.empty((len(queries), width), np.float32)
    rows = np.empty((len(queries), width), np.int64)
    for first in range(0, len(queries), _QUERIES):
        part = slice(first, first + _QUERIES)
        some = queries[part]
        step = max(width, _BLOCK // len(some))
        best = np.empty((len(some), 0), np.float32)
        best_rows = np.empty((len(some), 0), np.int64)
        for start in range(0, len(vectors), step):
            block = some @ vectors[start : start + step].T
            top = _largest(block, width)
            best = np.concatenate([best, np.take_along_axis(block, top, axis=1)], axis=1)
            best_rows = np.concatenate([best_rows, start + top], axis=1)
            top = _largest(best, width)
            best = np.take_along_axis(best, top, axis=1)
            best_rows = np.take_along_axis(best_rows, top, axis=1)
        order = np.argsort(-best, axis=1)
        products[part] = np.take_along_axis(best, order, axis=1)
        rows[part] = np.take_along_axis(best_rows, order, axis=1)
    return products, rows


def _largest(values: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Return (N, at most count) places of each row's largest values, in no order."""
    if values.shape[1] <= count:
        return np.broadcast_to(np.arange(values.shape[1]), values.shape)
    return np.argpartition(values, -count, axis=1)[:, -count:]
