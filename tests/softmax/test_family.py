"""Every margin through every implementation, against formulas in float64."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from arcwise import margin_softmax
from arcwise.margins import ArcFace
from tests.softmax.exact import exact
from tests.softmax.family import FAMILY
from tests.softmax.problems import IMPLEMENTATIONS, ask, draw

family = pytest.mark.parametrize("name", FAMILY)
implementations = pytest.mark.parametrize("impl", IMPLEMENTATIONS)
SCALE = 12.0


def batch(case, seed=0, n=8, c=23, d=6):
    """Samples all around the sphere, some near their centres and some opposite."""
    x, w, y = draw(n, c, d, seed)
    x[1] = w[y[1]] + 0.3 * x[1]
    x[2] = 0.3 * x[2] - w[y[2]]
    y[3] = y[1]
    y[5] = -1
    return x, w, y, case.state(y)


@family
@implementations
def test_the_value_is_the_oracles(name, impl):
    case = FAMILY[name]
    x, w, y, state = batch(case)
    got = margin_softmax(
        x, w, y, margin=case.margin, scale=SCALE, state=state, impl=IMPLEMENTATIONS[impl]
    )
    assert got.item() == pytest.approx(case.loss(x, w, y, SCALE), rel=1e-10)


@family
@implementations
def test_both_gradients_are_the_closed_form(name, impl):
    case = FAMILY[name]
    x, w, y, state = batch(case, seed=1)
    got = ask(x, w, y, margin=case.margin, scale=SCALE, state=state, impl=IMPLEMENTATIONS[impl])
    expected = exact(x, w, y, case.margin, SCALE, state)
    torch.testing.assert_close(got.dx, expected.dx, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(got.dw, expected.dw, rtol=1e-9, atol=1e-10)


def smooth(case, x, w, y, state):
    """Whether the loss has a derivative here, and no step of 1e-6 leaves the branch."""
    cosines = functional.normalize(x) @ functional.normalize(w).T
    t = cosines.gather(1, y[:, None])
    value = case.margin.target(t.squeeze(1), x.norm(dim=1), state)[0]
    negatives = cosines.scatter(1, y[:, None], torch.inf)
    masks = [(negatives - value[:, None]).abs(), (negatives - 0.4).abs()]
    kinks = [(t.acos() - kink).abs() for kink in case.kinks]
    return (1 - t**2).sqrt().min() >= 1e-2 and all(gap.min() >= 1e-4 for gap in masks + kinks)


@family
@pytest.mark.parametrize("seed", range(3))
def test_the_closed_form_is_the_derivative_of_the_value(name, seed):
    case = FAMILY[name]
    x, w, y = draw(3, 5, 4, seed)
    x[0] = 0.2 * x[0] - w[y[0]]
    lengths = x.norm(dim=1, keepdim=True)
    state = case.state(y)
    assert smooth(case, x, w, y, state)

    def loss(x, w):
        if name.startswith("ada"):  # to whom the length is a constant
            x = lengths * functional.normalize(x)
        return margin_softmax(x, w, y, margin=case.margin, scale=6.0, state=state, impl="dense")

    inputs = x.requires_grad_(), w.requires_grad_()
    assert torch.autograd.gradcheck(loss, inputs, atol=1e-7, fast_mode=True)


@pytest.mark.parametrize("name", ["arc", "arc wide", "sphere", "combined 2", "ada", "mag"])
@implementations
def test_trap_1_detached_is_the_same_value_with_derivative_one(name, impl):
    case = FAMILY[name]
    detached = replace(case.margin, gradient="detached")
    x, w, y, state = batch(case, seed=2)
    got = ask(x, w, y, margin=detached, scale=SCALE, state=state, impl=IMPLEMENTATIONS[impl])
    expected = exact(x, w, y, detached, SCALE, state)
    plain = exact(x, w, y, case.margin, SCALE, state)
    assert got.loss.item() == pytest.approx(plain.loss.item(), rel=1e-12)
    torch.testing.assert_close(got.dx, expected.dx, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(got.dw, expected.dw, rtol=1e-9, atol=1e-10)
    assert not torch.allclose(got.dw, plain.dw, rtol=1e-3)


def test_trap_1_the_detached_derivative_worked_by_hand():
    # Two classes at right angles, the sample 60° from its own and 30° from the other.
    x = torch.tensor([[0.5, math.sqrt(0.75)]], dtype=torch.float64)
    w = torch.eye(2, dtype=torch.float64)
    negative = math.exp(2 * math.sqrt(0.75))
    one_minus_p = negative / (negative + math.exp(2 * math.cos(math.pi / 3 + 0.5)))
    for gradient, derivative in (
        ("detached", 1.0),
        ("exact", math.sin(math.pi / 3 + 0.5) / math.sin(math.pi / 3)),
    ):
        got = ask(x, w, torch.tensor([0]), margin=ArcFace(0.5, gradient), scale=2.0)
        # Tangent at the first centre: the sample's part along the second axis.
        assert got.dw[0].tolist() == pytest.approx(
            [0, -2 * one_minus_p * derivative * math.sqrt(0.75)]
        )
