"""The neutral base and the margin that is it."""

from __future__ import annotations

import pytest
import torch

from arcwise.margins import (
    ArcFace,
    Combined,
    CosFace,
    ElasticFace,
    Margin,
    NormSoftmax,
    SphereFace,
)
from tests.margins.numbers import column

UNWEIGHTED = [
    Margin(),
    NormSoftmax(),
    SphereFace(),
    CosFace(),
    ArcFace(),
    Combined(1, 0.3, 0.2),
    ElasticFace(),
]


def test_target_is_the_cosine_itself():
    cos = column(-1, 0.3, 1)
    value, derivative, norm_derivative = NormSoftmax().target(cos, column(1, 2, 3), {})
    assert value is cos
    assert torch.equal(derivative, column(1, 1, 1))
    assert norm_derivative is None


@pytest.mark.parametrize("margin", UNWEIGHTED, ids=lambda margin: type(margin).__name__)
def test_negatives_keep_their_cosines(margin):
    cosines = torch.rand(3, 4)
    value, derivative = margin.negatives(cosines, torch.zeros(3), {})
    assert value is cosines
    assert derivative is None


def test_nothing_is_kept_between_steps():
    assert NormSoftmax().initial() == {}


def test_a_state_passes_through_unchanged_and_as_a_copy():
    state = {"somebody's": column(3)}
    got = NormSoftmax().observe(column(0.1), column(1), state)
    assert got == state
    assert got is not state


def test_no_price_on_the_length():
    assert NormSoftmax().penalty(column(3)) is None


def test_no_margin_is_the_same_at_every_margin_scale():
    assert NormSoftmax().scaled(0.3) == NormSoftmax()
