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
from tests.margins.asking import column

NEUTRAL_OTHERS = [
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
    value, slope, norm_slope = NormSoftmax().target(cos, column(1, 2, 3), {})
    assert value is cos
    assert torch.equal(slope, column(1, 1, 1))
    assert norm_slope is None


@pytest.mark.parametrize("margin", NEUTRAL_OTHERS, ids=lambda margin: type(margin).__name__)
def test_other_classes_pay_nothing(margin):
    cosines = torch.rand(3, 4)
    value, slope = margin.others(cosines, torch.zeros(3), {})
    assert value is cosines
    assert slope is None


def test_nothing_is_kept_between_steps():
    assert NormSoftmax().initial() == {}


def test_a_state_passes_through_unchanged_and_as_a_copy():
    state = {"somebody's": column(3)}
    got = NormSoftmax().observe(column(0.1), column(1), state)
    assert got == state
    assert got is not state


def test_no_price_on_the_length():
    assert NormSoftmax().penalty(column(3)) is None


def test_no_margin_is_as_strong_at_every_strength():
    assert NormSoftmax().at(0.3) == NormSoftmax()
