"""Many embeddings of one identity become one: R = Σ μᵢ rᵢ / Σ μᵢ (QAN, arXiv 1704.03373, eq. 2).

Three weights μ: all alike, the length of each embedding, or a quality that an encoder estimates.
The rᵢ are directions, since those are what is compared and what a gallery stores.

Legend of shapes: N embeddings, S sets, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from arcwise.errors import ArcwiseError

_CANCELLED = 1e-6  # length of R under which float32 directions have cancelled

_ALIKE = 0.02  # a standard deviation under so much of the mean, as only ratios count

SetNames = Sequence[Any] | NDArray[Any]
"""(N,) the set of each embedding, by any name that numpy can sort."""


@dataclass(frozen=True, eq=False)
class PooledSets:
    """One vector for each set.

    Attributes:
        ids: (S,) the names of the sets, sorted.
        vectors: (S, D) float32, unit length.
        lengths: (S,) the length of R, from 0 to 1: 1 where the directions of a set agree.
        sizes: (S,) int64, how many embeddings are in each.
        unweighted: (S,) bool, sets whose weights are all 0, whose embeddings count alike.
    """

    ids: NDArray[Any]
    vectors: NDArray[np.float32]
    lengths: NDArray[np.float64]
    sizes: NDArray[np.int64]
    unweighted: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class QualitySpread:
    """How far the qualities of some images differ; it prints itself.

    Attributes:
        images: how many.
        mean: of their qualities.
        std: standard deviation.
        low: the quality under which one image in twenty lies.
        high: that above which one in twenty lies.
    """

    images: int
    mean: float
    std: float
    low: float
    high: float

    @classmethod
    def of(cls, quality: ArrayLike) -> QualitySpread:
        """Return the spread of (N,) qualities, of which there is at least one."""
        values = np.asarray(quality, np.float64)
        low, high = np.quantile(values, [0.05, 0.95]).tolist()
        return cls(len(values), float(values.mean()), float(values.std()), low, high)

    @property
    def warning(self) -> str:
        """What to do where the qualities hardly differ; empty where they do."""
        if self.std >= _ALIKE * self.mean:
            return ""
        return (
            "the qualities hardly differ, so that weighting by them is next to the mean; a quality "
            "learns only from damage that is in the training images or in the augmentation, and "
            "not in a few steps"
        )

    def __str__(self) -> str:
        return (
            f"quality of {self.images:,} images: mean {self.mean:.3f}, standard deviation "
            f"{self.std:.3f}, nine in ten from {self.low:.3f} to {self.high:.3f}"
        )


def mean(
    embeddings: ArrayLike, sets: SetNames | None = None, *, mask: ArrayLike | None = None
) -> PooledSets:
    """Return sets whose embeddings count alike: the mean direction.

    Args:
        embeddings: (N, D), of any length; a zero one adds nothing.
        sets: the set of each embedding; by default there is one set.
        mask: (N,) bool, which embeddings are there; by default all.

    Raises:
        ArcwiseError: lengths differ, a number is not finite, a set of the list has no embedding
            left, or its embeddings cancel.
    """
    rows = _rows(embeddings)
    return _pooled(_directions(rows), np.ones(len(rows)), sets, mask)


def norm_weighted(
    embeddings: ArrayLike, sets: SetNames | None = None, *, mask: ArrayLike | None = None
) -> PooledSets:
    """Return sets whose embeddings count by their length, as MagFace trains it (arXiv 2103.06627).

    Args and errors are those of `mean`.
    """
    rows = _rows(embeddings)
    return _pooled(_directions(rows), np.linalg.norm(rows, axis=1), sets, mask)


def quality_weighted(
    embeddings: ArrayLike,
    quality: ArrayLike | None,
    sets: SetNames | None = None,
    *,
    mask: ArrayLike | None = None,
) -> PooledSets:
    """Return sets whose embeddings count by a quality: learned, of a face detector, of sharpness.

    Only its ratios matter. A set whose qualities are all 0 is the mean, and `unweighted` says so.

    Args:
        embeddings: as of `mean`.
        quality: (N,) finite, 0 or more; what `embed_with_quality` gives, which is None for a model
            that estimates none.
        sets: as of `mean`.
        mask: as of `mean`; the quality of an embedding that is not there is not looked at.

    Raises:
        ArcwiseError: as of `mean`; or no quality, or one that is negative or not finite.
    """
    rows = _rows(embeddings)
    if quality is None:
        raise ArcwiseError(
            "quality is None: the model estimates none; weight by one that does (--recipe sets), "
            "or pool by sets.mean"
        )
    weights = np.asarray(quality, np.float64)
    if weights.shape != (len(rows),):
        raise ArcwiseError(
            f"quality has shape {weights.shape}, expected ({len(rows)},): one for each embedding"
        )
    there = _mask(mask, len(rows))
    unfit = np.flatnonzero(there & ~((weights >= 0) & (weights < np.inf)))
    if len(unfit):
        raise ArcwiseError(
            f"quality {unfit[0]} is {weights[unfit[0]]:g}, expected 0 or more ({len(unfit)} such): "
            "a negative weight would turn an embedding round"
        )
    return _pooled(_directions(rows), weights, sets, mask)


def _pooled(
    directions: NDArray[np.float64],
    weights: NDArray[np.float64],
    sets: SetNames | None,
    mask: ArrayLike | None,
) -> PooledSets:
    """Return R of every set, and its length."""
    count = len(directions)
    names = np.zeros(count, np.int64) if sets is None else np.asarray(sets)
    if names.shape != (count,):
        raise ArcwiseError(f"sets has shape {names.shape}, expected ({count},): a name each")
    ids, code = np.unique(names, return_inverse=True)
    there = np.flatnonzero(_mask(mask, count))
    code, weights = code[there], weights[there]
    sizes = np.bincount(code, minlength=len(ids))
    empty = np.flatnonzero(sizes == 0)
    if len(empty) or not count:
        name = f" {ids[empty[0]]}" if len(empty) and sets is not None else ""
        raise ArcwiseError(f"set{name} is empty: expected at least one embedding in every set")
    largest = np.zeros(len(ids))
    np.maximum.at(largest, code, weights)
    unweighted = largest == 0
    # By the largest first: a sum of huge weights is then finite, and one of tiny weights not 0.
    parts = np.where(unweighted[code], 1.0, weights / np.where(unweighted, 1.0, largest)[code])
    parts /= np.bincount(code, weights=parts, minlength=len(ids))[code]
    total = np.zeros((len(ids), directions.shape[1]))
    np.add.at(total, code, parts[:, None] * directions[there])
    lengths = np.linalg.norm(total, axis=1)
    cancelled = np.flatnonzero(lengths <= _CANCELLED)
    if len(cancelled):
        name = "" if sets is None else f" {ids[cancelled[0]]}"
        raise ArcwiseError(
            f"set{name}: its embeddings cancel or are all zero, so it has no direction: leave it "
            "out, or weight its embeddings otherwise"
        )
    return PooledSets(
        ids, (total / lengths[:, None]).astype(np.float32), lengths, sizes, unweighted
    )


def _rows(embeddings: ArrayLike) -> NDArray[np.float64]:
    rows = np.asarray(embeddings)
    if rows.ndim != 2 or rows.dtype.kind not in "fiu":
        raise ArcwiseError(
            f"embeddings has shape {rows.shape} of {rows.dtype}, expected numbers (N, D)"
        )
    rows = rows.astype(np.float64)
    broken = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(broken):
        raise ArcwiseError(f"embedding {broken[0]} is not finite ({len(broken)} such)")
    return rows


def _directions(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (N, D) rows of unit length; a zero row stays zero."""
    largest = np.abs(rows).max(axis=1, initial=0.0, keepdims=True)
    scaled = rows / np.where(largest > 0, largest, 1.0)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / np.where(length > 0, length, 1.0)


def _mask(mask: ArrayLike | None, count: int) -> NDArray[np.bool_]:
    if mask is None:
        return np.ones(count, bool)
    there = np.asarray(mask)
    if there.shape != (count,) or there.dtype != bool:
        raise ArcwiseError(
            f"mask has shape {there.shape} of {there.dtype}, expected ({count},) of bool"
        )
    return there
