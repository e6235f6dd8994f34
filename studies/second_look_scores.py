"""What can be compared with a threshold instead of the best similarity of a search."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

Scores = np.ndarray
"""(N, G) float32: how well each query fits each enrolled identity."""


class Enrolled(NamedTuple):
    """Templates (T, D), and whose they are, (T,) rising from 0 to G - 1."""

    vectors: np.ndarray
    owner: np.ndarray

    @property
    def starts(self) -> np.ndarray:
        return np.flatnonzero(np.diff(self.owner, prepend=-1))

    def best(self, queries: np.ndarray) -> Scores:
        """The similarity to each identity's closest template."""
        return np.maximum.reduceat(queries @ self.vectors.T, self.starts, axis=1)


Way = Callable[[np.ndarray, Enrolled], Scores]


def plain(queries: np.ndarray, gallery: Enrolled) -> Scores:
    return gallery.best(queries)


def mean_template(queries: np.ndarray, gallery: Enrolled) -> Scores:
    means = np.add.reduceat(gallery.vectors, gallery.starts, axis=0)
    return queries @ unit(means).T


def expanded(alpha: float, k: int, with_plain: bool) -> Way:
    """Query expansion: by the sum of the k nearest templates, each by its similarity to a power.

    Chum et al., ICCV 2007 (power 0); Radenović et al., PAMI 2019 (power 3).
    """

    def scores(queries: np.ndarray, gallery: Enrolled) -> Scores:
        similarity = queries @ gallery.vectors.T
        near = np.argsort(-similarity, axis=1)[:, :k]
        weight = np.maximum(np.take_along_axis(similarity, near, axis=1), 0) ** alpha
        moved = unit(queries + np.einsum("nk,nkd->nd", weight, gallery.vectors[near]))
        found = gallery.best(moved)
        return (found + gallery.best(queries)) / 2 if with_plain else found

    return scores


def one_sided(m: int) -> Way:
    """Less the mean similarity of the query's next m identities after its best one."""

    def scores(queries: np.ndarray, gallery: Enrolled) -> Scores:
        found = gallery.best(queries)
        return found - next_ones(found, m)[:, None]

    return scores


def symmetric(m: int) -> Way:
    """The mean of `one_sided` and the same of the gallery's side.

    There each identity's templates are searched with among the others, and the mean similarity to
    its m nearest identities is taken off.
    """

    def scores(queries: np.ndarray, gallery: Enrolled) -> Scores:
        found = gallery.best(queries)
        within = np.add.reduceat(gallery.best(gallery.vectors), gallery.starts, axis=0)
        within /= np.bincount(gallery.owner)[:, None]
        np.fill_diagonal(within, np.inf)  # itself, the best one
        return found - (next_ones(found, m)[:, None] + next_ones(within, m)) / 2

    return scores


def next_ones(similarity: np.ndarray, m: int) -> np.ndarray:
    """The mean of the m largest but one, (N,); of all others where there are fewer."""
    return -np.sort(-similarity, axis=1)[:, 1 : m + 1].mean(axis=1)


FAMILIES: dict[str, dict[str, Way]] = {
    "mean of the templates": {"": mean_template},
    "average query expansion": {
        f"{k} nearest{', mean with the plain one' * both}": expanded(0, k, both)
        for k in (2, 3, 10)
        for both in (False, True)
    },
    "alpha query expansion": {
        f"{k} nearest{', mean with the plain one' * both}": expanded(3, k, both)
        for k in (2, 3, 10)
        for both in (False, True)
    },
    "one-sided": {f"next {m}": one_sided(m) for m in (3, 5, 10, 20, 50)},
    "symmetric": {f"next {m}": symmetric(m) for m in (3, 5, 10, 20, 50)},
}


def unit(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
