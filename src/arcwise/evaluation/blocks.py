"""All pairs of a set of embeddings, a bounded block at a time: the N×N matrix never exists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_BLOCK = 2**22  # similarities in one block, 16 MiB of float32


@dataclass(frozen=True)
class Block:
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
        """(B, N - start) bool: two pictures of one identity, each pair once."""
        return self.same & self.upper

    @property
    def impostor(self) -> np.ndarray:
        """(B, N - start) bool: pictures of two identities, each pair once."""
        return ~self.same & self.upper


def upper_blocks(unit: np.ndarray, codes: np.ndarray) -> Iterator[Block]:
    """Yield blocks that together hold every pair of rows exactly once.

    Args:
        unit: (N, D) float32 unit rows.
        codes: (N,) int64 identities.
    """
    start, count = 0, len(unit)
    while start < count:
        stop = min(count, start + max(1, _BLOCK // (count - start)))
        columns = np.arange(start, count)
        rows = np.arange(start, stop)
        yield Block(
            start,
            unit[start:stop] @ unit[start:].T,
            columns[None, :] > rows[:, None],
            codes[start:stop, None] == codes[None, start:],
        )
        start = stop


@dataclass(frozen=True)
class Tile:
    """Some rows of the upper triangle, of pictures sorted by identity.

    Attributes:
        start: index of the first row, and of the first column.
        impostor: (B, N - start) float32 cosines; minus infinity where the pair is mated, a picture
            with itself, or a pair of the other triangle.
        absent: how many are minus infinity.
        mated: (M,) float32 cosines of the mated pairs.
        owner: (M,) int64, the identity of each.
    """

    start: int
    impostor: np.ndarray
    absent: int
    mated: np.ndarray
    owner: np.ndarray


def by_identity(unit: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (N, D) rows and their (N,) identities, those of one identity together."""
    order = np.argsort(codes, kind="stable")
    return unit[order], codes[order]


def tiles(unit: np.ndarray, codes: np.ndarray) -> Iterator[Tile]:
    """Yield tiles that together hold every pair of rows exactly once.

    Sorted by identity, whatever is not an impostor pair stands at the left end of a row, so that no
    mask as wide as the matrix is needed.

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
        yield Tile(start, similarity, int(widths.sum()), mated, owner)
        start = stop


def pair_counts(codes: np.ndarray) -> tuple[int, int]:
    """Return how many mated and how many impostor pairs (N,) identities make."""
    sizes = np.bincount(codes)
    mated = int((sizes * (sizes - 1) // 2).sum())
    return mated, len(codes) * (len(codes) - 1) // 2 - mated
