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
from tests.margins.asking import column

cosines = st.floats(-1, 1)


def others(margin, u, value):
    """Value and slope of one other class."""
    got, slope = margin.others(column(u)[None], column(value), {})
    return got.item(), slope.item()


@given(cosines, st.floats(-3, 1), st.floats(1, 2))
def test_hard_ones_count_more_by_equation_19(u, value, t):
    margin = SupportVector(ArcFace(), t)
    got, _ = margin.others(column(u)[None], column(value), {})
    assert got.item() == pytest.approx(oracles.supportvector(t)(u, value), abs=1e-12)


@pytest.mark.parametrize(("u", "slope"), [(0.5, 1.2), (0.1, 1.0)])
def test_slope_is_t_for_hard_ones(u, slope):
    assert others(SupportVector(ArcFace(), 1.2), u, 0.3)[1] == pytest.approx(slope)


def test_a_tie_is_easy():
    assert others(SupportVector(ArcFace(), 1.2), 0.25, 0.25) == (0.25, 1.0)


def test_trap_4_t_of_mv_softmax_is_one_less():
    # MV-softmax's adaptive form is (1 + t')u + t', with t' = 0.2 where SV-softmax has 1.2.
    u = 0.5
    assert others(SupportVector(CosFace(), 1.2), u, 0.1)[0] == pytest.approx(1.2 * u + 0.2)


def test_the_boundary_is_the_target_after_its_margin():
    # SV-X: cos 0.45 is above 0.5 - 0.35; SV-softmax, without a margin, compares with 0.5.
    cos = column(0.5)
    for inner, hard in ((CosFace(0.35), True), (NormSoftmax(), False)):
        margin = SupportVector(inner)
        value, _, _ = margin.target(cos, cos, {})
        assert (others(margin, 0.45, value.item())[1] > 1) is hard


def test_each_sample_is_compared_with_its_own_target():
    u = column(0.2, 0.4).expand(2, 2)
    _, slope = SupportVector(ArcFace(), 2.0).others(u, column(0.3, 0.1), {})
    assert slope.tolist() == [[1.0, 2.0], [2.0, 2.0]]


def test_t_of_one_is_the_margin_itself():
    u = torch.rand(3, 4)
    value, slope = SupportVector(ArcFace(), 1).others(u, torch.zeros(3), {})
    assert value is u
    assert slope is None


@given(cosines, st.floats(-3, 1))
def test_no_class_counts_for_less(u, value):
    got, _ = SupportVector(ArcFace(), 1.3).others(column(u)[None], column(value), {})
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
    value, slope = SupportVector(Filtered(ArcFace(), 0.5, "exclude"), 2.0).others(u, column(0), {})
    assert value[0].tolist() == pytest.approx([1.4, -math.inf])
    assert slope[0].tolist() == [2.0, 0.0]


def test_strength_weakens_the_inner_margin_and_the_weight():
    assert SupportVector(CosFace(0.4), 1.5).at(0.5) == SupportVector(CosFace(0.2), 1.25)


def test_weighing_less_is_refused():
    with pytest.raises(ArcwiseError, match=r"SupportVector: t=0.2; expected 1 or more"):
        SupportVector(ArcFace(), 0.2)  # MV-softmax's


@pytest.mark.parametrize("inner", [0.35, ArcFace])
def test_it_stands_around_a_margin(inner):
    with pytest.raises(ArcwiseError, match="expected a margin to stand around"):
        SupportVector(inner)
