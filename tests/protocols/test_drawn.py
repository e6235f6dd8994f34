"""All pairs, or a sample in which no pair comes twice and none is of the wrong kind."""

from __future__ import annotations

import numpy as np
import pytest

from arcwise.protocols.drawn import draw


def kinds(ids: np.ndarray) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    pairs = [(a, b) for a in range(len(ids)) for b in range(a + 1, len(ids))]
    mated = {(a, b) for a, b in pairs if ids[a] == ids[b]}
    return mated, set(pairs) - mated


@pytest.mark.parametrize("most", [2, 7, 100, 500, 1000, 1769, 1770])
def test_pairs_of_both_kinds(most: int) -> None:
    ids = np.random.default_rng(0).integers(0, 9, 60).astype(str)
    mated, impostors = kinds(ids)
    found = draw(ids, seed=1, most=most)
    assert len(found.a) == most
    rows = list(zip(np.minimum(found.a, found.b), np.maximum(found.a, found.b), strict=True))
    assert len(set(rows)) == len(rows)
    right = {row for row, same in zip(rows, found.same, strict=True) if same}
    assert right <= mated
    assert set(rows) - right <= impostors
    assert len(right) == (len(mated) if most == 1770 else min(len(mated), most // 2))
    assert (found.words == "all 1,770 pairs") == (most == 1770)


def test_the_seed_decides() -> None:
    ids = np.repeat(np.arange(50), 4)
    one, again, other = (draw(ids, seed, most=300) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.a, again.a)
    np.testing.assert_array_equal(one.b, again.b)
    assert not np.array_equal(one.b, other.b)


def test_a_sample_is_even() -> None:
    """Every impostor pair, and every mated one, is about as likely as every other."""
    ids = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    counts = np.zeros((8, 8))
    for seed in range(600):
        found = draw(ids, seed, most=10)
        counts[np.minimum(found.a, found.b), np.maximum(found.a, found.b)] += 1
    mated, impostors = kinds(ids)
    for pairs, chosen in ((mated, 5 * 600), (impostors, 5 * 600)):
        expected = chosen / len(pairs)
        found = np.array([counts[pair] for pair in pairs])
        np.testing.assert_allclose(found, expected, rtol=0, atol=5 * np.sqrt(expected))
