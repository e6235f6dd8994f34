"""How many impostors may pass, and the lowest threshold that lets no more in."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arcwise.evaluation.thresholds import (
    allowed,
    just_above,
    resolved,
    threshold_at,
    weighted_threshold,
)


@given(st.integers(1, 400), st.floats(0, 1))
def test_allowed_is_the_largest_that_keeps_the_rate(count: int, rate: float) -> None:
    assert allowed(count, rate) == max(k for k in range(count + 1) if k / count <= rate)


@pytest.mark.parametrize("hundredths", range(1, 101))
def test_no_impostor_is_lost_to_rounding(hundredths: int) -> None:
    assert allowed(100, hundredths / 100) == hundredths  # 100 * 0.29 is 28.999…


@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=20),
    st.sampled_from([0.01, 0.1, 0.29, 0.5, 0.99]),
)
def test_whole_weights_are_repeated_scores(scores: list[int], rate: float) -> None:
    falling = np.sort(np.array(scores, dtype=np.float32))[::-1]
    weight = np.arange(len(falling)) % 3
    repeated = np.repeat(falling, weight)
    if len(repeated):
        result = weighted_threshold(falling, weight, rate, float(weight.sum()))
        assert result == threshold_at(repeated, rate)


def test_a_threshold_refuses_its_impostor_after_a_file() -> None:
    for score in (np.float32(0.1), np.float32(1.0), np.float64(0.1), np.float32(-0.3)):
        threshold = json.loads(json.dumps(just_above(score)))
        assert not score >= threshold
        assert np.nextafter(score, score.dtype.type(2)) >= threshold


def test_everything_passes_at_a_rate_of_one() -> None:
    assert threshold_at(np.array([0.9, 0.1]), 1.0) == -np.inf


def test_ten_impostors_resolve_a_rate() -> None:
    assert resolved(1e-3, 10_000)
    assert not resolved(1e-3, 9_999)
    assert resolved(0.1, 100)
