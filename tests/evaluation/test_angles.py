"""Angle histograms: every pair is counted once, at the right angle."""

from __future__ import annotations

import math

import numpy as np
import pytest

from arcwise import evaluation
from arcwise.errors import ArcwiseError


def test_known_angles_fall_into_their_bins() -> None:
    similarity = np.cos(np.radians([0, 10, 85, 95, 180]))
    found = evaluation.angles(similarity, np.array([True, True, False, False, False]), bins=18)
    assert found.edges[0] == 0.0
    assert found.edges[-1] == math.pi
    assert found.mated.sum() == 2
    assert found.impostor.tolist() == [0] * 8 + [1, 1] + [0] * 7 + [1]


def test_blocks_count_every_pair_once(halves: np.ndarray) -> None:
    ids = list("aabbbcddddeefgha")
    plain = evaluation.angles(*evaluation.all_pairs(halves, ids))
    found = evaluation.angles_from_embeddings(halves, ids)
    assert (found.mated == plain.mated).all()
    assert (found.impostor == plain.impostor).all()
    assert found.mated.sum() + found.impostor.sum() == 16 * 15 // 2


def test_rounding_beyond_one_is_one() -> None:
    found = evaluation.angles(np.float32([1.0000002, -1.0000002]), np.array([True, False]), bins=2)
    assert (found.mated.tolist(), found.impostor.tolist()) == ([1, 0], [0, 1])


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
