"""Exact nearest neighbours of queries in a gallery, a block at a time."""

from __future__ import annotations

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs

BLOCK = 2**22
"""Similarities in one block, so that memory does not grow with queries × gallery."""


def unit_rows(queries: np.ndarray, gallery: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return (Q, D) and (G, D) float32 unit rows; without a gallery those of the queries twice.

    Raises:
        ArcwiseError: their dimensions differ, or a value is not finite.
    """
    unit_queries = inputs.embeddings("embeddings", queries)
    unit_gallery = unit_queries if gallery is None else inputs.embeddings("gallery", gallery)
    if unit_gallery.shape[1] != unit_queries.shape[1]:
        raise ArcwiseError(
            f"queries have {unit_queries.shape[1]} dimensions and the gallery "
            f"{unit_gallery.shape[1]}, expected the same: embed both with one model"
        )
    return unit_queries, unit_gallery


def nearest(
    queries: np.ndarray, gallery: np.ndarray, k: int, *, leave_one_out: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the K nearest, at most all, gallery rows of each query.

    The nearest comes first, of equals the lower row.

    Args:
        queries: (Q, D) float32 unit rows.
        gallery: (G, D) float32 unit rows, at least one; two with `leave_one_out`.
        k: how many, 1 or more.
        leave_one_out: the gallery is the queries, and none is its own neighbour.

    Returns:
        (Q, K) int64 rows, (Q, K) float32 cosines, and (Q,) float32 each query's lowest cosine.
    """
    k = min(k, len(gallery) - int(leave_one_out))
    step = max(1, BLOCK // len(gallery))
    rows = np.empty((len(queries), k), dtype=np.int64)
    cosine = np.empty((len(queries), k), dtype=np.float32)
    lowest = np.empty(len(queries), dtype=np.float32)
    for start in range(0, len(queries), step):
        part = slice(start, start + step)
        similarity = queries[part] @ gallery.T
        lowest[part] = similarity.min(axis=1)
        if leave_one_out:
            own = np.arange(len(similarity))
            similarity[own, start + own] = -np.inf
        rows[part] = _highest(similarity, k)
        cosine[part] = np.take_along_axis(similarity, rows[part], axis=1)
    return rows, cosine, lowest


def _highest(values: np.ndarray, k: int) -> np.ndarray:
    """Return (B, k) int64 places of each row's highest values, of equals the first."""
    if k == 1:
        return values.argmax(axis=1)[:, None]
    last = values.shape[1] - k
    row, column = np.nonzero(values >= np.partition(values, last, axis=1)[:, last, None])
    order = np.lexsort((-values[row, column], row))  # stable: of equals the first stays first
    starts = np.searchsorted(row, np.arange(len(values)))
    return column[order][starts[:, None] + np.arange(k)]
