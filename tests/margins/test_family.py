"""What every margin owes the softmax, whichever it is."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from arcwise import margins
from arcwise.margins import (
    MIN_SINE,
    AdaFace,
    ArcFace,
    Combined,
    CosFace,
    CurricularFace,
    ElasticFace,
    Filtered,
    MagFace,
    NormSoftmax,
    SphereFace,
    SupportVector,
)
from tests.margins.asking import column

FAMILY = {
    "NormSoftmax": NormSoftmax(),
    "SphereFace": SphereFace(1.35),
    "SphereFace4": SphereFace(4),
    "SphereFace annealed": SphereFace(4, annealed=True),
    "CosFace": CosFace(),
    "ArcFace": ArcFace(),
    "ArcFace linear": ArcFace(beyond="linear"),
    "ArcFace easy": ArcFace(beyond="easy"),
    "Combined 1": Combined(1.0, 0.3, 0.2),
    "Combined 2": Combined(0.9, 0.4, 0.15),
    "SupportVector": SupportVector(ArcFace()),
    "AdaFace": AdaFace(h=1.0),
    "AdaFace clip": AdaFace(h=1.0, beyond="clip"),
    "MagFace": MagFace(),
    "CurricularFace": CurricularFace(),
    "ElasticFace arc": ElasticFace(),
    "ElasticFace cos": ElasticFace(0.35, form="cos", plus=True),
    "Filtered": Filtered(ArcFace()),
    "Filtered out": Filtered(SupportVector(CosFace()), how="exclude"),
}
MONOTONE = [name for name in FAMILY if name not in ("ArcFace linear", "ArcFace easy")]

family = pytest.mark.parametrize("name", FAMILY)


@pytest.fixture
def margin(name):
    return FAMILY[name]


def step(margin, cos, norm):
    torch.manual_seed(0)
    return margin.observe(cos, norm, margin.initial())


@family
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("length", [0.0, 1e-30, 1.0, 30.0, 1e30])
def test_trap_10_everything_is_finite_at_the_poles_and_just_past_them(margin, dtype, length):
    cos = column(1, -1, 1 + 1e-6, -1 - 1e-6, 1 - 1e-7, 1e-7 - 1, 0, dtype=dtype)
    norm = torch.full_like(cos, length)
    state = step(margin, cos, norm)
    value, slope, norm_slope = margin.target(cos, norm, state)
    others, others_slope = margin.others(cos.expand(7, 7), value, state)
    parts = [value, slope, norm_slope, others_slope, *(margin.penalty(norm) or ())]
    assert all(part.isfinite().all() for part in parts if part is not None)
    assert not others.isnan().any()
    assert not others.isposinf().any()


@family
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_answers_have_the_dtype_and_the_shape_of_the_cosines(margin, dtype):
    cos, norm = torch.rand(3, dtype=dtype), torch.rand(3, dtype=dtype)
    state = step(margin, cos, norm)
    value, slope, norm_slope = margin.target(cos, norm, state)
    own = [value, slope, norm_slope, *(margin.penalty(norm) or ())]
    assert {(a.dtype, a.shape) for a in own if a is not None} == {(dtype, cos.shape)}
    others = margin.others(torch.rand(3, 5, dtype=dtype), value, state)
    assert {(a.dtype, a.shape) for a in others if a is not None} == {(dtype, torch.Size([3, 5]))}


@pytest.mark.parametrize("name", [name for name in FAMILY if not name.startswith("Filtered")])
def test_at_no_strength_a_margin_is_normsoftmax_bit_for_bit(margin):
    margin = margin.at(0.0)
    cos = torch.linspace(-1, 1, 1001)
    norm = torch.linspace(0, 150, 1001)
    state = step(margin, cos, norm)
    value, slope, norm_slope = margin.target(cos, norm, state)
    assert torch.equal(value, cos)
    assert torch.equal(slope, torch.ones_like(cos))
    assert norm_slope is None or not norm_slope.any()
    others, others_slope = margin.others(cos[None], value[:1], state)
    assert torch.equal(others, cos[None])
    assert others_slope is None
    assert not any(part.any() for part in margin.penalty(norm) or ())


@family
def test_full_strength_is_the_margin_itself(margin):
    assert margin.at(1.0) == margin


@pytest.mark.parametrize("name", MONOTONE)
def test_the_value_never_rises_with_the_angle(margin):
    cos = torch.linspace(-1, 1, 2001, dtype=torch.float64)
    for length in (1.0, 20.0, 60.0):
        norm = torch.full_like(cos, length)
        value, slope, _ = margin.target(cos, norm, margin.initial())
        assert (value.diff() >= -1e-12).all()
        assert (slope >= 0).all()


@family
def test_the_target_never_gains(margin):
    cos = torch.linspace(-1, 1, 501, dtype=torch.float64)
    norm = torch.full_like(cos, 30.0)
    assert (margin.target(cos, norm, margin.initial())[0] <= cos + 1e-9).all()


@family
def test_slopes_keep_their_bound(margin):
    slope = margin.target(column(1, -1), column(30, 30), margin.initial())[1]
    assert (slope <= 4.0 / MIN_SINE).all()


@family
def test_no_other_class_is_above_its_bound(margin):
    cos = torch.linspace(-1, 1, 401, dtype=torch.float64)
    for value in (-3.0, -1.0, -0.2, 0.3, 0.9):
        state = {**margin.initial(), "t": column(0.4)[0]}
        others, _ = margin.others(cos[None], column(value), state)
        assert others.max() <= max(1.0, others[0, 0], others[0, -1])


@family
def test_without_its_statistics_a_margin_takes_the_initial_ones(margin):
    cos, norm = torch.rand(4), 50 * torch.rand(4)
    got, expected = (margin.target(cos, norm, state) for state in ({}, margin.initial()))
    assert torch.equal(got[0], expected[0])
    assert torch.equal(got[1], expected[1])


@family
def test_a_step_without_a_labelled_row_is_possible(margin):
    state = step(margin, column(), column())
    value, slope, _ = margin.target(column(), column(), state)
    assert value.shape == slope.shape == (0,)
    assert margin.others(torch.zeros(0, 5), value.float(), state)[0].shape == (0, 5)


@family
def test_margins_are_frozen(margin):
    with pytest.raises(dataclasses.FrozenInstanceError):
        margin.m = 0.1


@family
def test_margins_can_be_counted_and_compared(margin):
    assert len({margin, dataclasses.replace(margin)}) == 1


def test_the_whole_family_is_public():
    named = {type(margin).__name__ for margin in FAMILY.values()}
    assert named <= set(margins.__all__)
    assert all(hasattr(margins, name) for name in margins.__all__)


def test_the_poles_hold_for_angles_that_round_to_them():
    # In float32 every angle below 2.4e-4 rad has cosine 1.
    cos = torch.tensor([math.cos(1e-5)])
    assert cos.item() == 1.0
    assert ArcFace(0.5).target(cos, cos, {})[1].item() == pytest.approx(
        math.cos(0.5) + math.sin(0.5) / MIN_SINE
    )


@pytest.mark.parametrize(
    ("margin", "numbers"),
    [
        (CosFace(), {"m": 0.35}),
        (ArcFace(), {"m": 0.5, "gradient": "exact", "beyond": "monotone"}),
        (Combined(1, 0, 0), {"m1": 1, "m2": 0, "m3": 0, "gradient": "exact"}),
        (
            AdaFace(),
            {"m": 0.4, "h": 0.333, "alpha": 0.01, "gradient": "exact", "beyond": "monotone"},
        ),
        (
            ElasticFace(),
            {"m": 0.5, "sigma": 0.0125, "form": "arc", "plus": False}
            | {"gradient": "exact", "beyond": "monotone"},
        ),
        (
            CurricularFace(),
            {"m": 0.5, "alpha": 0.01, "gradient": "exact", "beyond": "monotone", "curriculum": 1},
        ),
        (
            MagFace(),
            {"l_a": 10, "u_a": 110, "l_m": 0.45, "u_m": 0.8, "weight": 35}
            | {"gradient": "exact", "beyond": "monotone"},
        ),
        (
            SphereFace(),
            {"m": 1.35, "gradient": "exact", "annealed": False}
            | {"base": 1000, "gamma": 0.12, "power": 1, "lambda_min": 5},
        ),
    ],
    ids=lambda part: type(part).__name__,
)
def test_the_numbers_are_the_published_ones_unless_told_otherwise(margin, numbers):
    assert dataclasses.asdict(margin) == numbers


def test_wrapped_margins_have_the_published_numbers_too():
    assert SupportVector(ArcFace()).t == 1.2
    assert Filtered(ArcFace()) == Filtered(ArcFace(), 0.4, "zero")
