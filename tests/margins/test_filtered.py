from __future__ import annotations

import math

import pytest
import torch

from arcwise.errors import ArcwiseError
from arcwise.margins import ArcFace, Filtered, SupportVector
from tests.margins.asking import column

COSINES = column(0.39, 0.4, 0.41, -0.9)[None]


@pytest.mark.parametrize(("how", "abnormal"), [("zero", 0.0), ("exclude", -math.inf)])
def test_strictly_above_the_threshold_counts_as_abnormal(how, abnormal):
    value, _ = Filtered(ArcFace(), 0.4, how).others(COSINES, column(0), {})
    assert value[0].tolist() == [0.39, 0.4, abnormal, -0.9]


@pytest.mark.parametrize("how", ["zero", "exclude"])
def test_abnormal_ones_are_not_moved(how):
    _, slope = Filtered(ArcFace(), 0.4, how).others(COSINES, column(0), {})
    assert slope[0].tolist() == [1, 1, 0, 1]


def test_the_rest_is_weighed_by_the_inner_margin():
    value, slope = Filtered(SupportVector(ArcFace(), 2.0), 0.4).others(COSINES, column(0.39), {})
    assert value[0].tolist() == pytest.approx([0.39, 1.8, 0, -0.9])
    assert slope[0].tolist() == [1, 2, 0, 1]


def test_the_cosines_given_are_left_alone():
    u = COSINES.clone()
    Filtered(ArcFace()).others(u, column(0), {})
    assert torch.equal(u, COSINES)


def test_strength_weakens_the_inner_margin_only():
    assert Filtered(ArcFace(0.5), 0.3, "exclude").at(0.5) == Filtered(ArcFace(0.25), 0.3, "exclude")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Filtered(ArcFace(), 1.5), r"Filtered: threshold=1.5; expected -1 to 1"),
        (lambda: Filtered(ArcFace(), how="drop"), r"how='drop'; expected \"zero\" or \"exclude\""),
    ],
)
def test_impossible_ones_are_refused(make, message):
    with pytest.raises(ArcwiseError, match=message):
        make()
