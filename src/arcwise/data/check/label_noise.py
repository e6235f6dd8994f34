"""Labels that a model's embeddings contradict: candidates for a person to judge."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import faiss
import numpy as np
from numpy.typing import NDArray

from arcwise.data.check.grouping import Links
from arcwise.data.parallel import Progress

_Vectors = NDArray[np.float32]
_Numbers = NDArray[np.int64]

QUANTILE = 0.25
"""Two identities are suspects above the similarity that three quarters of the pairs of one exceed.

The pairs that a wrong label made are among those measured; the lower quartile stands as long as
less than a quarter of them is wrong.
"""
MOST = 1000
"""Number of closest identities that are listed."""

_TILE = 2048  # rows and columns of similarities at a time, 16 MiB
_OWNERS = 2**22  # similarities of images with identities at a time


class Outliers(NamedTuple):
    """Images nearer to another identity's mean than to their own, by descending difference.

    Attributes:
        rows: (M,) the images.
        own: (M,) float32 cosine with the mean of the identity's other images.
        other: (M,) the identity whose mean is nearest.
        similarity: (M,) float32 cosine with that.
    """

    rows: _Numbers
    own: _Vectors
    other: _Numbers
    similarity: _Vectors


def suspicious_similarity(
    vectors: _Vectors, owner: NDArray[np.integer], seed: int = 0
) -> float | None:
    """Return the lower quartile of the similarities within identities; None without pairs.

    Each image is compared with one other of its identity, drawn by the seed, so that large
    identities count by their images and not by their pairs.

    Args:
        vectors: (N, D) float32 unit rows.
        owner: (N,) identities; -1 for none.
        seed: of the draw.
    """
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero(owner >= 0))
    drawn = drawn[np.argsort(owner[drawn], kind="stable")]
    a, b = drawn[:-1], drawn[1:]
    mated = owner[a] == owner[b]
    a, b = a[mated], b[mated]
    if not len(a):
        return None
    return float(np.quantile(_cosines(vectors, a, b), QUANTILE))


def nearest_pairs(vectors: _Vectors, least: float) -> Links:
    """Return every row with its nearest row, where they are similar enough; each pair once.

    Args:
        vectors: (N, D) float32 unit rows.
        least: lowest cosine.
    """
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    rows = np.arange(len(vectors))
    parts = [index.search(vectors[at : at + _TILE], 2) for at in rows[::_TILE]]
    similarity, near = (np.concatenate(parts) for parts in zip(*parts, strict=True))
    itself = near[:, 0] == rows  # not so where another row is the same
    other = np.where(itself, near[:, 1], near[:, 0])
    similarity = np.where(itself, similarity[:, 1], similarity[:, 0])
    close = (similarity >= least) & (other >= 0)
    a, b = np.minimum(rows, other)[close], np.maximum(rows, other)[close]
    first = np.unique(a * len(rows) + b, return_index=True)[1]
    return Links(a[first], b[first], similarity[close][first])


def pairs_above(
    vectors: _Vectors, least: float, *, progress: Progress | None = None
) -> Iterator[Links]:
    """Yield the pairs of rows that are similar enough, one tile of the triangle at a time.

    Args:
        vectors: (N, D) float32 unit rows.
        least: lowest cosine.
        progress: called with the rows compared with all before them, and N.
    """
    for row in range(0, len(vectors), _TILE):
        for column in range(0, row + 1, _TILE):
            tile = vectors[column : column + _TILE] @ vectors[row : row + _TILE].T
            a, b = np.nonzero(tile >= least)
            ordered = a + column < b + row
            a, b = a[ordered], b[ordered]
            yield Links(a + column, b + row, tile[a, b])
        if progress is not None:
            progress(min(row + _TILE, len(vectors)), len(vectors))


def close_identities(pairs: Iterable[Links], owner: NDArray[np.integer], most: int = MOST) -> Links:
    """Return the closest pair of images of every two identities, the closest first.

    Args:
        pairs: of `pairs_above`.
        owner: (N,) identities; images without one (-1) are skipped.
        most: number of pairs of identities to keep.
    """
    kept = Links.joined([])
    count = int(owner.max(initial=0)) + 1
    for part in pairs:
        i, j = owner[part.a], owner[part.b]
        kept = Links.joined([kept, part.at((i != j) & (i >= 0) & (j >= 0))])
        kept = kept.at(np.argsort(-kept.similarity, kind="stable"))
        i, j = owner[kept.a].astype(np.int64), owner[kept.b].astype(np.int64)
        closest = np.unique(np.minimum(i, j) * count + np.maximum(i, j), return_index=True)[1]
        kept = kept.at(np.sort(closest)[:most])
    return kept


def outliers(vectors: _Vectors, owner: NDArray[np.integer]) -> Outliers:
    """Return the images that lie nearer to another identity's mean than to their own.

    The own mean of an image is that of its identity's other images. Identities with one image are
    left out.

    Args:
        vectors: (N, D) float32 unit rows.
        owner: (N,) identities; -1 for none.
    """
    sizes = np.bincount(owner[owner >= 0])
    several = np.flatnonzero(sizes > 1)
    code = np.full(len(sizes) + 1, -1)  # the last for none
    code[several] = np.arange(len(several))
    rows = np.flatnonzero(code[owner] >= 0)
    sums = np.zeros((len(several), vectors.shape[1]), np.float32)
    np.add.at(sums, code[owner[rows]], vectors[rows])
    means = _unit(sums)
    parts = [_outliers(vectors, rows[:0], code[owner], sums, means)]
    step = max(1, _OWNERS // max(1, len(several)))
    for start in range(0, len(rows) if len(several) > 1 else 0, step):
        parts.append(_outliers(vectors, rows[start : start + step], code[owner], sums, means))
    rows, own, other, similarity = map(np.concatenate, zip(*parts, strict=True))
    order = np.argsort(own - similarity, kind="stable")
    return Outliers(rows[order], own[order], several[other[order]], similarity[order])


def _outliers(
    vectors: _Vectors, rows: _Numbers, code: _Numbers, sums: _Vectors, means: _Vectors
) -> Outliers:
    """Return the outliers among some rows, with the code of the other identity."""
    chosen, mine = vectors[rows], code[rows]
    own = (chosen * _unit(sums[mine] - chosen)).sum(1)
    similarity = chosen @ means.T
    similarity[np.arange(len(rows)), mine] = -np.inf
    other = similarity.argmax(1) if len(rows) else mine
    best = similarity[np.arange(len(rows)), other]
    nearer = best > own
    return Outliers(rows[nearer], own[nearer], other[nearer], best[nearer])


def _unit(vectors: _Vectors) -> _Vectors:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _cosines(vectors: _Vectors, a: _Numbers, b: _Numbers) -> _Vectors:
    parts = [
        np.einsum("nd,nd->n", vectors[a[at : at + _TILE]], vectors[b[at : at + _TILE]])
        for at in range(0, len(a), _TILE)
    ]
    return np.concatenate(parts)
