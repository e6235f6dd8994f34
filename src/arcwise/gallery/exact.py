"""Exact search over vectors in memory: every row is compared, every owner counts once.

A first pass makes a short list of rows. A list is enough when it names K owners that beat, beyond
rounding, whatever was left out; queries whose list is not enough (ties, or an owner of very many
rows) get a second pass over every row, with the largest similarity of each owner taken before the
K best. Either way the rows that can matter are scored again in float64, one by one, so an answer
never depends on its neighbours in a batch.

Shapes: N queries, D dimensions, K neighbours, G gallery entries (templates), a row each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arcwise.gallery.codes import TemplateCodes
from arcwise.gallery.shortlist import nearest_rows

_SHORT = 1024  # rows on a short list for an owner's many rows; more cost too much
_LARGE_K = 1024  # neighbours from which short lists cost more than the second pass
_BLOCK = 2**24  # float32 similarities held at once by the second pass: 64 MiB
_ROWS = 4096  # rows scored in float64 at once
_QUERIES = 256  # compared with codes at once
_FEW = 8  # where at most every eighth row takes part, those are copied and the others not read

ScoredRow = tuple[float, int]
"""Similarity and row."""


class ExactSearch:
    """A search among rows that do not change.

    Args:
        vectors: (G, D) float32, of unit length.
        owners: (G,) whose each row is.
        most: rows of the owner that has most, at least.
        name: from a row to what orders equal similarities: its owner's name and a number.
        codes: of the vectors, which are then read first; None to read the vectors.
    """

    def __init__(
        self,
        vectors: NDArray[np.float32],
        owners: NDArray[np.int64],
        most: int,
        name: Callable[[int], tuple[str, int]],
        codes: TemplateCodes | None = None,
    ) -> None:
        self._vectors, self._owners, self._most = vectors, owners, most
        self._name, self._codes = name, codes
        self._groups: _Groups | None = None
        # Twice the error of a float32 dot product of unit vectors, in any order of summation.
        self._slack = np.float32((vectors.shape[1] + 8) * 2.0**-23)

    def search(
        self, queries: NDArray[np.float64], k: int, among: NDArray[np.int64] | None = None
    ) -> list[list[ScoredRow]]:
        """Return each of the K closest owners' best row, closest first, for queries (N, D).

        Args:
            queries: unit vectors.
            k: how many owners; no more than there are, where all rows take part.
            among: the rows that take part; None for all.
        """
        if not len(self._vectors) or not len(queries) or (among is not None and not len(among)):
            return [[] for _ in queries]
        narrow = queries.astype(np.float32)
        listed = among is None or (
            self._codes is not None and len(among) * _FEW > len(self._vectors)
        )
        if k > _LARGE_K or not listed:
            return self._search_all(queries, narrow, k, self._grouped(among))
        answers: list[list[ScoredRow]] = []
        unsure: list[int] = []
        for number, (query, near) in enumerate(
            zip(queries, self._lists(narrow, k, among), strict=True)
        ):
            if near is None:
                unsure.append(number)
                answers.append([])
            else:
                answers.append(self._rank(near, query, k))
        if unsure:
            for number, answer in zip(
                unsure,
                self._search_all(queries[unsure], narrow[unsure], k, self._grouped(among)),
                strict=True,
            ):
                answers[number] = answer
        return answers

    def _lists(
        self, narrow: NDArray[np.float32], k: int, among: NDArray[np.int64] | None
    ) -> Iterator[NDArray[np.int64] | None]:
        """Yield the rows that matter to each query; None where a short list does not tell them."""
        width = min(len(self._vectors), k + 16 + min(self._most, _SHORT))
        if self._codes is None:
            products, rows = nearest_rows(narrow, self._vectors, width)
            for of_query, near in zip(products, rows, strict=True):
                yield self._near(of_query, near, k, width < len(self._vectors))
            return
        takes_part = None
        if among is not None:
            takes_part = np.zeros(len(self._vectors), bool)
            takes_part[among] = True
        for start in range(0, len(narrow), _QUERIES):
            some = narrow[start : start + _QUERIES]
            found = self._codes.candidates(some, self._owners, k, width, takes_part)
            for query, near in zip(some, found, strict=True):
                if near is None:
                    yield None
                else:
                    products = self._vectors[near] @ query
                    order = np.argsort(-products)
                    yield self._near(products[order], near[order], k, False)

    def _near(
        self, rough: NDArray[np.float32], rows: NDArray[np.int64], k: int, cut_off: bool
    ) -> NDArray[np.int64] | None:
        """Return the rows of a list that matter; None where rows not on it may matter too.

        A row matters if it may be its owner's best, and that one of the K best.

        Args:
            rough: float32 similarities of the rows, in descending order.
            rows: of the list.
            k: how many owners.
            cut_off: whether rows that are not on the list may be as similar as its last.
        """
        _, firsts, owners = np.unique(self._owners[rows], return_index=True, return_inverse=True)
        if len(firsts) < k:
            return None
        kth = rough[np.partition(firsts, k - 1)[k - 1]]
        cut = kth - self._slack
        if cut_off and cut <= rough[-1]:
            return None
        return rows[rough >= np.maximum(rough[firsts[owners]] - self._slack, cut)]

    def above(
        self,
        queries: NDArray[np.float64],
        threshold: float,
        among: NDArray[np.int64] | None = None,
    ) -> list[list[ScoredRow]]:
        """Return every owner's best row whose similarity reaches a threshold, closest first.

        Args:
            queries: unit vectors (N, D).
            threshold: the least similarity.
            among: the rows that take part; None for all.
        """
        groups = self._grouped(among)
        if not len(groups.order):
            return [[] for _ in queries]
        answers = []
        for query, rough in self._rough(queries, queries.astype(np.float32), groups.order):
            best = np.repeat(np.maximum.reduceat(rough, groups.starts), groups.sizes)
            near = (rough >= best - self._slack) & (best >= threshold - self._slack)
            ranked = self._rank(groups.order[near], query, len(groups.starts))
            answers.append([one for one in ranked if one[0] >= threshold])
        return answers

    def _search_all(
        self, queries: NDArray[np.float64], narrow: NDArray[np.float32], k: int, groups: _Groups
    ) -> list[list[ScoredRow]]:
        k = min(k, len(groups.starts))
        answers: list[list[ScoredRow]] = []
        for query, rough in self._rough(queries, narrow, groups.order):
            best = np.maximum.reduceat(rough, groups.starts)
            kth = np.partition(best, len(best) - k)[len(best) - k]
            cuts = np.maximum(best, kth) - self._slack
            near = rough >= np.repeat(cuts, groups.sizes)
            answers.append(self._rank(groups.order[near], query, k))
        return answers

    def _rough(
        self, queries: NDArray[np.float64], narrow: NDArray[np.float32], order: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float32]]]:
        """Yield each query with its float32 similarities to the rows in an order."""
        few = len(order) * _FEW <= len(self._vectors)
        vectors = self._vectors[order] if few else self._vectors
        step = max(1, _BLOCK // len(vectors))
        for first in range(0, len(queries), step):
            scores = narrow[first : first + step] @ vectors.T
            for query, rough in zip(queries[first : first + step], scores, strict=True):
                yield query, rough if few else rough[order]

    def _rank(self, rows: NDArray[np.int64], query: NDArray[np.float64], k: int) -> list[ScoredRow]:
        """Score rows that hold the K best owners' best rows, and put them in order."""
        scored = zip(self.similarities(rows, query).tolist(), rows.tolist(), strict=True)
        ordered = sorted((-similarity, *self._name(row), row) for similarity, row in scored)
        best: dict[str, ScoredRow] = {}
        for negative, owner, _, row in ordered:
            best.setdefault(owner, (-negative, row))
            if len(best) == k:
                break
        return list(best.values())

    def similarities(
        self, rows: NDArray[np.int64], query: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the cosines of a unit query (D,) with some rows."""
        # Multiply and sum, not a matrix product: each row is summed in the same order wherever
        # it stands, so equal vectors get equal similarities to the last bit, and tie.
        parts = []
        for start in range(0, len(rows), _ROWS):
            vectors = self._vectors[rows[start : start + _ROWS]].astype(np.float64)
            lengths = np.sqrt(np.square(vectors).sum(axis=1))  # 1 but for float32's rounding
            parts.append((vectors * query).sum(axis=1) / lengths)
        return np.clip(np.concatenate(parts), -1.0, 1.0) if parts else np.empty(0)

    def _grouped(self, among: NDArray[np.int64] | None = None) -> _Groups:
        """Return rows by their owners: all rows, or those that take part."""
        if among is not None:
            return _Groups.of(among, self._owners[among])
        if self._groups is None:
            self._groups = _Groups.of(np.arange(len(self._vectors)), self._owners)
        return self._groups


class _Groups(NamedTuple):
    """Rows in the order of their owners, where in it each owner starts, and how many it has."""

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @classmethod
    def of(cls, rows: NDArray[np.int64], owners: NDArray[np.int64]) -> _Groups:
        by_owner = np.argsort(owners, kind="stable")
        starts = np.flatnonzero(np.diff(owners[by_owner], prepend=-1))
        return cls(rows[by_owner], starts, np.diff(starts, append=len(rows)))
