from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from arcwise import margin_softmax
from arcwise.errors import ArcwiseError
from arcwise.heads import CentreHead, LinearHead, scale_for
from arcwise.margins import ArcFace, NormSoftmax


def test_centre_head_is_margin_softmax_over_its_centres():
    head = CentreHead(5, 4, margin=ArcFace(0.3), scale=16.0)
    x, y = torch.randn(3, 4), torch.tensor([0, 4, 2])
    expected = margin_softmax(x, head.centres, y, margin=ArcFace(0.3), scale=16.0)
    assert head.loss(x, y).item() == expected.item()


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_strength_is_a_fraction_of_the_margin(strength):
    head = CentreHead(5, 4, margin=ArcFace(0.4), scale=16.0)
    x, y = torch.randn(3, 4), torch.tensor([0, 4, 2])
    expected = margin_softmax(x, head.centres, y, margin=ArcFace(0.4 * strength), scale=16.0)
    assert head.loss(x, y, strength).item() == expected.item()


def test_a_step_towards_the_loss_turns_the_centres():
    head = CentreHead(3, 4, margin=NormSoftmax(), scale=16.0)
    x, y = torch.randn(6, 4), torch.tensor([0, 1, 2, 0, 1, 2])
    before = head.loss(x, y)
    before.backward()
    with torch.no_grad():
        head.centres -= 1e-6 * head.centres.grad
    assert head.loss(x, y) < before


def test_linear_head_is_the_plain_softmax():
    head = LinearHead(5, 4)
    x, y = torch.randn(3, 4), torch.tensor([0, 4, 2])
    expected = functional.cross_entropy(x @ head.weight.T + head.bias, y)
    assert head.loss(x, y).item() == pytest.approx(expected.item())
    assert head.loss(2 * x, y).item() != head.loss(x, y).item()  # unlike a centre head's


def test_linear_head_ignores_rows_without_a_class():
    head = LinearHead(5, 4)
    x = torch.randn(3, 4)
    assert head.loss(x, torch.tensor([1, -1, -1])).item() == pytest.approx(
        head.loss(x[:1], torch.tensor([1])).item()
    )
    assert head.loss(x, torch.tensor([-1, -1, -1])).item() == 0


def test_scale_grows_with_the_classes_as_adacos_does():
    start = math.sqrt(2) * math.log(9_999)  # AdaCos at 10,000 classes
    assert scale_for(10_000) == pytest.approx(2.5 * start)
    scales = [scale_for(c) for c in (2, 5, 50, 500, 5_000, 1_000_000)]
    assert scales == sorted(scales)
    assert scales[0] == 8
    assert 45 < scales[-1] < 64  # what the field uses by hand for a million


@pytest.mark.parametrize(
    "make",
    [
        lambda: CentreHead(1, 4, margin=ArcFace()),
        lambda: LinearHead(1, 4),
        lambda: CentreHead(5, 4, margin=ArcFace(), scale=0),
        lambda: scale_for(1),
    ],
)
def test_what_cannot_be_is_refused(make):
    with pytest.raises(ArcwiseError, match="got"):
        make()
