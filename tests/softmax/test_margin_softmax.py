"""What the loss is, whoever computes it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from arcwise import margin_softmax
from arcwise.errors import ArcwiseError
from arcwise.margins import ArcFace, CosFace, NormSoftmax
from arcwise.softmax import Streaming
from tests import oracles
from tests.softmax.family import FAMILY
from tests.softmax.problems import IMPLEMENTATIONS, ask, draw

implementations = pytest.mark.parametrize("impl", IMPLEMENTATIONS)
UNMOVED_BY_LENGTH = [name for name in FAMILY if name not in ("ada", "ada clip", "mag")]


@implementations
@pytest.mark.parametrize("name", UNMOVED_BY_LENGTH)
def test_gradients_are_tangent_to_the_sphere(name, impl):
    case = FAMILY[name]
    x, w, y = draw(5, 17, 6, 1)
    got = ask(
        x, w, y, margin=case.margin, scale=16.0, state=case.state(y), impl=IMPLEMENTATIONS[impl]
    )
    assert ((got.dx * x).sum(1).abs() < 1e-12).all()
    assert ((got.dw * w).sum(1).abs() < 1e-12).all()


def longer(x, w, y):
    return 3.0 * x, w, y


def shorter_centres(x, w, y):
    return x, 0.01 * w, y


def rotated(x, w, y):
    rotation = torch.linalg.qr(draw(6, 6, 6, 2)[0]).Q
    return x @ rotation, w @ rotation, y


def renamed(x, w, y):
    order = torch.randperm(len(w), generator=torch.Generator().manual_seed(0))
    return x, w[order], torch.argsort(order)[y]


def reordered(x, w, y):
    return x.flip(0), w, y.flip(0)


@implementations
@pytest.mark.parametrize("change", [longer, shorter_centres, rotated, renamed, reordered])
def test_the_loss_does_not_notice(change, impl):
    x, w, y = draw(5, 17, 6, 1)
    options = {"margin": ArcFace(), "scale": 16.0, "impl": IMPLEMENTATIONS[impl]}
    expected = margin_softmax(x, w, y, **options).item()
    assert margin_softmax(*change(x, w, y), **options).item() == pytest.approx(expected, rel=1e-12)


@implementations
def test_gradients_shrink_as_lengths_grow(impl):
    x, w, y = draw(3, 17, 4, 0)
    options = {"margin": ArcFace(), "impl": IMPLEMENTATIONS[impl]}
    plain, scaled = ask(x, w, y, **options), ask(5 * x, 0.5 * w, y, **options)
    torch.testing.assert_close(plain.dx, 5 * scaled.dx)
    torch.testing.assert_close(plain.dw, 0.5 * scaled.dw)


@implementations
def test_no_margin_is_cross_entropy_of_scaled_cosines(impl):
    x, w, y = draw(5, 17, 6, 2)
    cosines = functional.normalize(x) @ functional.normalize(w).T
    expected = functional.cross_entropy(20.0 * cosines, y)
    got = margin_softmax(x, w, y, margin=NormSoftmax(), scale=20.0, impl=IMPLEMENTATIONS[impl])
    assert got.item() == pytest.approx(expected.item(), rel=1e-12)


@implementations
def test_zero_margins_agree_bit_for_bit(impl):
    x, w, y = draw(5, 17, 6, 2, torch.float32)
    losses = {
        margin_softmax(x, w, y, margin=margin, impl=IMPLEMENTATIONS[impl]).item()
        for margin in (NormSoftmax(), ArcFace(0.0), CosFace(0.0))
    }
    assert len(losses) == 1


@implementations
def test_normface_bound_is_reached_on_a_regular_simplex(impl):
    # NormFace proposition 2: L ≥ log(1 + (C-1) exp(-s C/(C-1))), equality at the simplex.
    c, s = 5, 4.0
    corners = torch.eye(c, dtype=torch.float64) - 1 / c
    bound = math.log(1 + (c - 1) * math.exp(-s * c / (c - 1)))
    got = margin_softmax(
        corners, corners, torch.arange(c), margin=NormSoftmax(), scale=s, impl=IMPLEMENTATIONS[impl]
    )
    assert got.item() == pytest.approx(bound, rel=1e-12)


@implementations
def test_rows_without_a_class_add_nothing(impl):
    x, w, y = draw(4, 17, 3, 0)
    options = {"margin": ArcFace(), "impl": IMPLEMENTATIONS[impl]}
    some = ask(x, w, torch.tensor([y[0], -1, y[2], -1]), **options)
    kept = ask(x[[0, 2]], w, y[[0, 2]], **options)
    assert some.loss.item() == pytest.approx(kept.loss.item(), rel=1e-12)
    torch.testing.assert_close(some.dx[[0, 2]], kept.dx)
    assert not some.dx[[1, 3]].any()
    torch.testing.assert_close(some.dw, kept.dw)


@implementations
@pytest.mark.parametrize("labels", [[], [-1, -1]])
def test_no_labelled_row_at_all_is_zero_with_zero_gradients(labels, impl):
    x, w, _ = draw(len(labels), 17, 4, 0)
    y = torch.tensor(labels, dtype=torch.int64)
    got = ask(x, w, y, margin=ArcFace(), impl=IMPLEMENTATIONS[impl])
    assert got.loss == 0
    assert not got.dx.any()
    assert not got.dw.any()


class Doubled(NormSoftmax):
    def negatives(self, cos, psi, state):
        return 2 * cos, torch.full_like(cos, 2.0)


@implementations
def test_a_margin_may_reweight_the_negatives(impl):
    """Result and derivative of negatives() are used."""
    x, w, y = draw(3, 17, 5, 0)
    x.requires_grad_()
    cosines = functional.normalize(x) @ functional.normalize(w).T
    expected = functional.cross_entropy(16.0 * (2 - functional.one_hot(y, 17)) * cosines, y)
    got = margin_softmax(x, w, y, margin=Doubled(), scale=16.0, impl=IMPLEMENTATIONS[impl])
    assert got.item() == pytest.approx(expected.item(), rel=1e-12)
    torch.testing.assert_close(*(torch.autograd.grad(loss, x)[0] for loss in (got, expected)))


@pytest.mark.parametrize(
    ("x", "w", "y", "options", "message"),
    [
        ((2, 3), (4, 5), (2,), {}, r"\(2, 3\) and centres \(4, 5\)"),
        ((2, 3), (4, 2, 5), (2,), {}, r"centres \(4, 2, 5\)"),
        ((2, 3), (3,), (2,), {}, r"centres \(3,\)"),
        ((3,), (4, 3), (3,), {}, r"embeddings \(3,\)"),
        ((2, 3), (4, 3), (3,), {}, r"labels \(3,\)"),
        ((2, 3), (4, 3), (2,), {"scale": 0.0}, r"scale=0.0; expected a positive number"),
        ((2, 3), (4, 3), (2,), {"scale": math.inf}, r"scale=inf"),
        ((2, 3), (4, 3), (2,), {"impl": "fast"}, r'impl=\'fast\'; expected one of "auto", "dense"'),
    ],
)
def test_what_does_not_fit_is_refused(x, w, y, options, message):
    labels = torch.zeros(y, dtype=torch.int64)
    with pytest.raises(ArcwiseError, match=message):
        margin_softmax(torch.zeros(x), torch.zeros(w), labels, margin=ArcFace(), **options)


@pytest.mark.parametrize("labels", [[0, 4], [-2, 0]])
def test_labels_of_no_class_are_refused(labels):
    with pytest.raises(ArcwiseError, match="expected 0 to 3 for 4 classes, or -1 for none"):
        margin_softmax(torch.zeros(2, 3), torch.zeros(4, 3), torch.tensor(labels), margin=ArcFace())


def test_float_labels_are_refused():
    with pytest.raises(ArcwiseError, match=r"torch\.int64"):
        margin_softmax(torch.zeros(2, 3), torch.zeros(4, 3), torch.zeros(2), margin=ArcFace())


@pytest.mark.parametrize(
    "options", [{"keep": "fp16"}, {"gradients": "fp16"}, {"chunk": 0}], ids=str
)
def test_a_pass_that_cannot_be_is_refused(options):
    (name, value), *_ = options.items()
    with pytest.raises(ArcwiseError, match=f"Streaming: {name}={value!r}; expected"):
        Streaming(**options)


def test_oracle_knows_a_value_worked_by_hand():
    # Two classes at right angles, embedding on the first: logits s·cos(m) and 0.
    eye = np.eye(2)
    got = oracles.margin_softmax(eye[:1], eye, [0], oracles.arcface(0.5), 2.0)
    assert got == pytest.approx(math.log(1 + math.exp(-2 * math.cos(0.5))))
