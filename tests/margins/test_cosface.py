from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arcwise.errors import ArcwiseError
from arcwise.margins import CosFace
from tests import oracles
from tests.margins.numbers import ask, column


@given(st.floats(0, math.pi), st.floats(0, 2))
def test_logit_is_the_cosine_less_m(theta, m):
    assert ask(CosFace(m), theta)[0] == pytest.approx(oracles.cosface(m)(theta), abs=1e-12)


@given(st.floats(0, math.pi))
def test_derivative_is_one(theta):
    assert ask(CosFace(0.35), theta)[1] == 1.0


def test_derivative_by_the_length_is_none():
    assert CosFace().target(column(0.3), column(2.0), {})[2] is None


def test_values_printed_for_the_target_curves():
    # Target logit curves of arXiv 1801.07698, figure 4b, at 20, 60, 90 and 100 degrees.
    got = [ask(CosFace(0.35), math.radians(d))[0] for d in (20, 60, 90, 100)]
    assert got == pytest.approx([0.590, 0.150, -0.350, -0.524], abs=5e-4)


def test_margin_scale_scales_the_margin():
    assert CosFace(0.4).scaled(0.25) == CosFace(0.1)


@pytest.mark.parametrize("m", [-1, 2.1, math.nan])
def test_impossible_ones_are_refused(m):
    with pytest.raises(ArcwiseError, match=r"CosFace: m=.*; expected 0 to 2 cosine units"):
        CosFace(m)
