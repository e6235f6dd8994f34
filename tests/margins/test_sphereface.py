from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from arcwise.errors import ArcwiseError
from arcwise.margins import NormSoftmax, SphereFace
from tests import oracles
from tests.margins.numbers import ask, column, numerical_derivative

angles = st.floats(0, math.pi)


@given(angles, st.floats(1, 6))
def test_logit_is_the_piecewise_cosine(theta, m):
    assert ask(SphereFace(m), theta)[0] == pytest.approx(oracles.sphereface(m)(theta), abs=1e-6)


@given(st.floats(-1, 1))
def test_whole_factors_are_chebyshev_polynomials_up_to_pi(c):
    for m, polynomial in ((2, 2 * c**2 - 1), (3, 4 * c**3 - 3 * c), (4, 8 * c**4 - 8 * c**2 + 1)):
        k = math.floor(m * math.acos(c) / math.pi)
        value, _, _ = SphereFace(m).target(column(c), column(1), {})
        assert value.item() == pytest.approx((-1) ** k * polynomial - 2 * k, abs=1e-6)


@pytest.mark.parametrize("m", [1.35, 2.0, 4.0])
def test_every_turn_costs_two_more(m):
    for k in range(int(m) + 1):
        assert ask(SphereFace(m), k * math.pi / m)[0] == pytest.approx(1 - 2 * k, abs=1e-6)


@pytest.mark.parametrize("m", [1.35, 1.7, 2.0, 3.0, 4.0])
def test_never_above_the_cosine(m):
    cos = torch.linspace(-1, 1, 2001, dtype=torch.float64)
    assert (SphereFace(m).target(cos, cos, {})[0] <= cos + 1e-9).all()


@pytest.mark.parametrize("m", [1.35, 2.5, 4.0])
@pytest.mark.parametrize("theta", [0.1, 0.7, 1.5, 2.2, 3.0])
def test_exact_derivative_is_that_of_the_logit(m, theta):
    margin = SphereFace(m)
    assert ask(margin, theta)[1] == pytest.approx(
        numerical_derivative(margin, theta), rel=1e-3, abs=1e-4
    )


def test_a_factor_of_one_is_normsoftmax_bit_for_bit():
    cos = torch.linspace(-1, 1, 1001)
    for got, expected in zip(
        SphereFace(1).target(cos, cos, {})[:2], NormSoftmax().target(cos, cos, {})[:2], strict=True
    ):
        assert torch.equal(got, expected)


def test_values_printed_for_the_target_curves():
    # Target logit curves of arXiv 1801.07698, figure 4b, at 20, 60, 90 and 100 degrees.
    got = [ask(SphereFace(1.35), math.radians(d))[0] for d in (20, 60, 90, 100)]
    assert got == pytest.approx([0.891, 0.156, -0.522, -0.707], abs=5e-4)


def test_detached_has_the_same_logit_and_derivative_one():
    exact, detached = (ask(SphereFace(4, g), 1.1) for g in ("exact", "detached"))
    assert detached == (exact[0], 1.0)


def test_derivative_by_the_length_is_none():
    assert SphereFace(4, annealed=True).target(column(0.3), column(2.0), {})[2] is None
    assert SphereFace(4).target(column(0.3), column(2.0), {})[2] is None


class TestAnnealed:
    margin = SphereFace(4, annealed=True)

    @given(angles, st.integers(0, 5000))
    def test_logit_is_the_weighted_mean_at_every_step(self, theta, step):
        plain = oracles.annealing(step, 1000, 0.12, 1, 5)
        got, _ = ask(self.margin, theta, state={"step": torch.tensor(step)})
        assert got == pytest.approx(oracles.sphereface(4, plain)(theta), abs=1e-6)

    @pytest.mark.parametrize("step", [0, 50, 3000])
    @pytest.mark.parametrize("theta", [0.3, 1.0, 2.0])
    def test_exact_derivative_is_that_of_the_logit(self, theta, step):
        state = {"step": torch.tensor(step)}
        expected = numerical_derivative(self.margin, theta, state=state)
        assert ask(self.margin, theta, state=state)[1] == pytest.approx(expected, rel=1e-4)

    def test_other_schedules_are_the_formula_too(self):
        margin = SphereFace(3, annealed=True, base=40, gamma=0.5, power=2, lambda_min=0.1)
        plain = oracles.annealing(3, 40, 0.5, 2, 0.1)
        got, _ = ask(margin, 1.0, state={"step": torch.tensor(3)})
        assert got == pytest.approx(oracles.sphereface(3, plain)(1.0))

    def test_lambda_has_the_digits_of_the_cosines(self):
        got, _ = ask(self.margin, 1.0, state={"step": torch.tensor(7)})
        expected = oracles.sphereface(4, oracles.annealing(7, 1000, 0.12, 1, 5))(1.0)
        assert got == pytest.approx(expected, rel=1e-14)

    def test_an_endless_lambda_is_no_margin(self):
        margin = SphereFace(4, annealed=True, base=1e12, lambda_min=1e12)
        assert ask(margin, 2.0) == pytest.approx((math.cos(2.0), 1.0), abs=1e-9)

    def test_the_first_step_is_step_one(self):
        state = self.margin.observe(column(0.5), column(1), self.margin.initial())
        assert state["step"].item() == 1

    def test_steps_are_counted_on(self):
        state = self.margin.observe(column(0.5), column(1), {"step": torch.tensor(41)})
        assert state["step"].item() == 42

    def test_without_a_state_it_stands_at_the_start(self):
        assert ask(self.margin, 1.0) == ask(self.margin, 1.0, state=self.margin.initial())

    def test_the_state_given_is_left_alone(self):
        state = self.margin.initial()
        self.margin.observe(column(0.5), column(1), state)
        assert state["step"].item() == 0

    def test_detached_derivative_is_one(self):
        assert ask(SphereFace(4, "detached", True), 1.0)[1] == pytest.approx(1.0, abs=1e-15)


def test_without_annealing_there_is_nothing_to_count():
    assert SphereFace(4).initial() == {}
    assert SphereFace(4).observe(column(0.5), column(1), {}) == {}


def test_margin_scale_moves_the_factor_to_one_and_keeps_the_schedule():
    assert SphereFace(3, annealed=True).scaled(0.5) == SphereFace(2, annealed=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SphereFace(0.9), r"SphereFace: m=0.9; expected 1 or more$"),
        (lambda: SphereFace(math.inf), r"m=inf"),
        (lambda: SphereFace(2, "both"), r"gradient='both'"),
        (lambda: SphereFace(base=-1), r"base=-1; expected 0 or more"),
        (lambda: SphereFace(gamma=-1), r"gamma=-1"),
        (lambda: SphereFace(power=-1), r"power=-1"),
        (lambda: SphereFace(lambda_min=-1), r"lambda_min=-1"),
    ],
)
def test_impossible_ones_are_refused(make, message):
    with pytest.raises(ArcwiseError, match=message):
        make()
