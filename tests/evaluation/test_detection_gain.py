"""How much more one score finds than another, against slow sums and drawn worlds."""

from __future__ import annotations

import numpy as np
import pytest

from arcwise.errors import ArcwiseError
from arcwise.evaluation import TwoScores, detection_gain


def world(seed: int, better: float, people: int = 40) -> tuple[TwoScores, TwoScores]:
    """Unknown and enrolled images, four each, whose second score tells them apart by more.

    What an identity's images have in common moves them together, by another amount in each score.
    """
    draw = np.random.default_rng(seed)

    def images(mean: float) -> tuple[np.ndarray, np.ndarray]:
        ids = np.repeat(np.arange(people), 4)
        return ids, mean + draw.normal(size=people)[ids] + 0.5 * draw.normal(size=len(ids))

    sides = []
    for mean in (0.0, 1.5):
        ids, first = images(mean)
        second = images(mean * (1 + better))[1]
        sides.append(TwoScores(first, second, ids))
    return sides[0], sides[1]


def slow_found(unknown: np.ndarray, own: np.ndarray, rate: float) -> float:
    """The detection rate at the lowest threshold that at most the rate of the unknown reach."""
    for threshold in sorted({*unknown.tolist()}):
        if np.mean(unknown > threshold) <= rate:
            return float(np.mean(own > threshold))
    raise AssertionError


def test_it_is_the_mean_difference_of_the_detection_rates():
    for seed in range(5):
        unknown, own = world(seed, 0.5)
        gain, rates = detection_gain(unknown, own, (0.2, 0.1, 0.001), draws=50)
        assert rates == (0.2, 0.1)  # 160 images do not resolve the last one
        slow = [
            slow_found(unknown.second, own.second, rate)
            - slow_found(unknown.first, own.first, rate)
            for rate in rates
        ]
        assert gain == pytest.approx(np.mean(slow), abs=1e-12)
        assert gain.low <= gain <= gain.high


def test_a_better_score_is_told_from_an_equal_one():
    """Of twenty worlds each; a right 95 % interval lies above 0 in one of forty without a gain."""
    lows = [
        [
            float(detection_gain(*world(seed, better), (0.1,), draws=100)[0].low)
            for seed in range(20)
        ]
        for better in (0.0, 1.0)
    ]
    assert np.sum(np.array(lows[0]) > 0) <= 3
    assert np.sum(np.array(lows[1]) > 0) >= 15


def test_the_same_score_gains_nothing():
    unknown, own = world(0, 0.0)
    same = [TwoScores(one.first, one.first, one.ids) for one in (unknown, own)]
    gain, _ = detection_gain(*same, (0.1,), draws=20)
    assert (gain, gain.low, gain.high) == (0, 0, 0)


def test_images_of_another_closest_identity_are_never_found():
    unknown, own = world(0, 0.5)
    lost = np.full(len(own.ids), -np.inf)
    gain, _ = detection_gain(unknown, TwoScores(lost, lost, own.ids), (0.1,), draws=20)
    assert gain == 0


def test_few_identities_resolve_nothing():
    gain, _ = detection_gain(*world(0, 0.5, people=9), (0.5,), draws=20)
    assert not gain.resolved


def test_images_of_both_kinds_are_needed():
    unknown, own = world(0, 0.5)
    nobody = TwoScores(np.empty(0), np.empty(0), [])
    for theirs, ours, rate in ((nobody, own, 0.1), (unknown, nobody, 0.1), (unknown, own, 1e-4)):
        with pytest.raises(ArcwiseError, match="expected some of both"):
            detection_gain(theirs, ours, (rate,))
