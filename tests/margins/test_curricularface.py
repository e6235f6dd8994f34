from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from arcwise.errors import ArcwiseError
from arcwise.margins import ArcFace, CurricularFace
from tests import oracles
from tests.margins.numbers import column


def negatives(u, value, t, **options):
    """Result and derivative of one negative."""
    state = {"t": column(t)[0]}
    got, derivative = CurricularFace(**options).negatives(column(u)[None], column(value), state)
    return got.item(), derivative.item()


@given(st.floats(-1, 1), st.floats(-3, 1), st.floats(-0.2, 1))
def test_hard_ones_count_by_the_curriculum(u, value, t):
    expected = oracles.curricularface(t)(u, value)
    assert negatives(u, value, t)[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("u", [-0.4, 0.3, 0.8])
def test_derivative_of_hard_ones_is_that_of_their_count(u):
    h = 1e-6
    difference = (negatives(u + h, -0.5, 0.2)[0] - negatives(u - h, -0.5, 0.2)[0]) / (2 * h)
    assert negatives(u, -0.5, 0.2)[1] == pytest.approx(difference)


def test_easy_ones_are_as_they_are():
    assert negatives(0.2, 0.3, 0.1) == (0.2, 1.0)


def test_a_tie_is_easy():
    assert negatives(0.3, 0.3, 0.1) == (0.3, 1.0)


def test_at_the_start_hard_ones_count_for_less():
    assert negatives(0.6, 0.3, 0.0)[0] == pytest.approx(0.36)


@pytest.mark.parametrize("u", [0.4, 0.7, 1.0])
def test_once_t_and_u_make_one_it_is_arcface(u):
    assert negatives(u, 0.2, 1 - u)[0] == pytest.approx(u)


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_a_share_of_the_curriculum_is_a_share_of_the_difference(share):
    value, derivative = negatives(0.6, 0.3, 0.1, curriculum=share)
    assert value == pytest.approx((1 - share) * 0.6 + share * 0.6 * 0.7)
    assert derivative == pytest.approx((1 - share) + share * (0.1 + 1.2))


def test_no_curriculum_leaves_the_negatives_alone():
    u = torch.rand(2, 3)
    value, derivative = CurricularFace(curriculum=0.0).negatives(u, torch.zeros(2), {})
    assert value is u
    assert derivative is None


def test_each_sample_is_compared_with_its_own_target():
    u = column(0.2, 0.4).expand(2, 2)
    value, _ = CurricularFace().negatives(u, column(0.3, 0.1), {})
    assert value.flatten().tolist() == pytest.approx([0.2, 0.16, 0.04, 0.16])


@pytest.mark.parametrize("gradient", ["exact", "detached"])
@pytest.mark.parametrize("beyond", ["monotone", "linear", "easy"])
def test_the_target_is_arcfaces(gradient, beyond):
    cos = torch.linspace(-1, 1, 101)
    got = CurricularFace(0.5, gradient=gradient, beyond=beyond).target(cos, cos, {})
    expected = ArcFace(0.5, gradient, beyond).target(cos, cos, {})
    assert torch.equal(got[0], expected[0])
    assert torch.equal(got[1], expected[1])
    assert got[2] is None


class TestMean:
    def test_starts_at_zero(self):
        assert CurricularFace().initial()["t"].item() == 0

    def test_moves_by_alpha(self):
        state = CurricularFace(alpha=0.25).observe(column(0.2, 0.6), column(1, 1), {"t": column(1)})
        assert state["t"].item() == pytest.approx(0.25 * 0.4 + 0.75)

    def test_moves_by_a_hundredth_from_zero_unless_given(self):
        state = CurricularFace().observe(column(0.5), column(1), {})
        assert state["t"].item() == pytest.approx(0.005)

    def test_of_no_row_is_where_it_was(self):
        state = {"t": column(0.3)[0]}
        assert CurricularFace().observe(column(), column(), state) == state

    def test_leaves_the_state_given_alone(self):
        state = CurricularFace().initial()
        CurricularFace().observe(column(0.5), column(1), state)
        assert state["t"].item() == 0

    def test_keeps_its_dtype(self):
        state = CurricularFace().observe(column(0.5), column(1), CurricularFace().initial())
        assert state["t"].dtype == torch.float32

    def test_is_zero_where_there_is_no_state(self):
        value, _ = CurricularFace().negatives(column(0.6)[None], column(0.3), {})
        assert value.item() == pytest.approx(0.36)


def test_margin_scale_scales_margin_and_curriculum():
    margin = CurricularFace(0.5, 0.1, "detached", "linear")
    assert margin.scaled(0.5) == CurricularFace(0.25, 0.1, "detached", "linear", curriculum=0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CurricularFace(-1), r"CurricularFace: m=-1; expected 0 to 3.142 radians"),
        (lambda: CurricularFace(alpha=2), r"alpha=2; expected 0 to 1"),
        (lambda: CurricularFace(gradient="both"), r"gradient='both'"),
        (lambda: CurricularFace(beyond="none"), r"beyond='none'"),
        (lambda: CurricularFace(curriculum=2), r"curriculum=2; expected 0 to 1"),
        (lambda: CurricularFace(math.nan), r"m=nan"),
    ],
)
def test_impossible_ones_are_refused(make, message):
    with pytest.raises(ArcwiseError, match=message):
        make()
