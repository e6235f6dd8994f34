from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from arcwise import margin_softmax
from arcwise.errors import ArcwiseError
from arcwise.margins import ArcFace, CosFace, NormSoftmax
from tests import oracles

MARGINS = {
    "norm": (NormSoftmax(), oracles.normsoftmax),
    "cosface": (CosFace(0.35), oracles.cosface(0.35)),
    "arcface": (ArcFace(0.5), oracles.arcface(0.5)),
}


def draw(n, c, d, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=generator, dtype=dtype)
    w = torch.randn(c, d, generator=generator, dtype=dtype)
    y = torch.randint(0, c, (n,), generator=generator)
    return x, w, y


@pytest.mark.parametrize("name", MARGINS)
@given(
    n=st.integers(1, 5),
    c=st.sampled_from([2, 7, 13]),
    d=st.integers(2, 6),
    scale=st.sampled_from([1.0, 16.0, 64.0, 100.0]),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=40, deadline=None)
def test_value_equals_the_oracle(name, n, c, d, scale, seed):
    margin, psi = MARGINS[name]
    x, w, y = draw(n, c, d, seed)
    y[::3] = -1 if n > 2 else y[::3]
    got = margin_softmax(x, w, y, margin=margin, scale=scale).item()
    expected = oracles.margin_softmax(x.numpy(), w.numpy(), y.tolist(), psi, scale)
    assert got == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("margin", [NormSoftmax(), CosFace(0.35), ArcFace(0.5), ArcFace(1.2)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_gradients_are_those_of_the_value(margin, seed):
    x, w, y = draw(4, 6, 5, seed)
    x.requires_grad_()
    w.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, w: margin_softmax(x, w, y, margin=margin, scale=8.0), (x, w), atol=1e-6
    )


def closed_form(x, w, y, scale, value, slope):
    """Section 0 of the derivation: G, projected through both normalisations. (N,D), (C,D)."""
    xh, wh = functional.normalize(x), functional.normalize(w)
    u = xh @ wh.T
    rows = torch.arange(len(x))
    t = u[rows, y]
    z = scale * u.scatter(1, y[:, None], value(t)[:, None])
    g = scale / len(x) * torch.softmax(z, 1)
    g[rows, y] = scale / len(x) * (torch.softmax(z, 1)[rows, y] - 1) * slope(t)
    gx, gw = g @ wh, g.T @ xh
    dx = (gx - (gx * xh).sum(1, keepdim=True) * xh) / x.norm(dim=1, keepdim=True)
    dw = (gw - (gw * wh).sum(1, keepdim=True) * wh) / w.norm(dim=1, keepdim=True)
    return dx, dw


@pytest.mark.parametrize("gradient", ["exact", "detached"])
def test_trap_1_both_gradients_of_arcface_equal_their_closed_forms(gradient):
    m = 0.5
    x, w, y = draw(6, 9, 7, 3)
    x.requires_grad_()
    w.requires_grad_()
    margin_softmax(x, w, y, margin=ArcFace(m, gradient), scale=16.0).backward()

    def value(t):
        return torch.cos(torch.acos(t) + m)

    def slope(t):
        theta = torch.acos(t)
        return torch.sin(theta + m) / torch.sin(theta) if gradient == "exact" else torch.ones(())

    dx, dw = closed_form(x.detach(), w.detach(), y, 16.0, value, slope)
    torch.testing.assert_close(x.grad, dx, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(w.grad, dw, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("margin", [NormSoftmax(), CosFace(), ArcFace(), ArcFace(0.5, "detached")])
def test_trap_10_imprinted_centres_opposites_zeros_and_duplicates_stay_finite(margin, dtype):
    x, w, y = draw(6, 8, 5, 0, dtype)
    w[0] = x[0]  # cos = 1, as the target
    w[1] = -x[1]  # cos = -1, as the target
    w[2] = x[3]  # cos = 1, as another class
    w[5] = w[6]  # two centres in one place
    w[7] = 0
    x[4] = 0
    y[:6] = torch.tensor([0, 1, 3, 4, 5, 7])
    x.requires_grad_()
    w.requires_grad_()
    loss = margin_softmax(x, w, y, margin=margin, scale=64.0)
    loss.backward()
    assert loss.isfinite()
    assert x.grad.isfinite().all()
    assert w.grad.isfinite().all()
    assert (x.grad[4] == 0).all()
    assert (w.grad[7] == 0).all()


@pytest.mark.parametrize("size", [1e-25, 1e-10, 1e10, 1e25, 1e37])
def test_lengths_far_from_one_change_nothing_but_the_gradients_length(size):
    x, w, y = draw(3, 4, 5, 0, torch.float32)
    reference = margin_softmax(x, w, y, margin=ArcFace())
    far = (x * size).requires_grad_()
    loss = margin_softmax(far, w, y, margin=ArcFace())
    loss.backward()
    assert loss.item() == pytest.approx(reference.item(), rel=1e-5)
    assert far.grad.isfinite().all()


@pytest.mark.parametrize("name", MARGINS)
def test_invariances(name):
    margin = MARGINS[name][0]
    x, w, y = draw(5, 7, 6, 1)
    x.requires_grad_()
    w.requires_grad_()
    loss = margin_softmax(x, w, y, margin=margin, scale=16.0)
    loss.backward()
    assert torch.allclose((x.grad * x).sum(1), torch.zeros(5, dtype=x.dtype), atol=1e-12)
    assert torch.allclose((w.grad * w).sum(1), torch.zeros(7, dtype=x.dtype), atol=1e-12)
    rotation = torch.linalg.qr(torch.randn(6, 6, dtype=x.dtype)).Q
    order = torch.randperm(7)
    for others in (
        (3.0 * x, w, y),
        (x, 0.01 * w, y),
        (x @ rotation, w @ rotation, y),
        (x, w[order], torch.argsort(order)[y]),
    ):
        assert margin_softmax(*others, margin=margin, scale=16.0).item() == pytest.approx(
            loss.item(), rel=1e-12
        )


def test_gradient_shrinks_as_the_embedding_grows():
    x, w, y = draw(2, 3, 4, 0)
    gradients = []
    for size in (1.0, 5.0):
        scaled = (size * x).requires_grad_()
        margin_softmax(scaled, w, y, margin=ArcFace()).backward()
        gradients.append(scaled.grad)
    torch.testing.assert_close(gradients[0], 5 * gradients[1])


def test_no_margin_is_cross_entropy_of_scaled_cosines():
    x, w, y = draw(5, 7, 6, 2)
    cosines = functional.normalize(x) @ functional.normalize(w).T
    expected = functional.cross_entropy(20.0 * cosines, y)
    got = margin_softmax(x, w, y, margin=NormSoftmax(), scale=20.0)
    assert got.item() == pytest.approx(expected.item(), rel=1e-12)


def test_zero_margins_agree_bit_for_bit():
    x, w, y = draw(5, 7, 6, 2, torch.float32)
    losses = {
        margin_softmax(x, w, y, margin=margin).item()
        for margin in (NormSoftmax(), ArcFace(0.0), CosFace(0.0))
    }
    assert len(losses) == 1


def test_normface_bound_is_reached_on_a_regular_simplex():
    # NormFace proposition 2: L ≥ log(1 + (C-1) exp(-s C/(C-1))), equality at the simplex.
    c, s = 5, 4.0
    corners = torch.eye(c, dtype=torch.float64) - 1 / c
    bound = math.log(1 + (c - 1) * math.exp(-s * c / (c - 1)))
    got = margin_softmax(corners, corners, torch.arange(c), margin=NormSoftmax(), scale=s)
    assert got.item() == pytest.approx(bound, rel=1e-12)


def test_rows_without_a_class_add_nothing():
    x, w, y = draw(4, 5, 3, 0)
    x.requires_grad_()
    some = torch.tensor([y[0], -1, y[2], -1])
    loss = margin_softmax(x, w, some, margin=ArcFace())
    loss.backward()
    kept = margin_softmax(x[[0, 2]], w, y[[0, 2]], margin=ArcFace())
    assert loss.item() == pytest.approx(kept.item(), rel=1e-12)
    assert (x.grad[[1, 3]] == 0).all()


def test_no_labelled_row_at_all_is_zero_with_zero_gradients():
    x, w, _ = draw(2, 3, 4, 0)
    x.requires_grad_()
    w.requires_grad_()
    loss = margin_softmax(x, w, torch.tensor([-1, -1]), margin=ArcFace())
    loss.backward()
    assert loss.item() == 0
    assert (x.grad == 0).all()
    assert (w.grad == 0).all()


def test_autocast_does_not_reach_the_loss():
    x, w, y = draw(8, 50, 64, 0, torch.float32)
    plain = margin_softmax(x, w, y, margin=ArcFace())
    with torch.autocast("cpu", torch.bfloat16):
        cast = margin_softmax(x, w, y, margin=ArcFace())
    assert cast.dtype == torch.float32
    assert cast.item() == plain.item()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_inputs_are_computed_in_float32(dtype):
    x, w, y = draw(8, 50, 64, 0, dtype)
    half = margin_softmax(x, w, y, margin=ArcFace())
    full = margin_softmax(x.float(), w.float(), y, margin=ArcFace())
    assert half.item() == full.item()


@pytest.mark.parametrize(
    ("x", "w", "y", "options", "message"),
    [
        ((2, 3), (4, 5), (2,), {}, r"\(2, 3\) and centres \(4, 5\)"),
        ((2, 3), (4, 3), (3,), {}, r"labels \(3,\)"),
        ((2, 3), (4, 3), (2,), {"impl": "fast"}, r'impl=\'fast\'; expected one of "auto", "dense"'),
    ],
)
def test_what_does_not_fit_is_refused(x, w, y, options, message):
    labels = torch.zeros(y, dtype=torch.int64)
    with pytest.raises(ArcwiseError, match=message):
        margin_softmax(torch.zeros(x), torch.zeros(w), labels, margin=ArcFace(), **options)


def test_float_labels_are_refused():
    with pytest.raises(ArcwiseError, match=r"torch\.int64"):
        margin_softmax(torch.zeros(2, 3), torch.zeros(4, 3), torch.zeros(2), margin=ArcFace())


def test_a_margin_may_weigh_the_other_classes():
    """The room left for re-weighted negatives: value and slope of others() are used."""

    class Doubled(NormSoftmax):
        def others(self, cos, value, state):
            return 2 * cos, torch.full_like(cos, 2.0)

    x, w, y = draw(3, 4, 5, 0)
    x.requires_grad_()
    cosines = functional.normalize(x) @ functional.normalize(w).T
    factor = 2 - functional.one_hot(y, 4)
    expected = functional.cross_entropy(16.0 * factor * cosines, y)
    got = margin_softmax(x, w, y, margin=Doubled(), scale=16.0)
    assert got.item() == pytest.approx(expected.item(), rel=1e-12)
    torch.testing.assert_close(*(torch.autograd.grad(loss, x)[0] for loss in (got, expected)))


def test_oracle_knows_a_value_worked_by_hand():
    # Two classes at right angles, embedding on the first: logits s·cos(m) and 0.
    eye = np.eye(2)
    got = oracles.margin_softmax(eye[:1], eye, [0], oracles.arcface(0.5), 2.0)
    assert got == pytest.approx(math.log(1 + math.exp(-2 * math.cos(0.5))))
