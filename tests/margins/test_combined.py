from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from arcwise.errors import ArcwiseError
from arcwise.margins import ArcFace, Combined, CosFace
from tests import oracles
from tests.margins.numbers import ask, column, numerical_derivative

angles = st.floats(0, math.pi)
CM1, CM2 = (1.0, 0.3, 0.2), (0.9, 0.4, 0.15)


@given(angles, st.floats(0.5, 4), st.floats(0, 1), st.floats(0, 1))
def test_logit_is_equation_4(theta, m1, m2, m3):
    expected = oracles.combined(m1, m2, m3)(theta)
    assert ask(Combined(m1, m2, m3), theta)[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("numbers", [CM1, CM2, (1.35, 0.0, 0.0), (3.0, 0.2, 0.1)])
@pytest.mark.parametrize("theta", [0.1, 0.7, 1.57, 2.2, 2.8, 3.1])
def test_exact_derivative_is_that_of_the_logit(numbers, theta):
    margin = Combined(*numbers)
    assert ask(margin, theta)[1] == pytest.approx(numerical_derivative(margin, theta), rel=1e-3)


def test_trap_2_all_three_numbers_count():
    # arcface_torch's CombinedMarginLoss forgets m1 and m2 as soon as m3 is above 0.
    combined, cosface = ask(Combined(*CM1), 1.0)[0], ask(CosFace(0.2), 1.0)[0]
    assert combined == pytest.approx(math.cos(1.3) - 0.2)
    assert abs(combined - cosface) > 0.2


def test_trap_2_a_factor_alone_is_accepted():
    # (1.35, 0, 0) raises there.
    assert ask(Combined(1.35, 0, 0), 1.0)[0] == pytest.approx(math.cos(1.35))


@pytest.mark.parametrize(("degrees", "value"), [(0, 0.755), (30, 0.480), (60, 0.022), (90, -0.496)])
def test_first_published_setting_by_hand(degrees, value):
    assert ask(Combined(*CM1), math.radians(degrees))[0] == pytest.approx(value, abs=5e-4)


@pytest.mark.parametrize("numbers", [CM1, CM2])
def test_published_settings_never_pay_the_target(numbers):
    for theta in torch.linspace(0, math.pi, 500).tolist():
        assert ask(Combined(*numbers), theta)[0] <= math.cos(theta) + 1e-9


@pytest.mark.parametrize("gradient", ["exact", "detached"])
def test_each_number_alone_is_the_margin_of_its_own(gradient):
    cos = torch.linspace(-1, 1, 501)
    for combined, alone in (
        (Combined(1, 0.5, 0, gradient), ArcFace(0.5, gradient)),
        (Combined(1, 0, 0.35, gradient), CosFace(0.35)),
    ):
        for got, expected in zip(
            combined.target(cos, cos, {})[:2], alone.target(cos, cos, {})[:2], strict=True
        ):
            assert torch.equal(got, expected)


def test_detached_has_the_same_logit_and_derivative_one():
    exact, detached = (ask(Combined(*CM2, g), 1.1) for g in ("exact", "detached"))
    assert detached == (exact[0], 1.0)


def test_derivative_by_the_length_is_none():
    assert Combined(*CM2).target(column(0.3), column(2.0), {})[2] is None


def test_margin_scale_moves_every_number_to_no_margin():
    half = Combined(0.8, 0.4, 0.2, "detached").scaled(0.5)
    assert (half.m1, half.m2, half.m3) == pytest.approx((0.9, 0.2, 0.1))
    assert half.gradient == "detached"


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((0, 0, 0), r"Combined: m1=0; expected a factor above 0"),
        ((math.inf, 0, 0), r"m1=inf"),
        ((math.nan, 0, 0), r"m1=nan"),
        ((1, -0.1, 0), r"Combined: m2=-0.1; expected 0 to 3.142 radians"),
        ((1, 0, 3), r"Combined: m3=3; expected 0 to 2 cosine units"),
        ((1, 0, 0, "both"), r"gradient='both'"),
    ],
)
def test_impossible_ones_are_refused(numbers, message):
    with pytest.raises(ArcwiseError, match=message):
        Combined(*numbers)
