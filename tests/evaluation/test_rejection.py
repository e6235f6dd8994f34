"""The error among what is left is counted, pair by pair, at a threshold that stays."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from arcwise.errors import ArcwiseError
from arcwise.evaluation import calibrate, error_versus_reject
from arcwise.evaluation.rejection import SHARES


def noisy(identities=30, each=4, seed=0):
    """Embeddings with noise of known size."""
    rng = np.random.default_rng(seed)
    ids = np.repeat(np.arange(identities), each)
    noise = rng.uniform(0.2, 2.0, len(ids))
    vectors = rng.normal(size=(identities, 16))[ids] / 4
    vectors += noise[:, None] * rng.normal(size=(len(ids), 16)) / 4
    return vectors, ids, noise


def test_each_rate_is_counted_pair_by_pair():
    vectors, ids, noise = noisy()
    single = np.append(ids, 99)  # without a mate: not among the images that are rejected
    vectors = np.vstack([vectors, vectors[:1]])
    quality = np.append(-noise, -100.0)
    result = error_versus_reject(vectors, single, quality)
    (threshold,) = calibrate(vectors, single, fars=(0.01,), draws=2)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    ranked = np.sort(quality[:-1])
    for share, rate, asked in zip(result.shares, result.rates, SHARES, strict=True):
        cut = ranked[int(np.ceil(asked * (len(ranked) - 1)))]
        kept = np.flatnonzero((quality >= cut) & (single != 99))
        pairs = [(a, b) for a, b in itertools.combinations(kept, 2) if single[a] == single[b]]
        wrong = [float(unit[a] @ unit[b]) < threshold.threshold for a, b in pairs]
        assert rate == pytest.approx(np.mean(wrong))
        assert share == pytest.approx(1 - len(kept) / 120)
        assert rate.low <= rate <= rate.high
    assert (result.images, result.identities, result.pairs) == (120, 30, 180)
    after = np.mean([float(rate) for rate in result.rates[1:]])
    assert result.ratio == pytest.approx(after / result.rates[0])


def test_a_right_quality_a_wrong_one_and_none():
    vectors, ids, noise = noisy(identities=60)
    right, wrong = (error_versus_reject(vectors, ids, sign * noise) for sign in (-1, 1))
    assert right.ratio.high < 1 < wrong.ratio.low
    assert "finds" in str(right)
    assert "wrong way" in str(wrong)
    chance = error_versus_reject(vectors, ids, np.random.default_rng(5).random(len(ids)))
    assert chance.ratio.low < 1 < chance.ratio.high
    assert "chance" in str(chance)


def test_equal_qualities_reject_nothing():
    vectors, ids, _ = noisy()
    result = error_versus_reject(vectors, ids, np.ones(len(ids)))
    assert set(result.shares) == {0.0}
    assert result.ratio == 1


def test_what_cannot_be_measured():
    vectors, ids, noise = noisy(identities=5)
    with pytest.raises(ArcwiseError, match="no mated pair"):
        error_versus_reject(vectors, np.arange(len(ids)), -noise)
    same = np.eye(5)[ids]
    with pytest.raises(ArcwiseError, match="no error"):
        error_versus_reject(same, ids, -noise)
    with pytest.raises(ArcwiseError, match="expected 20"):
        error_versus_reject(vectors, ids, noise[:3])
    with pytest.raises(ArcwiseError, match="NaN"):
        error_versus_reject(vectors, ids, np.full(len(ids), np.nan))
    few = error_versus_reject(vectors, ids, -noise)
    assert (few.ratio.low, few.ratio.high) == (0, np.inf)  # of five identities nothing is sure
