"""The metrics of one run: each identity left out is as measuring the other images alone."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from arcwise import evaluation
from arcwise.evaluation.identity_jackknife import enough_identities, jackknifed_metrics

CORNERS = np.concatenate(
    [np.eye(4), -np.eye(4), np.stack(np.meshgrid(*[[0.5, -0.5]] * 4), axis=-1).reshape(-1, 4)]
).astype(np.float32)
"""Unit vectors whose cosines are exact, so that ties are."""


def oracle(unit: np.ndarray, codes: np.ndarray, far: float) -> tuple[float, float]:
    """TAR and recall@1 from their definitions, pair by pair."""
    mated, impostor = [], []
    for a, b in combinations(range(len(unit)), 2):
        score = float(np.dot(unit[a], unit[b]))
        (mated if codes[a] == codes[b] else impostor).append(score)
    tar = 0.0
    for threshold in [*mated, *impostor]:
        if sum(s >= threshold for s in impostor) / len(impostor) <= far:
            tar = max(tar, sum(s >= threshold for s in mated) / len(mated))
    right = []
    for a in range(len(unit)):
        own = [unit[a] @ unit[b] for b in range(len(unit)) if b != a and codes[b] == codes[a]]
        other = [unit[a] @ unit[b] for b in range(len(unit)) if codes[b] != codes[a]]
        if own:
            right.append(max(own) > max(other))
    return tar, float(np.mean(right))


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("far", [0.02, 0.2])
def test_leaving_out_is_measuring_the_rest(ties: bool, far: float) -> None:
    rng = np.random.default_rng(3)
    codes = np.repeat(np.arange(6), [3, 1, 5, 4, 2, 4])
    if ties:
        unit = CORNERS[rng.integers(len(CORNERS), size=len(codes))]
    else:
        rows = rng.normal(size=(6, 4))[codes] + 0.7 * rng.normal(size=(len(codes), 4))
        unit = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    result = jackknifed_metrics(unit, codes, far)
    for left, got in zip([-1, *range(6)], [result.value, *result.left_out], strict=True):
        rest = codes != left
        tar, recall = oracle(unit[rest], codes[rest], far)
        eer = evaluation.verification(*evaluation.all_pairs(unit[rest], codes[rest])).eer
        assert got == pytest.approx([tar, recall, eer], abs=1e-6)


def test_one_run_is_as_the_protocols_measure_it() -> None:
    rng = np.random.default_rng(4)
    codes = np.repeat(np.arange(12), 8)
    rows = rng.normal(size=(12, 16))[codes] + 0.9 * rng.normal(size=(96, 16))
    unit = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    pairs = evaluation.verification_from_embeddings(unit, codes)
    recall = evaluation.retrieval(unit, codes).recall_at(1)
    expected = [pairs.tar_at(0.01), recall, pairs.eer]
    assert jackknifed_metrics(unit, codes, 0.01).value == pytest.approx(expected)


def test_a_collapsed_run_recognises_nothing() -> None:
    codes = np.repeat(np.arange(4), 3)
    result = jackknifed_metrics(np.tile(CORNERS[:1], (12, 1)), codes, 0.1)
    assert np.vstack([result.value, result.left_out]) == pytest.approx(
        np.tile([[0.0, 0.0, 0.5]], (5, 1))
    )


@pytest.mark.parametrize(
    ("sizes", "enough"), [([2, 2, 1], True), ([2, 1, 1], False), ([5, 5], False), ([1] * 9, False)]
)
def test_identities_that_can_be_left_out(sizes: list[int], enough: bool) -> None:
    assert enough_identities(np.repeat(np.arange(len(sizes)), sizes)) == enough
