"""The nearest neighbours of every embedding among the others: what every method starts from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.lib.format import open_memmap

from arcwise.clustering.every_pair import EveryPair
from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.files import atomic_write, locked

EXACT_UP_TO = 2_000_000
"""Embeddings up to which every pair is compared."""

NONE = -1
"""The place of a neighbour that there is not."""

_BLOCK = 2**13  # queries between two savings
_LEAST_RECALL = 0.98  # an approximate search visits more lists until it finds so many of all,
_LEAST_OF_SOME = 0.998  # or so many of those that count: each that is missed may split a cluster
_EVERY = -2.0  # no cosine is below
_SAMPLE = 1000  # queries that the recall is measured with
_TRAINED_ON = 64  # embeddings a list that its centre is made from, at most


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest neighbours of N embeddings among each other, the nearest first.

    Attributes:
        index: (N, K) int32 rows; -1 where there is no neighbour. None is its own neighbour.
        similarity: (N, K) cosines, float32 where exact, else float16; 0 where there is none.
        recall: share that was found of the true nearest that count; 1 where every pair was
            compared.
    """

    index: np.ndarray
    similarity: np.ndarray
    recall: float = 1.0

    def __post_init__(self) -> None:
        if self.index.ndim != 2 or self.index.shape != self.similarity.shape:
            raise ArcwiseError(
                f"neighbours have rows {self.index.shape} and similarities "
                f"{self.similarity.shape}, expected two arrays of one shape (N, K)"
            )

    def __len__(self) -> int:
        return len(self.index)

    def first(self, k: int) -> Neighbours:
        """Return the k nearest of each embedding, or all where there are fewer."""
        return Neighbours(self.index[:, :k], self.similarity[:, :k], self.recall)

    def pairs(self, at_least: float = -2.0) -> tuple[np.ndarray, np.ndarray]:
        """Return the pairs of which one is among the other's neighbours, each pair once.

        Args:
            at_least: the lowest similarity of a pair.

        Returns:
            (E, 2) int64 rows, the lower first and in rising order, and (E,) float32 similarities.
        """
        row, column = np.nonzero((self.index >= 0) & (self.similarity >= at_least))
        other = self.index[row, column].astype(np.int64)
        low, high = np.minimum(row, other), np.maximum(row, other)
        key, first = np.unique(low * len(self) + high, return_index=True)
        similarity = np.asarray(self.similarity[row[first], column[first]], dtype=np.float32)
        return np.stack([key // max(len(self), 1), key % max(len(self), 1)], axis=1), similarity


def nearest_neighbours(
    embeddings: np.ndarray,
    k: int = 80,
    *,
    exact: bool | None = None,
    at_least: float = _EVERY,
    folder: str | Path | None = None,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> Neighbours:
    """Return the k nearest neighbours of every embedding, by cosine.

    An embedding of zeros has no direction, and similarity 0 to every other one.

    Args:
        embeddings: (N, D), of any length.
        k: neighbours, 1 or more; each has N - 1 where that is fewer.
        exact: whether every pair is compared; by default up to `EXACT_UP_TO` embeddings. Otherwise
            an inverted file (IVF) is searched, in as many lists as 98 % of the nearest need.
        at_least: cosine from which on the nearest count, of which 99.8 % are then found. Those that
            are similar by chance lie anywhere, and to find them takes nearly all lists.
        folder: where the neighbours are kept, memory-mapped, as they are found. A search that was
            stopped goes on from there; one that is complete is read.
        seed: of the centres of an inverted file, and of the sample that its recall is measured on.
        progress: called with (embeddings done, embeddings in all).

    Raises:
        ArcwiseError: a value is NaN or infinite, k is below 1, or the folder cannot be used.
    """
    inputs.positive("k", k)
    unit = inputs.embeddings("embeddings", embeddings)
    k = min(k, len(unit) - 1)
    exact = len(unit) <= EXACT_UP_TO if exact is None else exact
    kind = np.float32 if exact else np.float16
    if folder is None or k == 0:
        index = np.full((len(unit), k), NONE, dtype=np.int32)
        search = _Search(index, np.zeros((len(unit), k), kind))
        return _completed(search, unit, exact, at_least, seed, progress)
    request = {
        "embeddings": hashlib.sha256(unit.data).hexdigest(),
        "shape": [*unit.shape, k], "exact": exact, "at_least": at_least, "seed": seed,
    }  # fmt: skip
    with locked(Path(folder), "a search for neighbours"):
        search = _opened(Path(folder), request, (len(unit), k), kind)
        return _completed(search, unit, exact, at_least, seed, progress)


@dataclass
class _Search:
    """A search for neighbours, as far as it went.

    Attributes:
        index: (N, K) int32.
        similarity: (N, K).
        done: rows that are filled.
        recall: measured; None before it was.
        save: called after every block.
    """

    index: np.ndarray
    similarity: np.ndarray
    done: int = 0
    recall: float | None = None
    save: Callable[[_Search], None] | None = None


def _opened(
    folder: Path, request: dict[str, Any], shape: tuple[int, int], kind: type[np.floating]
) -> _Search:
    """Return the search that a folder holds; a new one where that is of something else."""
    index, similarity, about = (
        folder / name for name in ("index.npy", "similarity.npy", "state.json")
    )
    state: dict[str, Any] = {}
    with suppress(OSError, ValueError):  # none, or one of another hand
        state = json.loads(about.read_bytes())
    if state.get("request") != request or not (index.is_file() and similarity.is_file()):
        state = {"done": 0, "recall": None}
        about.unlink(missing_ok=True)  # it speaks of arrays that are about to go
        for path, dtype in ((index, np.dtype(np.int32)), (similarity, np.dtype(kind))):
            open_memmap(path, "w+", dtype, shape).flush()

    def save(search: _Search) -> None:
        search.index.flush()  # type: ignore[attr-defined]
        search.similarity.flush()  # type: ignore[attr-defined]
        so_far = {"request": request, "done": search.done, "recall": search.recall}
        with atomic_write(about) as path:
            path.write_text(json.dumps(so_far), encoding="utf-8")

    maps = open_memmap(index, "r+"), open_memmap(similarity, "r+")
    return _Search(*maps, state["done"], state["recall"], save)


def _completed(
    search: _Search,
    unit: np.ndarray,
    exact: bool,
    at_least: float,
    seed: int,
    progress: Callable[[int, int], object] | None,
) -> Neighbours:
    """Fill what is missing of a search, and return its neighbours."""
    k = search.index.shape[1]
    if k and search.done < len(unit):
        nearest: Nearest = EveryPair(unit).nearest
        if exact:
            search.recall = 1.0
        else:
            nearest, search.recall = _inverted_file(unit, k, at_least, seed)
        for start in range(search.done, len(unit), _BLOCK):
            stop = min(start + _BLOCK, len(unit))
            row, cosine = _without_themselves(*nearest(unit[start:stop], k + 1), start)
            search.index[start:stop], search.similarity[start:stop] = row, cosine
            search.done = stop
            if search.save is not None:
                search.save(search)
            if progress is not None:
                progress(stop, len(unit))
    return Neighbours(
        search.index, search.similarity, 1.0 if search.recall is None else search.recall
    )


Nearest = Callable[[np.ndarray, int], tuple[np.ndarray, np.ndarray]]
"""From (B, D) queries and K to the (B, K) cosines and rows of their nearest."""


def _without_themselves(
    cosine: np.ndarray, row: np.ndarray, start: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return (B, K) rows and cosines of neighbours, from K + 1 of queries that are rows themselves.

    Args:
        cosine: (B, K + 1) the nearest first.
        row: (B, K + 1), -1 where there is none.
        start: the row of the first query.
    """
    own = row == np.arange(start, start + len(row))[:, None]
    own[~own.any(axis=1), -1] = True  # so many duplicates that it is not among its nearest
    shape = len(row), row.shape[1] - 1
    row, cosine = row[~own].reshape(shape), cosine[~own].reshape(shape)
    return row, np.where(row >= 0, np.clip(cosine, -1.0, 1.0), 0.0)


def _inverted_file(unit: np.ndarray, k: int, at_least: float, seed: int) -> tuple[Nearest, float]:
    """Return the search of an inverted file that finds enough, and its measured recall."""
    dim, lists = unit.shape[1], max(1, min(len(unit), round(4 * len(unit) ** 0.5)))
    searcher = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, lists, faiss.METRIC_INNER_PRODUCT)
    draw = np.random.default_rng(seed)
    searcher.cp.seed, searcher.cp.niter, searcher.cp.min_points_per_centroid = seed, 10, 1
    searcher.cp.max_points_per_centroid = _TRAINED_ON
    searcher.train(unit[np.sort(draw.permutation(len(unit))[: _TRAINED_ON * lists])])
    searcher.add(unit)
    sample = unit[np.sort(draw.permutation(len(unit))[:_SAMPLE])]
    true = EveryPair(unit).nearest(sample, k + 1)[0]
    # Of equals either is right: what counts is how many are as near as the last true one.
    lowest = np.maximum(true[:, -1:], at_least) - 1e-6
    required = _LEAST_RECALL if at_least == _EVERY else _LEAST_OF_SOME
    searcher.nprobe = max(1, lists // 256)
    while True:
        found = int((searcher.search(sample, k + 1)[0] >= lowest).sum())
        recall = found / max(1, int((true >= lowest).sum()))
        if recall >= required or searcher.nprobe >= lists:
            return searcher.search, recall
        searcher.nprobe = min(lists, 2 * searcher.nprobe)
