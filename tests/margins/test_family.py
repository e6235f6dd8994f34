"""What the softmax requires of every margin."""

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
from tests.margins.numbers import column

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
    psi, derivative, norm_derivative = margin.target(cos, norm, state)
    negatives, negatives_derivative = margin.negatives(cos.expand(7, 7), psi, state)
    parts = [psi, derivative, norm_derivative, negatives_derivative, *(margin.penalty(norm) or ())]
    assert all(part.isfinite().all() for part in parts if part is not None)
    assert not negatives.isnan().any()
    assert not negatives.isposinf().any()


@family
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_answers_have_the_dtype_and_the_shape_of_the_cosines(margin, dtype):
    cos, norm = torch.rand(3, dtype=dtype), torch.rand(3, dtype=dtype)
    state = step(margin, cos, norm)
    psi, derivative, norm_derivative = margin.target(cos, norm, state)
    own = [psi, derivative, norm_derivative, *(margin.penalty(norm) or ())]
    assert {(a.dtype, a.shape) for a in own if a is not None} == {(dtype, cos.shape)}
    negatives = margin.negatives(torch.rand(3, 5, dtype=dtype), psi, state)
    assert {(a.dtype, a.shape) for a in negatives if a is not None} == {(dtype, torch.Size([3, 5]))}


@pytest.mark.parametrize("name", [name for name in FAMILY if not name.startswith("Filtered")])
def test_at_margin_scale_0_a_margin_is_normsoftmax_bit_for_bit(margin):
    margin = margin.scaled(0.0)
    cos = torch.linspace(-1, 1, 1001)
    norm = torch.linspace(0, 150, 1001)
    state = step(margin, cos, norm)
    psi, derivative, norm_derivative = margin.target(cos, norm, state)
    assert torch.equal(psi, cos)
    assert torch.equal(derivative, torch.ones_like(cos))
    assert norm_derivative is None or not norm_derivative.any()
    negatives, negatives_derivative = margin.negatives(cos[None], psi[:1], state)
    assert torch.equal(negatives, cos[None])
    assert negatives_derivative is None
    assert not any(part.any() for part in margin.penalty(norm) or ())


@family
def test_at_margin_scale_1_it_is_the_margin_itself(margin):
    assert margin.scaled(1.0) == margin


@pytest.mark.parametrize("name", MONOTONE)
def test_the_logit_never_rises_with_the_angle(margin):
    cos = torch.linspace(-1, 1, 2001, dtype=torch.float64)
    for length in (1.0, 20.0, 60.0):
        norm = torch.full_like(cos, length)
        psi, derivative, _ = margin.target(cos, norm, margin.initial())
        assert (psi.diff() >= -1e-12).all()
        assert (derivative >= 0).all()


@family
def test_the_target_never_gains(margin):
    cos = torch.linspace(-1, 1, 501, dtype=torch.float64)
    norm = torch.full_like(cos, 30.0)
    assert (margin.target(cos, norm, margin.initial())[0] <= cos + 1e-9).all()


@family
def test_derivatives_keep_their_bound(margin):
    derivative = margin.target(column(1, -1), column(30, 30), margin.initial())[1]
    assert (derivative <= 4.0 / MIN_SINE).all()


@family
def test_no_negative_is_above_its_bound(margin):
    cos = torch.linspace(-1, 1, 401, dtype=torch.float64)
    for psi in (-3.0, -1.0, -0.2, 0.3, 0.9):
        state = {**margin.initial(), "t": column(0.4)[0]}
        negatives, _ = margin.negatives(cos[None], column(psi), state)
        assert negatives.max() <= max(1.0, negatives[0, 0], negatives[0, -1])


@family
def test_without_its_statistics_a_margin_takes_the_initial_ones(margin):
    cos, norm = torch.rand(4), 50 * torch.rand(4)
    got, expected = (margin.target(cos, norm, state) for state in ({}, margin.initial()))
    assert torch.equal(got[0], expected[0])
    assert torch.equal(got[1], expected[1])


@family
def test_a_step_without_a_labelled_row_is_possible(margin):
    state = step(margin, column(), column())
    psi, derivative, _ = margin.target(column(), column(), state)
    assert psi.shape == derivative.shape == (0,)
    assert margin.negatives(torch.zeros(0, 5), psi.float(), state)[0].shape == (0, 5)


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
def test_the_numbers_are_the_published_ones_unless_given(margin, numbers):
    assert dataclasses.asdict(margin) == numbers


def test_wrapped_margins_have_the_published_numbers_too():
    assert SupportVector(ArcFace()).t == 1.2
    assert Filtered(ArcFace()) == Filtered(ArcFace(), 0.4, "zero")
