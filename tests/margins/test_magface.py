from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from arcwise.errors import ArcwiseError
from arcwise.margins import ArcFace, MagFace
from tests import oracles
from tests.margins.numbers import ask, column, numerical_derivative

NUMBERS = (10, 110, 0.45, 0.8)


@given(st.floats(0, math.pi), st.floats(0.01, 200))
def test_logit_is_arcface_with_the_lengths_margin(theta, length):
    expected = oracles.magface(*NUMBERS)(theta, length)
    assert ask(MagFace(), theta, length)[0] == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(("length", "m"), [(1, 0.45), (10, 0.45), (60, 0.625), (500, 0.8)])
def test_the_margin_is_linear_between_its_ends(length, m):
    assert ask(MagFace(), 1.0, length) == pytest.approx(ask(ArcFace(m), 1.0))


@pytest.mark.parametrize("theta", [0.1, 1.0, 2.0, 2.9])
def test_exact_derivative_is_that_of_the_logit(theta):
    assert ask(MagFace(), theta, 60)[1] == pytest.approx(
        numerical_derivative(MagFace(), theta, 60), rel=1e-4
    )


@pytest.mark.parametrize("beyond", ["monotone", "linear", "easy"])
@pytest.mark.parametrize("length", [5.0, 60.0, 120.0])
@pytest.mark.parametrize("theta", [0.3, 1.3, 2.0, 2.9])
def test_derivative_by_the_length_is_that_of_the_logit(theta, length, beyond):
    margin, h = MagFace(beyond=beyond), 1e-4
    up, down = (ask(margin, theta, length + d)[0] for d in (h, -h))
    _, _, derivative = margin.target(column(math.cos(theta)), column(length), {})
    assert derivative.item() == pytest.approx((up - down) / (2 * h), abs=1e-8)


def test_detached_keeps_the_derivative_by_the_length():
    # Without it nothing would hold back the penalty, which lengthens.
    cos, norm = column(0.3), column(60)
    exact, detached = (MagFace(gradient=g).target(cos, norm, {}) for g in ("exact", "detached"))
    assert torch.equal(exact[0], detached[0])
    assert detached[1].item() == 1.0
    assert torch.equal(exact[2], detached[2])


@given(st.floats(0.01, 200), st.floats(0, 50))
def test_penalty_is_the_formula(length, weight):
    value, _ = MagFace(weight=weight).penalty(column(length))
    assert value.item() == pytest.approx(oracles.magface_penalty(10, 110, weight)(length))


@pytest.mark.parametrize("length", [5.0, 11.0, 60.0, 109.0, 120.0])
def test_derivative_of_the_penalty_is_its_own(length):
    h = 1e-4
    value, derivative = MagFace().penalty(column(length, length + h, length - h))
    difference = (value[1] - value[2]).item() / (2 * h)
    assert derivative[0].item() == pytest.approx(difference, abs=1e-7)


def test_the_penalty_lengthens_all_the_way():
    _, derivative = MagFace().penalty(torch.linspace(10, 109.9, 50, dtype=torch.float64))
    assert (derivative < 0).all()


def test_at_the_shortest_length_both_derivatives_still_count():
    norm = column(10)
    assert MagFace().target(column(0.3), norm, {})[2].item() < 0
    assert MagFace().penalty(norm)[1].item() < 0


def test_at_the_longest_length_the_margins_derivative_still_counts():
    assert MagFace().target(column(0.3), column(110), {})[2].item() < 0


def test_margin_scale_scales_margins_and_penalty():
    assert MagFace(gradient="detached", beyond="easy").scaled(0.5) == MagFace(
        l_m=0.225, u_m=0.4, weight=17.5, gradient="detached", beyond="easy"
    )


def test_half_a_turn_and_lengths_below_one_are_possible():
    assert MagFace(l_a=0.01, u_a=1, l_m=0, u_m=math.pi).u_m == math.pi


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MagFace(0, 5), r"MagFace: l_a=0, u_a=5; expected 0 < l_a < u_a"),
        (lambda: MagFace(5, 5), r"l_a=5, u_a=5"),
        (lambda: MagFace(5, math.inf), r"u_a=inf"),
        (lambda: MagFace(l_m=0.9), r"MagFace: l_m=0.9, u_m=0.8; expected 0 ≤ l_m ≤ u_m ≤ π"),
        (lambda: MagFace(l_m=-0.1), r"l_m=-0.1"),
        (lambda: MagFace(u_m=4), r"u_m=4"),
        (lambda: MagFace(weight=-1), r"weight=-1; expected 0 or more"),
        (lambda: MagFace(gradient="both"), r"gradient='both'"),
        (lambda: MagFace(beyond="none"), r"beyond='none'"),
    ],
)
def test_impossible_ones_are_refused(make, message):
    with pytest.raises(ArcwiseError, match=message):
        make()
