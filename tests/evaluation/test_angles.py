"""Angle histograms: every pair is counted once, at the right angle."""

from __future__ import annotations

import math

import numpy as np

from arcwise import evaluation


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
