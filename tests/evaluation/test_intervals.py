"""Intervals: Wilson's against scipy, the bootstrap against closed cases."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from arcwise.evaluation import Rate
from arcwise.evaluation.intervals import (
    detection_rate,
    mean_over_identities,
    multiplicities,
    student_factor,
    wilson,
    with_countable_ends,
)


@given(st.integers(1, 500), st.data())
def test_wilson_is_scipys(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    expected = binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_wilson_knows_nothing_of_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_rate_is_a_float_that_survives_copies() -> None:
    rate = Rate(0.5, 0.4, 0.6, resolved=False)
    assert rate + 1 == 1.5
    assert f"{rate:.1%}" == "50.0%"
    assert str(rate) == "0.5000 [0.4000, 0.6000] (not resolved)"
    assert repr(rate) == "Rate(0.5, 0.4, 0.6, resolved=False)"
    for twin in (copy.deepcopy(rate), pickle.loads(pickle.dumps(rate))):
        assert (twin, twin.low, twin.high, twin.resolved) == (0.5, 0.4, 0.6, False)


def test_every_draw_has_as_many_identities() -> None:
    drawn = list(multiplicities(7, 20, seed=1))
    assert all(times.sum() == 7 for times in drawn)
    assert all((a == b).all() for a, b in zip(drawn, multiplicities(7, 20, seed=1), strict=True))


def test_images_of_one_identity_are_not_independent() -> None:
    right = np.repeat([1, 0, 1, 1, 0, 1, 1, 1, 0, 1], 50)
    alone = mean_over_identities(right, np.arange(500))
    together = mean_over_identities(right, np.repeat(np.arange(10), 50))
    assert alone == together == 0.7
    assert alone.low <= 0.7 <= alone.high
    # Fifty copies of ten answers are ten answers: the interval is wider by about sqrt(50).
    assert 5 < (together.high - together.low) / (alone.high - alone.low) < 10


def test_all_right_still_leaves_doubt() -> None:
    rate = mean_over_identities(np.ones(40), np.repeat(np.arange(20), 2))
    assert (rate.low, rate.high) == wilson(20, 20)


class TestWhatFewIdentitiesHide:
    def test_nothing_where_many_share_the_errors(self) -> None:
        assert student_factor(np.ones(10_000)) == pytest.approx(1, abs=1e-3)
        assert student_factor(np.zeros(5)) == 1

    def test_students_quantile_for_few(self) -> None:
        """Of five identities: 2.776 with four degrees of freedom, beside 1.960."""
        assert student_factor(np.ones(5)) == pytest.approx(2.776 / 1.960, abs=1e-3)
        assert student_factor(np.ones(1)) == student_factor(np.ones(4)) > student_factor(np.ones(5))

    def test_more_the_fewer_they_are(self) -> None:
        result = [student_factor(np.ones(count)) for count in (4, 5, 8, 20, 100, 1000)]
        assert result == sorted(result, reverse=True)

    def test_one_that_makes_most_errors_counts_as_one(self) -> None:
        hub = np.append(np.ones(50), 200)
        assert student_factor(hub) > student_factor(np.ones(51))
        assert student_factor(hub * 7) == pytest.approx(student_factor(hub))


def test_less_than_one_image_is_none() -> None:
    assert with_countable_ends(Rate(0.05, 0.004, 0.9), 200).low == 0
    assert with_countable_ends(Rate(0.05, 0.006, 0.9), 200).low == 0.006
    rate = with_countable_ends(Rate(0.95, 0.9, 0.996, resolved=False), 200)
    assert (rate, rate.high, rate.resolved) == (0.95, 1, False)


def test_the_interval_is_of_as_many_other_identities() -> None:
    """Of 25 identities most are nearly always found, a few hardly ever."""

    def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
        generator = np.random.default_rng(seed)
        owner = np.repeat(np.arange(25), 6)
        chance = generator.beta(0.8, 0.2, size=25)
        return generator.random(len(owner)) < chance[owner], owner

    covered = 0
    for seed in range(100):
        rate = detection_rate(*drawn(seed))
        covered += rate.low <= drawn(1000 + seed)[0].mean() <= rate.high
    assert covered >= 93, covered
