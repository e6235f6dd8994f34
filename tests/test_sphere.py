from __future__ import annotations

import math

import pytest
import torch

from arcwise.sphere import TINY, angle, snap, unit, wide


@pytest.mark.parametrize(
    ("size", "dtype"),
    [
        (1.0, torch.float32),
        (1e-25, torch.float32),
        (1e37, torch.float32),
        (1e-25, torch.float64),
        (1e200, torch.float64),
    ],
)
def test_rows_of_any_length_have_a_direction(size, dtype):
    x = torch.tensor([[3.0, -4.0], [0.0, 2.0]], dtype=dtype).mul_(size).requires_grad_()
    directions, lengths = unit(x)
    expected = torch.tensor([[0.6, -0.8], [0, 1]], dtype=dtype)
    torch.testing.assert_close(directions, expected)
    torch.testing.assert_close(lengths, torch.tensor([5.0, 2.0], dtype=dtype) * size)
    directions[:, 0].sum().backward()
    # d(x/|x|)₀ = (e₀ - x̂₀ x̂) / |x|
    torch.testing.assert_close(
        x.grad * size, torch.tensor([[0.64 / 5, 0.48 / 5], [0.5, 0]], dtype=dtype)
    )


def test_rows_of_no_length_have_none():
    x = torch.tensor([[0.0, 0.0], [TINY, -TINY / 2], [2 * TINY, 0.0]]).requires_grad_()
    directions, lengths = unit(x)
    directions.sum().backward()
    assert directions.tolist() == [[0, 0], [0, 0], [1, 0]]
    assert lengths[0] == 0
    assert (x.grad[:2] == 0).all()
    assert x.grad.isfinite().all()


def test_a_nan_stays_one():
    assert unit(torch.tensor([[1.0, math.nan]]))[0].isnan().any()
    assert unit(torch.zeros(0, 3))[0].shape == (0, 3)


def test_wide_is_float32_or_better():
    for dtype in (torch.bfloat16, torch.float16, torch.float32):
        assert wide(torch.ones(1, dtype=dtype)).dtype == torch.float32
    assert wide(torch.ones(1, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_snap_ends_rounding_at_the_ends(dtype):
    few = 20 * torch.finfo(dtype).eps
    x = torch.tensor([1 + few, 1 - few, -1 - few, few - 1, 1 - 10 * few, 0.3], dtype=dtype)
    x.requires_grad_()
    snapped = snap(x)
    assert snapped[:4].tolist() == [1, 1, -1, -1]
    assert torch.equal(snapped[4:], x[4:])
    snapped.sum().backward()
    assert x.grad.tolist() == [0, 0, 0, 0, 1, 1]


def test_angle_is_the_arc_and_its_slope_is_bounded_by_what_is_known():
    x = torch.tensor([1, 0.5, 0, -0.5, -1], dtype=torch.float64, requires_grad=True)
    theta = angle(x)
    theta.sum().backward()
    thirds = [0, math.pi / 3, math.pi / 2, 2 * math.pi / 3, math.pi]
    assert theta.tolist() == pytest.approx(thirds, rel=1e-15)
    assert theta[0] == 0
    root = 2 / math.sqrt(3)
    assert x.grad.tolist() == pytest.approx([0, -root, -1, -root, 0])
