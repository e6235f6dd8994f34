from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from arcwise.errors import ArcwiseError
from arcwise.margins import (
    AdaFace,
    ArcFace,
    CosFace,
    Filtered,
    MagFace,
    NormSoftmax,
    SupportVector,
)
from tests import oracles
from tests.margins.numbers import column

cosines = st.floats(-1, 1)


def negatives(margin, u, value):
    """Result and derivative of one negative."""
    got, derivative = margin.negatives(column(u)[None], column(value), {})
    return got.item(), derivative.item()


@given(cosines, st.floats(-3, 1), st.floats(1, 2))
def test_hard_ones_count_more_by_equation_19(u, value, t):
    margin = SupportVector(ArcFace(), t)
    got, _ = margin.negatives(column(u)[None], column(value), {})
    assert got.item() == pytest.approx(oracles.supportvector(t)(u, value), abs=1e-12)


@pytest.mark.parametrize(("u", "derivative"), [(0.5, 1.2), (0.1, 1.0)])
def test_derivative_is_t_for_hard_ones(u, derivative):
    assert negatives(SupportVector(ArcFace(), 1.2), u, 0.3)[1] == pytest.approx(derivative)


def test_a_tie_is_easy():
    assert negatives(SupportVector(ArcFace(), 1.2), 0.25, 0.25) == (0.25, 1.0)


def test_trap_4_t_of_mv_softmax_is_one_less():
    # MV-softmax's adaptive form is (1 + t')u + t', with t' = 0.2 where SV-softmax has 1.2.
    u = 0.5
    assert negatives(SupportVector(CosFace(), 1.2), u, 0.1)[0] == pytest.approx(1.2 * u + 0.2)


def test_the_boundary_is_the_target_after_its_margin():
    # SV-X: cos 0.45 is above 0.5 - 0.35; SV-softmax, without a margin, compares with 0.5.
    cos = column(0.5)
    for inner, hard in ((CosFace(0.35), True), (NormSoftmax(), False)):
        margin = SupportVector(inner)
        value, _, _ = margin.target(cos, cos, {})
        assert (negatives(margin, 0.45, value.item())[1] > 1) is hard


def test_each_sample_is_compared_with_its_own_target():
    u = column(0.2, 0.4).expand(2, 2)
    _, derivative = SupportVector(ArcFace(), 2.0).negatives(u, column(0.3, 0.1), {})
    assert derivative.tolist() == [[1.0, 2.0], [2.0, 2.0]]


def test_t_of_one_is_the_margin_itself():
    u = torch.rand(3, 4)
    value, derivative = SupportVector(ArcFace(), 1).negatives(u, torch.zeros(3), {})
    assert value is u
    assert derivative is None


@given(cosines, st.floats(-3, 1))
def test_no_class_counts_for_less(u, value):
    got, _ = SupportVector(ArcFace(), 1.3).negatives(column(u)[None], column(value), {})
    assert got.item() >= u


def test_everything_else_is_the_inner_margins():
    cos, norm, inner = column(0.3, 0.6), column(20, 50), MagFace()
    margin = SupportVector(inner)
    for got, expected in (
        (margin.target(cos, norm, {}), inner.target(cos, norm, {})),
        (margin.penalty(norm), inner.penalty(norm)),
    ):
        assert all(torch.equal(a, b) for a, b in zip(got, expected, strict=True))


def test_the_inner_margins_statistics_are_kept():
    margin = SupportVector(AdaFace(alpha=1.0))
    assert margin.initial() == AdaFace().initial()
    assert margin.observe(column(0, 0), column(30, 50), {})["mean"].item() == 40


def test_what_the_inner_margin_leaves_out_stays_out():
    u = column(0.2, 0.9)[None]
    value, derivative = SupportVector(Filtered(ArcFace(), 0.5, "exclude"), 2.0).negatives(
        u, column(0), {}
    )
    assert value[0].tolist() == pytest.approx([1.4, -math.inf])
    assert derivative[0].tolist() == [2.0, 0.0]


def test_margin_scale_weakens_the_inner_margin_and_the_weight():
    assert SupportVector(CosFace(0.4), 1.5).scaled(0.5) == SupportVector(CosFace(0.2), 1.25)


def test_weighing_less_is_refused():
    with pytest.raises(ArcwiseError, match=r"SupportVector: t=0.2; expected 1 or more"):
        SupportVector(ArcFace(), 0.2)  # MV-softmax's


@pytest.mark.parametrize("inner", [0.35, ArcFace])
def test_it_wraps_a_margin(inner):
    with pytest.raises(ArcwiseError, match="expected a margin to wrap"):
        SupportVector(inner)


COSINES = column(0.39, 0.4, 0.41, -0.9)[None]


@pytest.mark.parametrize(("how", "abnormal"), [("zero", 0.0), ("exclude", -math.inf)])
def test_strictly_above_the_threshold_counts_as_abnormal(how, abnormal):
    value, _ = Filtered(ArcFace(), 0.4, how).negatives(COSINES, column(0), {})
    assert value[0].tolist() == [0.39, 0.4, abnormal, -0.9]


@pytest.mark.parametrize("how", ["zero", "exclude"])
def test_abnormal_ones_are_not_moved(how):
    _, derivative = Filtered(ArcFace(), 0.4, how).negatives(COSINES, column(0), {})
    assert derivative[0].tolist() == [1, 1, 0, 1]


def test_the_rest_is_weighed_by_the_inner_margin():
    value, derivative = Filtered(SupportVector(ArcFace(), 2.0), 0.4).negatives(
        COSINES, column(0.39), {}
    )
    assert value[0].tolist() == pytest.approx([0.39, 1.8, 0, -0.9])
    assert derivative[0].tolist() == [1, 2, 0, 1]


def test_the_cosines_given_are_left_alone():
    u = COSINES.clone()
    Filtered(ArcFace()).negatives(u, column(0), {})
    assert torch.equal(u, COSINES)


def test_margin_scale_weakens_the_inner_margin_only():
    assert Filtered(ArcFace(0.5), 0.3, "exclude").scaled(0.5) == Filtered(
        ArcFace(0.25), 0.3, "exclude"
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Filtered(ArcFace(), 1.5), r"Filtered: threshold=1.5; expected -1 to 1"),
        (lambda: Filtered(ArcFace(), how="drop"), r"how='drop'; expected \"zero\" or \"exclude\""),
    ],
)
def test_filters_that_cannot_be_are_refused(make, message):
    with pytest.raises(ArcwiseError, match=message):
        make()
