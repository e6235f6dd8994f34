from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from arcwise.errors import ArcwiseError
from arcwise.margins import AdaFace, ArcFace, CosFace
from tests import oracles
from tests.margins.numbers import ask, column, numerical_derivative

STATE = {"mean": column(30)[0], "std": column(10)[0]}
WORST, AVERAGE, BEST = 0.001, 30.0, 99.0
"""Lengths of quality -1, 0 and 1 in that state, at h = 1."""


@given(st.floats(0, math.pi), st.floats(0.01, 150), st.floats(0, 1), st.floats(0.1, 2))
def test_logit_is_the_formula(theta, length, m, h):
    expected = oracles.adaface(m, h, 30, 10)(theta, length)
    assert ask(AdaFace(m, h), theta, length, STATE)[0] == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("length", [WORST, 24.0, AVERAGE, 33.0, BEST])
@pytest.mark.parametrize("theta", [0.1, 0.3, 1.0, 2.0, 2.9])
def test_exact_derivative_is_that_of_the_logit(theta, length):
    margin = AdaFace(0.4, 1.0)
    expected = numerical_derivative(margin, theta, length, STATE)
    assert ask(margin, theta, length, STATE)[1] == pytest.approx(expected, rel=1e-3)


def test_detached_has_the_same_logit_and_derivative_one():
    exact, detached = (ask(AdaFace(gradient=g), 1.0, 12, STATE) for g in ("exact", "detached"))
    assert detached == (exact[0], 1.0)


def test_the_worst_quality_is_arcface():
    cos = torch.linspace(-1, 1, 101, dtype=torch.float64)
    got = AdaFace(0.4, 1.0).target(cos, torch.full_like(cos, WORST), STATE)
    expected = ArcFace(0.4).target(cos, cos, {})
    torch.testing.assert_close(got[:2], expected[:2], rtol=1e-12, atol=1e-12)


def test_the_average_quality_is_cosface():
    cos = torch.linspace(-1, 1, 101, dtype=torch.float64)
    got = AdaFace(0.4, 1.0).target(cos, torch.full_like(cos, AVERAGE), STATE)
    expected = CosFace(0.4).target(cos, cos, {})
    torch.testing.assert_close(got[:2], expected[:2], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("theta", [0.5, 1.0, 2.5])
def test_the_best_quality_widens_the_other_way(theta):
    got, _ = ask(AdaFace(0.4, 1.0), theta, BEST, STATE)
    assert got == pytest.approx(math.cos(theta - 0.4) - 0.8)


def test_quality_is_no_path_for_the_gradient():
    assert AdaFace().target(column(0.3), column(25), STATE)[2] is None


@pytest.mark.parametrize(
    ("theta", "length", "value"),
    [(0.1, BEST, 1.0 - 0.8), (3.1, WORST, -1.0), (1.0, BEST, math.cos(0.6) - 0.8)],
)
def test_clipped_the_cosine_ends_where_the_angle_does(theta, length, value):
    margin = AdaFace(0.4, 1.0, beyond="clip")
    assert ask(margin, theta, length, STATE)[0] == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(("theta", "length"), [(0.1, BEST), (3.1, WORST)])
@pytest.mark.parametrize("gradient", ["exact", "detached"])
def test_clipped_it_is_flat_there(theta, length, gradient):
    margin = AdaFace(0.4, 1.0, gradient=gradient, beyond="clip")
    assert ask(margin, theta, length, STATE)[1] == 0.0


def test_clipped_it_is_the_same_in_between():
    clip, monotone = (AdaFace(0.4, 1.0, beyond=b) for b in ("clip", "monotone"))
    assert ask(clip, 1.0, 33, STATE) == ask(monotone, 1.0, 33, STATE)


class TestStatistics:
    def test_start(self):
        state = AdaFace().initial()
        assert (state["mean"].item(), state["std"].item()) == (20, 100)

    def test_move_by_alpha(self):
        # Lengths 10, 20, 60: mean 30, standard deviation √700 (one less than the count).
        state = AdaFace(alpha=0.25).observe(column(0, 0, 0), column(10, 20, 60), STATE)
        assert state["mean"].item() == pytest.approx(0.25 * 30 + 0.75 * 30)
        assert state["std"].item() == pytest.approx(0.25 * math.sqrt(700) + 0.75 * 10)

    def test_move_from_the_start_where_there_is_no_state(self):
        state = AdaFace(alpha=0.5).observe(column(0, 0), column(30, 50), {})
        assert state["mean"].item() == 0.5 * 40 + 0.5 * 20

    def test_lengths_are_held_before_they_count(self):
        state = AdaFace(alpha=1.0).observe(column(0, 0), column(0, 1e6), STATE)
        assert state["mean"].item() == pytest.approx((0.001 + 100) / 2)

    def test_one_length_has_no_deviation(self):
        state = AdaFace(alpha=0.5).observe(column(0), column(50), STATE)
        assert (state["mean"].item(), state["std"].item()) == (40, 10)

    def test_two_lengths_have_one(self):
        state = AdaFace(alpha=1.0).observe(column(0, 0), column(20, 40), STATE)
        assert state["std"].item() == pytest.approx(math.sqrt(200))

    def test_no_length_moves_nothing(self):
        assert AdaFace().observe(column(), column(), STATE) == STATE

    def test_the_state_given_is_left_alone(self):
        state = dict(STATE)
        AdaFace(alpha=1.0).observe(column(0, 0), column(1, 2), state)
        assert state == STATE

    def test_a_state_keeps_its_dtype(self):
        state = AdaFace().observe(column(0, 0), column(1, 2), AdaFace().initial())
        assert {v.dtype for v in state.values()} == {torch.float32}

    def test_without_a_state_the_start_stands_in(self):
        assert ask(AdaFace(), 1.0, 50) == ask(AdaFace(), 1.0, 50, AdaFace().initial())


def test_lengths_are_held_in_the_target_too():
    for far, near in ((1e-9, 0.001), (1e6, 100.0)):
        margin = AdaFace(0.4, 0.01)
        assert ask(margin, 1.0, far, STATE) == ask(margin, 1.0, near, STATE)


def test_equal_lengths_do_not_divide_by_zero():
    state = {"mean": column(20)[0], "std": column(0)[0]}
    assert all(map(math.isfinite, ask(AdaFace(), 1.0, 20, state)))


def test_margin_scale_scales_the_margin_and_nothing_else():
    assert AdaFace(0.4, 0.5, 0.1, "detached", "clip").scaled(0.5) == AdaFace(
        0.2, 0.5, 0.1, "detached", "clip"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AdaFace(2), r"AdaFace: m=2; expected 0 to 1.571 radians"),
        (lambda: AdaFace(h=-1), r"h=-1; expected 0 or more"),
        (lambda: AdaFace(alpha=1.5), r"alpha=1.5; expected 0 to 1"),
        (lambda: AdaFace(gradient="both"), r"gradient='both'"),
        (lambda: AdaFace(beyond="easy"), r"beyond='easy'; expected \"monotone\" or \"clip\""),
    ],
)
def test_impossible_ones_are_refused(make, message):
    with pytest.raises(ArcwiseError, match=message):
        make()
