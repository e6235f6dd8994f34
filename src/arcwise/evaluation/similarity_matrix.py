"""The similarity matrix of all pairs, some rows at a time: the N×N matrix is never stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_BLOCK = 2**22  # similarities in one block, 16 MiB of float32


@dataclass(frozen=True)
class PairRows:
    """Some rows of the upper triangle of the similarity matrix.

    Attributes:
        start: index of the first row, and of the first column.
        similarity: (B, N - start) float32 cosines.
        upper: (B, N - start) bool, False on and below the diagonal.
        same: (B, N - start) bool, both sides are one identity.
    """

    start: int
    similarity: np.ndarray
    upper: np.ndarray
    same: np.ndarray

    @property
    def mated(self) -> np.ndarray:
        """(B, N - start) bool: two images of one identity, each pair once."""
        return self.same & self.upper

    @property
    def impostor(self) -> np.ndarray:
        """(B, N - start) bool: images of two identities, each pair once."""
        return ~self.same & self.upper


def pair_rows(unit: np.ndarray, codes: np.ndarray) -> Iterator[PairRows]:
    """Yield rows of the matrix that together hold every pair exactly once.

    Args:
        unit: (N, D) float32 unit rows.
        codes: (N,) int64 identities.
    """
    start, count = 0, len(unit)
    while start < count:
        stop = min(count, start + max(1, _BLOCK // (count - start)))
        columns = np.arange(start, count)
        rows = np.arange(start, stop)
        yield PairRows(
            start,
            unit[start:stop] @ unit[start:].T,
            columns[None, :] > rows[:, None],
            codes[start:stop, None] == codes[None, start:],
        )
        start = stop


@dataclass(frozen=True)
class SortedPairRows:
    """Some rows of the upper triangle, of images sorted by identity.

    Attributes:
        start: index of the first row, and of the first column.
        impostor: (B, N - start) float32 cosines; minus infinity where the pair is mated, an image
            with itself, or a pair of the other triangle.
        excluded: how many are minus infinity.
        mated: (M,) float32 cosines of the mated pairs.
        owner: (M,) int64, their identities.
    """

    start: int
    impostor: np.ndarray
    excluded: int
    mated: np.ndarray
    owner: np.ndarray


def sorted_by_identity(unit: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (N, D) rows and their (N,) identities, those of one identity together."""
    order = np.argsort(codes, kind="stable")
    return unit[order], codes[order]


def sorted_pair_rows(unit: np.ndarray, codes: np.ndarray) -> Iterator[SortedPairRows]:
    """Yield rows of the matrix that together hold every pair exactly once.

    Where images are sorted by identity, all but the impostor pairs stand at the left end of a row,
    so that no mask as wide as the matrix is needed.

    Args:
        unit: (N, D) float32 unit rows.
        codes: (N,) int64 identities, ascending.
    """
    start, count = 0, len(unit)
    last = np.searchsorted(codes, codes, side="right")
    while start < count:
        stop = min(count, start + max(1, _BLOCK // (count - start)))
        similarity = unit[start:stop] @ unit[start:].T
        widths = (last[start:stop] - start)[:, None]
        left = similarity[:, : widths.max()]
        column, row = np.arange(left.shape[1]), np.arange(stop - start)[:, None]
        mates = (column > row) & (column < widths)
        mated, owner = left[mates], codes[start + np.nonzero(mates)[0]]
        left[column < widths] = -np.inf
        yield SortedPairRows(start, similarity, int(widths.sum()), mated, owner)
        start = stop


def pair_counts(codes: np.ndarray) -> tuple[int, int]:
    """Return how many mated and how many impostor pairs (N,) identities make."""
    sizes = np.bincount(codes)
    mated = int((sizes * (sizes - 1) // 2).sum())
    return mated, len(codes) * (len(codes) - 1) // 2 - mated
