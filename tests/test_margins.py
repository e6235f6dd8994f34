from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from arcwise.errors import ArcwiseError
from arcwise.margins import MIN_SINE, ArcFace, CosFace, NormSoftmax
from tests import oracles

angles = st.floats(0, math.pi)
strengths = st.floats(0, 1.2)


def evaluate(margin, theta):
    """Value and slope at an angle, in float64."""
    cos = torch.tensor([math.cos(theta)], dtype=torch.float64)
    value, slope, norm_slope = margin.target(cos, torch.ones_like(cos), {})
    assert norm_slope is None
    return value.item(), slope.item()


@given(angles, strengths)
def test_arcface_value_is_the_cosine_of_the_widened_angle(theta, m):
    value, _ = evaluate(ArcFace(m), theta)
    assert value == pytest.approx(oracles.arcface(m)(theta), abs=5e-8)


@given(angles, strengths)
def test_cosface_value_is_the_cosine_less_m(theta, m):
    assert evaluate(CosFace(m), theta)[0] == pytest.approx(math.cos(theta) - m, abs=1e-12)


@given(angles, angles, strengths)
def test_arcface_never_rises_with_the_angle(a, b, m):
    near, far = sorted((a, b))
    assert evaluate(ArcFace(m), near)[0] >= evaluate(ArcFace(m), far)[0] - 1e-12


@given(strengths)
def test_arcface_is_continuous_where_theta_plus_m_passes_pi(m):
    edge = math.pi - m
    before, after = evaluate(ArcFace(m), edge - 1e-9), evaluate(ArcFace(m), edge + 1e-9)
    assert before[0] == pytest.approx(after[0], abs=1e-7)
    if m > 0.01:  # at m = 0 the edge is θ = π, where every slope is held
        assert before[1] == pytest.approx(after[1], abs=1e-5)


@pytest.mark.parametrize("margin", [ArcFace(0.5), ArcFace(1.1), CosFace(0.35), NormSoftmax()])
@pytest.mark.parametrize("theta", [0.05, 0.7, 1.57, 2.2, 2.6, 2.7, 3.0])
def test_exact_slope_is_the_derivative_of_the_value(margin, theta):
    h = 1e-6
    cos = math.cos(theta)
    up, down = (evaluate(margin, math.acos(cos + d))[0] for d in (h, -h))
    assert evaluate(margin, theta)[1] == pytest.approx((up - down) / (2 * h), rel=1e-4)


def test_trap_1_detached_has_the_value_of_arcface_and_the_slope_of_cosface():
    # arcface_torch applies arccos and cos under no_grad, so its autograd sees slope 1.
    for theta in (0.2, 1.0, 2.0, 2.9):
        exact, detached = (evaluate(ArcFace(0.5, g), theta) for g in ("exact", "detached"))
        assert detached[0] == exact[0]
        assert detached[1] == 1.0
        assert exact[1] == pytest.approx(
            abs(math.sin(theta + 0.5)) / math.sin(theta), rel=1e-9
        )  # beyond π the continuation keeps the size of the slope
        assert exact[1] != pytest.approx(1.0, abs=0.01)


def test_trap_3_no_jump_where_public_code_jumps():
    # The linear fallback jumps from -1 to -1.117 at θ = π - m, the easy margin by sin m at 90°.
    for edge in (math.pi - 0.5, math.pi / 2):
        before, after = (evaluate(ArcFace(0.5), edge + d)[0] for d in (-1e-7, 1e-7))
        assert abs(before - after) < 1e-6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cos", [1.0, -1.0, 1 + 1e-7, -1 - 1e-7, 1 - 1e-7])
def test_value_and_slope_are_finite_at_the_poles(cos, dtype):
    cos = torch.tensor([cos], dtype=dtype)
    value, slope, _ = ArcFace(0.5).target(cos, torch.ones_like(cos), {})
    assert value.isfinite()
    assert 0 <= slope <= math.sin(0.5) / MIN_SINE + 1


def test_without_strength_a_margin_is_normsoftmax_bit_for_bit():
    cos = torch.linspace(-1, 1, 1001)
    for margin in (ArcFace(0.0), ArcFace(0.5).at(0.0), CosFace(0.35).at(0.0)):
        value, slope, _ = margin.target(cos, torch.ones_like(cos), {})
        assert torch.equal(value, cos)
        assert torch.equal(slope, torch.ones_like(cos))


def test_strength_scales_the_margin_and_nothing_else():
    assert ArcFace(0.5, "detached").at(0.5) == ArcFace(0.25, "detached")
    assert CosFace(0.4).at(0.25) == CosFace(0.1)
    assert NormSoftmax().at(0.3) == NormSoftmax()


def test_other_classes_pay_nothing():
    cosines = torch.rand(3, 4)
    for margin in (NormSoftmax(), CosFace(), ArcFace()):
        value, slope = margin.others(cosines, torch.zeros(3), {})
        assert value is cosines
        assert slope is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ArcFace(-0.1), r"ArcFace: m=-0.1; expected 0 to 3.142 radians"),
        (lambda: ArcFace(28.6), r"radians"),  # degrees, as one library wants them
        (lambda: ArcFace(math.nan), r"m=nan"),
        (lambda: CosFace(-1), r"cosine units"),
        (lambda: ArcFace(0.5, "straight"), r'expected "exact" or "detached"'),
    ],
)
def test_impossible_margins_are_refused(make, message):
    with pytest.raises(ArcwiseError, match=message):
        make()


def test_margins_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ArcFace().m = 0.1
