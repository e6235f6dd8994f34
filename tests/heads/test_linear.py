from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from arcwise.errors import ArcwiseError
from arcwise.heads import LinearHead


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


def test_autocast_does_not_reach_the_loss():
    head = LinearHead(5, 4)
    x, y = torch.randn(3, 4), torch.tensor([0, 4, 2])
    with torch.autocast("cpu", torch.bfloat16):
        assert head.loss(x.bfloat16(), y).dtype == torch.float32


def test_one_class_is_refused():
    with pytest.raises(ArcwiseError, match="got 1 classes"):
        LinearHead(1, 4)
