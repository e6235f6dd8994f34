"""Queries and what they are searched in: both sides checked, and who is nearest."""

from __future__ import annotations

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs

BLOCK = 2**22
"""Similarities in one block, so that memory does not grow with queries × gallery."""

_PLACES = 2**32  # of a gallery, in the lower half of a key


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


def ordered(values: np.ndarray) -> np.ndarray:
    """Return int32 or int64 that sort as the float32 or float64 values do, -0.0 being 0.0.

    The bits of a float, read as an integer, keep its order; those of negative ones are reversed.
    """
    bits = (values + values.dtype.type(0)).view(np.dtype(f"i{values.dtype.itemsize}"))
    return np.where(bits < 0, bits ^ np.iinfo(bits.dtype).max, bits)


def nearest(
    queries: np.ndarray, gallery: np.ndarray, k: int, *, alone: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the K = min(k, how many there are) nearest gallery rows of each query.

    The nearest comes first, of equals the lower row: a similarity and its row are one integer.

    Args:
        queries: (Q, D) float32 unit rows.
        gallery: (G, D) float32 unit rows, at least one; two where the queries are alone.
        k: how many, 1 or more.
        alone: the gallery is the queries, and none finds itself.

    Returns:
        (Q, K) int64 rows, (Q, K) float32 cosines, and (Q,) float32 each query's lowest cosine.
    """
    entries = len(gallery)
    k = min(k, entries - int(alone))
    rows = max(1, BLOCK // entries)
    found = np.empty((len(queries), k), dtype=np.int64)
    cosine = np.empty((len(queries), k), dtype=np.float32)
    lowest = np.empty(len(queries), dtype=np.float32)
    backwards = _PLACES - 1 - np.arange(entries, dtype=np.int64)
    for start in range(0, len(queries), rows):
        part = slice(start, start + rows)
        similarity = queries[part] @ gallery.T
        lowest[part] = similarity.min(axis=1)
        each = np.arange(len(similarity))
        if alone:
            similarity[each, start + each] = -np.inf
        if k == 1:
            found[part, 0] = similarity.argmax(axis=1)
            cosine[part, 0] = similarity[each, found[part, 0]]
            continue
        keys = ordered(similarity).astype(np.int64) * _PLACES + backwards
        best = np.sort(np.partition(keys, entries - k, axis=1)[:, entries - k :], axis=1)[:, ::-1]
        found[part] = _PLACES - 1 - best % _PLACES
        cosine[part] = np.take_along_axis(similarity, found[part], axis=1)
    return found, cosine, lowest
