"""Pairs of a data set that lists none: all of them, or every mated one and a sample of the rest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

MOST = 2**21
"""Pairs that are broken down or compared; from all of them the headline numbers are measured."""


class Drawn(NamedTuple):
    """Pairs of items.

    Attributes:
        a: (P,) int64, the first item of each pair.
        b: (P,) int64, the second.
        same: (P,) bool.
        words: which pairs these are.
    """

    a: np.ndarray
    b: np.ndarray
    same: np.ndarray
    words: str


def draw(ids: np.ndarray, seed: int, most: int = MOST) -> Drawn:
    """All pairs of (U,) items if there are at most so many, otherwise a sample by the seed.

    The sample has half of `most` mated pairs (all, if there are no more) and is filled up with
    impostor pairs.
    """
    codes = np.unique(ids, return_inverse=True)[1]
    count = len(codes)
    total = count * (count - 1) // 2
    if total <= most:
        a, b = np.triu_indices(count, 1)
        return Drawn(a, b, codes[a] == codes[b], f"all {total:,} pairs")
    rng = np.random.default_rng(seed)
    sizes = np.bincount(codes)
    mated = int((sizes * (sizes - 1) // 2).sum())
    few = mated <= most // 2
    a, b = _mated(codes, np.arange(mated) if few else _distinct(mated, most // 2, rng))
    first, second = _impostors(codes, min(most - len(a), total - mated), rng)
    same = np.arange(len(a) + len(first)) < len(a)
    words = (
        f"{len(a):,} of {mated:,} mated and {len(first):,} of {total - mated:,} impostor pairs, "
        "drawn by the seed"
    )
    return Drawn(np.concatenate([a, first]), np.concatenate([b, second]), same, words)


def _mated(codes: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both sides of the mated pairs with these numbers, counted identity by identity."""
    order, sizes = np.argsort(codes, kind="stable"), np.bincount(codes)
    last = np.cumsum(sizes * (sizes - 1) // 2)
    identity = np.searchsorted(last, numbers, side="right")
    number = numbers - np.concatenate([[0], last])[identity]
    # Number j(j - 1)/2 + i is the pair i < j.
    j = ((1 + np.sqrt(1 + 8 * number)) // 2).astype(np.int64)
    start = (np.cumsum(sizes) - sizes)[identity]
    return order[start + number - j * (j - 1) // 2], order[start + j]


def _impostors(
    codes: np.ndarray, wanted: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Both sides of so many different pairs of two identities."""
    count = len(codes)
    found = np.empty(0, np.int64)
    while len(found) < wanted:
        a, b = np.sort(rng.integers(count, size=(2, 2 * wanted)), axis=0)
        other = codes[a] != codes[b]
        found = np.unique(np.concatenate([found, a[other] * count + b[other]]))
    found = np.sort(rng.choice(found, wanted, replace=False))
    return found // count, found % count


def _distinct(below: int, wanted: int, rng: np.random.Generator) -> np.ndarray:
    """So many different whole numbers from 0, ascending, without a list of all there are."""
    found = np.empty(0, np.int64)
    while len(found) < wanted:
        found = np.unique(np.concatenate([found, rng.integers(below, size=2 * wanted)]))
    return np.sort(rng.choice(found, wanted, replace=False))
