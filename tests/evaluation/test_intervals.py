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
from arcwise.evaluation.intervals import mean_over_identities, multiplicities, wilson


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


def test_pictures_of_one_identity_do_not_count_as_independent() -> None:
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
