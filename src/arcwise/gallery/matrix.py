"""Exact search over vectors in memory: every template is compared, every identity counts once.

Shapes: N queries, D dimensions, K neighbours, G gallery entries (templates).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from arcwise.gallery.shortlist import nearest_rows
from arcwise.identity import identity_key, written_form

_SHORT = 1024  # rows on a short list for an identity's many templates; more cost too much
_LARGE_K = 1024  # neighbours from which short lists cost more than the second pass
_BLOCK = 2**24  # float32 similarities held at once by the second pass: 64 MiB
_ROWS = 4096  # rows scored in float64 at once

ScoredRow = tuple[float, int]
"""Similarity and row."""


class TemplateMatrix:
    """A matrix (G, D) of unit vectors without holes, and who owns each row.

    All written forms of an identity (`arcwise.identity`) are one owner, whichever was enrolled.

    A first pass makes a short list of rows. A list is enough when it names K identities
    that beat, beyond rounding, whatever was left out; queries whose list is not enough (ties, or
    an identity with very many templates) get a second pass over every row, with the largest
    similarity of each identity taken before the K best. Either way the rows that can matter are
    scored again in float64, one by one, so an answer never depends on its neighbours in a batch.
    """

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._size = 0
        self._vectors = np.empty((0, dim), np.float32)
        self._templates = np.empty(0, np.int64)
        self._qualities = np.empty(0, np.float64)  # NaN where there is none
        self._owners = np.empty(0, np.int64)  # a number for each identity, never used again
        self._metadata: list[str] = []
        self._numbers = itertools.count()
        self._number_of: dict[str, int] = {}  # by `identity_key`: what all written forms share
        self._identity_of: dict[int, str] = {}  # the form that was enrolled first
        self._others_of: dict[int, set[str]] = {}  # further forms, of the few that have some
        self._count_of: dict[int, int] = {}
        self._most = 0  # at least the templates of the identity that has most
        self._groups: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None
        # Twice the error of a float32 dot product of unit vectors, in any order of summation.
        self._slack = np.float32((dim + 8) * 2.0**-23)

    def __len__(self) -> int:
        return self._size

    def __contains__(self, identity: object) -> bool:
        return isinstance(identity, str) and identity_key(identity) in self._number_of

    def identities(self) -> list[str]:
        """Return every identity once, sorted."""
        return sorted(self._identity_of.values())

    def forms(self, identity: str) -> list[str]:
        """Return how an identity is written, the first enrolled form first, or nothing."""
        number = self._number_of.get(identity_key(identity))
        if number is None:
            return []
        return [self._identity_of[number], *sorted(self._others_of.get(number, ()))]

    def counts(self) -> dict[str, int]:
        """Return how many templates each identity has, in the order of `identities`."""
        named = ((self._identity_of[one], count) for one, count in self._count_of.items())
        return dict(sorted(named))

    def templates(self, identity: str) -> list[int]:
        """Return the ids of an identity's templates, ascending; none for an unknown identity."""
        return np.sort(self._templates[self._rows(identity)]).tolist()

    def newest(self) -> int:
        """Return the largest template id; 0 without any."""
        return int(self._templates[: self._size].max(initial=0))

    def metadata_of(self, identity: str) -> list[str]:
        """Return the JSON texts of an identity's templates, in the order of their ids."""
        rows = self._rows(identity)
        return [self._metadata[row] for row in rows[np.argsort(self._templates[rows])].tolist()]

    def identity(self, row: int) -> str:
        """Return who owns a row, in the form that was enrolled first."""
        return self._identity_of[int(self._owners[row])]

    def template(self, row: int) -> int:
        """Return the id of a row's template."""
        return int(self._templates[row])

    def metadata(self, row: int) -> str:
        """Return the JSON text of a row's template."""
        return self._metadata[row]

    def quality(self, row: int) -> float | None:
        """Return the quality of a row's template; None where there is none."""
        quality = float(self._qualities[row])
        return None if math.isnan(quality) else quality

    def reserve(self, size: int) -> None:
        """Make room for that many templates in all, in one allocation."""
        if size > len(self._templates):
            self._resize(size)

    def append(
        self,
        templates: NDArray[np.int64],
        identities: Sequence[str],
        vectors: NDArray[np.float32],
        metadata: Sequence[str],
        qualities: NDArray[np.float64] | float = math.nan,
    ) -> None:
        """Add the unit vectors (N, D) of N templates whose ids are new."""
        start, stop = self._size, self._size + len(templates)
        if stop > len(self._templates):
            self._resize(stop + stop // 4)
        self._vectors[start:stop] = vectors
        self._templates[start:stop] = templates
        self._qualities[start:stop] = qualities
        self._owners[start:stop] = [self._owner(identity) for identity in identities]
        self._metadata.extend(metadata)
        self._size = stop
        self._groups = None

    def remove(self, templates: Sequence[int]) -> None:
        """Drop those of the templates that are there; fill the holes with the last rows."""
        dead = np.isin(self._templates[: self._size], np.asarray(templates, np.int64))
        for owner in self._owners[: self._size][dead].tolist():
            self._count_of[owner] -= 1
            if not self._count_of[owner]:
                del self._count_of[owner]
                del self._number_of[identity_key(self._identity_of.pop(owner))]
                self._others_of.pop(owner, None)
        size = self._size - int(dead.sum())
        holes = np.flatnonzero(dead[:size])
        movers = size + np.flatnonzero(~dead[size:])
        for array in (self._vectors, self._templates, self._owners, self._qualities):
            array[holes] = array[movers]
        for hole, mover in zip(holes.tolist(), movers.tolist(), strict=True):
            self._metadata[hole] = self._metadata[mover]
        del self._metadata[size:]
        self._size = size
        self._groups = None
        if size < len(self._templates) // 4:
            self._resize(size)

    def similarities(self, identity: str, query: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the cosines of one unit query (D,) with every template of an identity."""
        return self._score(self._rows(identity), query)

    def search(self, queries: NDArray[np.float64], k: int) -> list[list[ScoredRow]]:
        """Return each of the K closest identities' best row, closest first, for queries (N, D)."""
        k = min(k, len(self._number_of))
        if not k or not len(queries):
            return [[] for _ in queries]
        narrow = queries.astype(np.float32)
        if k > _LARGE_K:
            return self._search_all(queries, narrow, k)
        width = min(self._size, k + 16 + min(self._most, _SHORT))
        rough, rows = nearest_rows(narrow, self._vectors[: self._size], width)
        answers: list[list[ScoredRow]] = []
        unsure: list[int] = []
        for number, query in enumerate(queries):
            near = self._near(rough[number], rows[number], k)
            if near is None:
                unsure.append(number)
                answers.append([])
            else:
                answers.append(self._rank(near, query, k))
        if unsure:
            for number, answer in zip(
                unsure, self._search_all(queries[unsure], narrow[unsure], k), strict=True
            ):
                answers[number] = answer
        return answers

    def _near(
        self, rough: NDArray[np.float32], rows: NDArray[np.int64], k: int
    ) -> NDArray[np.int64] | None:
        """Return the rows of a list that matter; None where rows not on it may matter too.

        A row matters if it may be its identity's best, and that one of the K best.
        """
        _, firsts, owners = np.unique(self._owners[rows], return_index=True, return_inverse=True)
        if len(firsts) < k:
            return None
        kth = rough[np.partition(firsts, k - 1)[k - 1]]  # the list is in descending order
        cut = kth - self._slack
        if len(rows) < self._size and cut <= rough[-1]:
            return None
        return rows[rough >= np.maximum(rough[firsts[owners]] - self._slack, cut)]

    def _search_all(
        self, queries: NDArray[np.float64], narrow: NDArray[np.float32], k: int
    ) -> list[list[ScoredRow]]:
        order, starts = self._grouped()
        step = max(1, _BLOCK // self._size)
        answers: list[list[ScoredRow]] = []
        for first in range(0, len(queries), step):
            scores = narrow[first : first + step] @ self._vectors[: self._size].T
            for query, rough in zip(queries[first : first + step], scores, strict=True):
                grouped = rough[order]
                best = np.maximum.reduceat(grouped, starts)
                kth = np.partition(best, len(best) - k)[len(best) - k]
                cuts = np.maximum(best, kth) - self._slack
                near = grouped >= np.repeat(cuts, np.diff(starts, append=self._size))
                answers.append(self._rank(order[near], query, k))
        return answers

    def _rank(self, rows: NDArray[np.int64], query: NDArray[np.float64], k: int) -> list[ScoredRow]:
        """Score rows that hold the K best identities' best templates, and put them in order."""
        scored = zip(self._score(rows, query).tolist(), rows.tolist(), strict=True)
        ordered = sorted(
            (-similarity, self.identity(row), self.template(row), row) for similarity, row in scored
        )
        best: dict[str, ScoredRow] = {}
        for negative, identity, _, row in ordered:
            best.setdefault(identity, (-negative, row))
            if len(best) == k:
                break
        return list(best.values())

    def _score(self, rows: NDArray[np.int64], query: NDArray[np.float64]) -> NDArray[np.float64]:
        # Multiply and sum, not a matrix product: each row is summed in the same order wherever
        # it stands, so equal vectors get equal similarities to the last bit, and tie.
        parts = []
        for start in range(0, len(rows), _ROWS):
            vectors = self._vectors[rows[start : start + _ROWS]].astype(np.float64)
            lengths = np.sqrt(np.square(vectors).sum(axis=1))  # 1 but for float32's rounding
            parts.append((vectors * query).sum(axis=1) / lengths)
        return np.clip(np.concatenate(parts), -1.0, 1.0)

    def _rows(self, identity: str) -> NDArray[np.int64]:
        number = self._number_of.get(identity_key(identity), -1)
        return np.flatnonzero(self._owners[: self._size] == number)

    def _grouped(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows in the order of their owners, and where in it each owner starts."""
        if self._groups is None:
            owners = self._owners[: self._size]
            order = np.argsort(owners)
            starts = np.flatnonzero(np.diff(owners[order], prepend=-1))
            self._groups = order, starts
        return self._groups

    def _owner(self, identity: str) -> int:
        identity = written_form(identity) or identity  # older galleries hold what was given
        key = identity_key(identity)
        number = self._number_of.get(key)
        if number is None:
            number = next(self._numbers)
            self._number_of[key] = number
            self._identity_of[number] = identity
        elif identity != self._identity_of[number]:
            self._others_of.setdefault(number, set()).add(identity)
        count = self._count_of.get(number, 0) + 1
        self._count_of[number] = count
        self._most = max(self._most, count)
        return number

    def _resize(self, capacity: int) -> None:
        for name in ("_vectors", "_templates", "_owners", "_qualities"):
            old = getattr(self, name)
            new = np.empty((capacity, *old.shape[1:]), old.dtype)
            new[: self._size] = old[: self._size]
            setattr(self, name, new)
