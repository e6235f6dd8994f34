"""Angle histograms: every pair is counted once, at the right angle."""

from __future__ import annotations

import math

import numpy as np
import pytest

from arcwise import evaluation
from arcwise.errors import ArcwiseError


def test_known_angles_fall_into_their_bins() -> None:
    similarity = np.cos(np.radians([0, 10, 85, 95, 180]))
    result = evaluation.angles(similarity, np.array([True, True, False, False, False]), bins=18)
    assert result.edges[0] == 0.0
    assert result.edges[-1] == math.pi
    assert result.mated.sum() == 2
    assert result.impostor.tolist() == [0] * 8 + [1, 1] + [0] * 7 + [1]


def test_blocks_count_every_pair_once(halves: np.ndarray) -> None:
    ids = list("aabbbcddddeefgha")
    plain = evaluation.angles(*evaluation.all_pairs(halves, ids))
    result = evaluation.angles_from_embeddings(halves, ids)
    assert (result.mated == plain.mated).all()
    assert (result.impostor == plain.impostor).all()
    assert result.mated.sum() + result.impostor.sum() == 16 * 15 // 2


def test_rounding_beyond_one_is_one() -> None:
    result = evaluation.angles(np.float32([1.0000002, -1.0000002]), np.array([True, False]), bins=2)
    assert (result.mated.tolist(), result.impostor.tolist()) == ([1, 0], [0, 1])


@pytest.mark.parametrize(
    ("similarity", "same", "message"),
    [
        ([0.5, 0.5], [True], "same has shape"),
        ([0.5, np.nan], [True, False], "NaN"),
        ([0.5, 3.5], [True, False], "reaches ±3.5, expected cosines"),
        ([0.5, 0.5], [True, True], "expected some of both"),
    ],
)
def test_bad_input_is_named(similarity: list[float], same: list[bool], message: str) -> None:
    with pytest.raises(ArcwiseError, match=message):
        evaluation.angles(np.array(similarity), np.array(same))
