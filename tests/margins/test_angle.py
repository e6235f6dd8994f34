"""The one formula under every angular margin, and its numerics."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from arcwise.margins.angle import MIN_SINE, multiplied, shifted
from tests import oracles
from tests.margins.numbers import column

angles = st.floats(0, math.pi)
shifts = st.floats(-math.pi, math.pi)
factors = st.floats(0.5, 5)


def at(theta, m, gradient="exact", beyond="monotone"):
    m = column(m) if isinstance(m, float) else m
    return [a.item() for a in shifted(column(math.cos(theta)), m, gradient, beyond)]


@given(angles, shifts)
def test_shifted_logit_falls_on_both_sides_of_zero_to_pi(theta, m):
    assert at(theta, m)[0] == pytest.approx(oracles.falling(theta + m), abs=1e-7)


@given(angles, factors, st.floats(0, math.pi))
def test_multiplied_logit_is_the_same_formula(theta, m1, m2):
    value, _ = multiplied(column(math.cos(theta)), m1, m2, "exact")
    assert value.item() == pytest.approx(oracles.falling(m1 * theta + m2), abs=1e-6)


@given(angles, angles, shifts)
def test_shifted_never_rises_with_the_angle(a, b, m):
    near, far = sorted((a, b))
    assert at(near, m)[0] >= at(far, m)[0] - 1e-12


@given(angles, angles, factors, st.floats(0, math.pi))
def test_multiplied_never_rises_with_the_angle(a, b, m1, m2):
    cos = column(*sorted((math.cos(a), math.cos(b))))
    low, high = multiplied(cos, m1, m2, "exact")[0].tolist()
    assert high >= low - 1e-12


@pytest.mark.parametrize("m", [0.1, 0.5, 1.2, 3.0, -0.1, -0.5, -3.0])
def test_logit_and_derivative_are_continuous_where_the_angle_leaves_zero_to_pi(m):
    edge = math.pi - m if m > 0 else -m
    before, after = at(edge - 1e-9, m), at(edge + 1e-9, m)
    assert before == pytest.approx(after, abs=1e-7)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_multiplied_is_continuous_at_every_multiple_of_pi(k):
    edge = k * math.pi / 4
    cos = column(math.cos(edge - 1e-9), math.cos(edge + 1e-9))
    value, derivative = multiplied(cos, 4.0, 0.0, "exact")
    assert value.tolist() == pytest.approx([1 - 2 * k] * 2, abs=1e-8)
    assert derivative.tolist() == pytest.approx([0, 0], abs=1e-6)


@pytest.mark.parametrize("m", [-3.0, -0.8, -0.3, 0.0, 0.3, 0.8, 3.0])
@pytest.mark.parametrize("theta", [0.05, 0.5, 1.57, 2.2, 2.6, 3.0])
def test_derivative_by_the_margin_is_that_of_the_logit(m, theta):
    h = 1e-6
    difference = (at(theta, m + h)[0] - at(theta, m - h)[0]) / (2 * h)
    assert at(theta, m)[2] == pytest.approx(difference, abs=1e-5)


@pytest.mark.parametrize(("beyond", "theta"), [("linear", 2.8), ("easy", 1.0), ("easy", 2.0)])
def test_derivative_by_the_margin_of_the_published_continuations(beyond, theta):
    h = 1e-6
    up, down = (at(theta, 0.5 + d, beyond=beyond)[0] for d in (h, -h))
    assert at(theta, 0.5, beyond=beyond)[2] == pytest.approx((up - down) / (2 * h), abs=1e-6)


def test_detached_leaves_the_derivative_by_the_margin_alone():
    assert at(1.0, 0.5, "detached") == [at(1.0, 0.5)[0], 1.0, at(1.0, 0.5)[2]]


@pytest.mark.parametrize("beyond", ["monotone", "linear", "easy"])
def test_one_margin_for_all_and_one_for_each_agree(beyond):
    cos = torch.linspace(-1, 1, 201, dtype=torch.float64)
    for m in (0.0, 0.5, 2.0):
        one = shifted(cos, m, "exact", beyond)
        each = shifted(cos, torch.full_like(cos, m), "exact", beyond)
        for a, b in zip(one, each, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("m", [-0.5, 0.0, 1e-6, 0.5, math.pi])
@pytest.mark.parametrize("beyond", ["monotone", "linear", "easy"])
def test_trap_10_logit_and_derivative_are_finite_at_the_poles_and_past_them(dtype, m, beyond):
    cos = column(1, -1, 1 + 1e-6, -1 - 1e-6, 1 - 1e-7, 1e-7 - 1, 3, -3, dtype=dtype)
    for part in shifted(cos, m, "exact", beyond):
        assert part.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("m1", [0.9, 1.35, 4.0])
def test_trap_10_the_same_where_the_angle_is_taken(dtype, m1):
    cos = column(1, -1, 1 + 1e-6, -1 - 1e-6, 1 - 1e-7, 1e-7 - 1, 3, -3, dtype=dtype)
    for part in multiplied(cos, m1, 0.4, "exact"):
        assert part.isfinite().all()


@pytest.mark.parametrize("m", [1e-6, 0.5, -0.5, math.pi - 1e-6])
@pytest.mark.parametrize("pole", [1.0, -1.0])
def test_at_the_poles_the_derivative_is_held(m, pole):
    derivative = shifted(column(pole), m, "exact", "monotone")[1].item()
    assert derivative == pytest.approx(abs(math.cos(m) + pole * math.sin(m) / MIN_SINE), rel=1e-9)


@pytest.mark.parametrize("pole", [1.0, -1.0])
def test_past_a_pole_the_derivative_is_the_poles(pole):
    at_pole, *past = shifted(column(pole, 3 * pole, 1e300 * pole), 0.5, "exact", "monotone")[1]
    assert past == [at_pole, at_pole]


def test_a_held_derivative_still_stays_below_its_bound():
    # |dz/dx| ∝ |ψ'| sin θ ≤ m₁, also where sin θ is below MIN_SINE.
    theta = torch.logspace(-9, 0, 400, dtype=torch.float64)
    for m in (0.1, 0.5, 1.2):
        derivative = shifted(theta.cos(), m, "exact", "monotone")[1]
        assert (derivative * theta.sin() <= 1 + 1e-9).all()


def test_multiplied_is_held_at_the_poles_too():
    theta = 1e-6
    derivative = multiplied(column(math.cos(theta)), 4.0, 0.5, "exact")[1].item()
    assert derivative == pytest.approx(4 * math.sin(0.5) / MIN_SINE, rel=1e-4)


def test_digits_near_zero_degrees_survive_in_float32():
    # (1 - t)(1 + t) against 1 - t·t at t = 0.9999.
    t = torch.tensor([0.9999])
    exact = oracles.falling(math.acos(t.double().item()) + 0.5)
    assert shifted(t, 0.5, "exact", "monotone")[0].item() == pytest.approx(exact, abs=1e-7)


@pytest.mark.parametrize("cos", [1.0, -1.0, 1 + 1e-6, -1 - 1e-6, 0.3])
@pytest.mark.parametrize("beyond", ["monotone", "linear", "easy"])
def test_no_margin_is_the_cosine_bit_for_bit_even_past_one(cos, beyond):
    cos = torch.tensor([cos])
    for m in (0.0, torch.zeros(1)):
        value, derivative, _ = shifted(cos, m, "exact", beyond)
        assert torch.equal(value, cos)
        assert torch.equal(derivative, torch.ones(1))


def test_a_factor_of_one_takes_no_angle():
    cos = torch.rand(50)
    value, derivative = multiplied(cos, 1.0, 0.5, "exact")
    expected = shifted(cos, 0.5, "exact", "monotone")
    assert torch.equal(value, expected[0])
    assert torch.equal(derivative, expected[1])
