"""Queries and what they are searched in: both sides checked, and who is nearest."""

from __future__ import annotations

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs

BLOCK = 2**22
"""Similarities in one block, so that memory does not grow with queries × gallery."""


def sides(queries: np.ndarray, gallery: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the unit rows of both sides, (Q, D) and (G, D) float32; without a gallery one twice.

    Raises:
        ArcwiseError: their dimensions differ, or a value is not finite.
    """
    asked = inputs.embeddings("embeddings", queries)
    searched = asked if gallery is None else inputs.embeddings("gallery", gallery)
    if searched.shape[1] != asked.shape[1]:
        raise ArcwiseError(
            f"queries have {asked.shape[1]} dimensions and the gallery {searched.shape[1]}, "
            "expected the same: embed both with one model"
        )
    return asked, searched


def nearest(
    queries: np.ndarray, gallery: np.ndarray, k: int, *, alone: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the K = min(k, how many there are) nearest gallery rows of each query.

    The nearest comes first, of equals the lower row.

    Args:
        queries: (Q, D) float32 unit rows.
        gallery: (G, D) float32 unit rows, at least one; two where the queries are alone.
        k: how many, 1 or more.
        alone: the gallery is the queries, and none finds itself.

    Returns:
        (Q, K) int64 rows, (Q, K) float32 cosines, and (Q,) float32 each query's lowest cosine.
    """
    k = min(k, len(gallery) - int(alone))
    rows = max(1, BLOCK // len(gallery))
    found = np.empty((len(queries), k), dtype=np.int64)
    cosine = np.empty((len(queries), k), dtype=np.float32)
    lowest = np.empty(len(queries), dtype=np.float32)
    for start in range(0, len(queries), rows):
        part = slice(start, start + rows)
        similarity = queries[part] @ gallery.T
        lowest[part] = similarity.min(axis=1)
        if alone:
            own = np.arange(len(similarity))
            similarity[own, start + own] = -np.inf
        found[part] = _highest(similarity, k)
        cosine[part] = np.take_along_axis(similarity, found[part], axis=1)
    return found, cosine, lowest


def _highest(values: np.ndarray, k: int) -> np.ndarray:
    """Return (B, k) int64 places of each row's highest values, of equals the first."""
    if k == 1:
        return values.argmax(axis=1)[:, None]
    last = values.shape[1] - k
    row, column = np.nonzero(values >= np.partition(values, last, axis=1)[:, last, None])
    order = np.lexsort((-values[row, column], row))  # stable: of equals the first stays first
    starts = np.searchsorted(row, np.arange(len(values)))
    return column[order][starts[:, None] + np.arange(k)]
