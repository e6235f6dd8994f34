"""Rows that no formula likes, types, sizes and memory."""

from __future__ import annotations

import math

import pytest
import torch

from arcwise import pairs
from arcwise.errors import ArcwiseError
from tests.pairs.batches import (
    LOSSES,
    Largest,
    circle,
    contrastive,
    draw,
    supervised_contrastive,
    triplet,
)

each_loss = pytest.mark.parametrize("name", LOSSES)


def run(name, x, y, **how):
    x = x.clone().requires_grad_()
    loss = LOSSES[name](x, y, **how)
    loss.backward()
    return loss.detach(), x.grad


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@each_loss
def test_equal_opposite_and_zero_rows_stay_finite(name, dtype):
    x, y = draw(24, 5, 3, 0, dtype)
    y[:12] = torch.tensor([0, 0, 1, 1, 2, 0, 1, 2, 0, 1, -1, 7])
    x[1] = x[0]  # a positive at cos 1
    x[2] = x[0]  # a negative at cos 1
    x[5] = -x[0]  # a positive at cos -1
    x[3] = -x[0]  # a negative at cos -1
    x[8] = 3 * x[0]
    x[4] = x[9] = 0
    loss, gradient = run(name, x, y)
    assert loss.isfinite()
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0
    assert (gradient[[4, 9]] == 0).all()
    assert (gradient[y < 0] == 0).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("d", [3, 512, 3000])
@pytest.mark.parametrize(
    ("distance", "mining"),
    [("angular", "all"), ("angular", "hard"), ("euclidean", "all"), ("euclidean", "hard")],
)
def test_a_collapse_costs_exactly_the_margin(distance, mining, d, dtype):
    x = torch.randn(d, generator=torch.Generator().manual_seed(0)).to(dtype)
    batch = x.repeat(12, 1)
    y = torch.arange(12) // 3
    loss = triplet(batch, y, margin=0.35, distance=distance, mining=mining)
    assert loss.float() == torch.tensor(0.35)  # in float64 up to the rounding of a mean
    semi_hard = triplet(batch, y, margin=0.35, distance=distance)
    assert semi_hard.item() == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("theta", [1.0, 1e-2, 1e-4, 1e-6, math.pi - 1e-6, math.pi - 1e-2])
def test_angles_pull_with_one_force_however_close(theta, dtype):
    x = torch.tensor([[1, 0, 0], [math.cos(theta), math.sin(theta), 0], [0, 0, 2]], dtype=dtype)
    x.requires_grad_()
    chosen = torch.tensor([[0, 1, 2]])
    triplet(x, torch.zeros(3).long(), margin=4.0, triplets=chosen).backward()
    assert x.grad.norm(dim=1).tolist() == pytest.approx([math.sqrt(2), 1, 0.5], rel=1e-3)


@pytest.mark.parametrize("sign", [1, -1])
def test_where_angles_have_no_direction_nothing_pulls(sign):
    x = torch.tensor([[1.0, 2, 3], [sign * 2.0, sign * 4, sign * 6], [3, 2, 1]]).requires_grad_()
    chosen = torch.tensor([[0, 1, 2]])
    triplet(x, torch.zeros(3).long(), margin=4.0, triplets=chosen).backward()
    assert (x.grad[1] == 0).all()
    assert (x.grad[[0, 2]] != 0).any(1).all()


@pytest.mark.parametrize("size", [1e-25, 1e-10, 1e10, 1e25, 1e37])
@each_loss
def test_lengths_far_from_one_change_nothing_but_the_gradients_length(name, size):
    x, y = draw(10, 4, 3, 1, torch.float32)
    reference, _ = run(name, x, y)
    loss, gradient = run(name, x * size, y)
    assert loss.item() == pytest.approx(reference.item(), rel=1e-5)
    assert gradient.isfinite().all()


@each_loss
def test_invariances(name):
    x, y = draw(12, 5, 3, 2)
    loss, gradient = run(name, x, y)
    torch.testing.assert_close((gradient * x).sum(1), torch.zeros(12).double(), atol=1e-11, rtol=0)
    rotation = torch.linalg.qr(torch.randn(5, 5, dtype=x.dtype)).Q
    renamed = torch.where(y >= 0, 100 - 7 * y, -1)
    for others in ((3.0 * x, y), (x @ rotation, y), (x, renamed)):
        assert run(name, *others)[0].item() == pytest.approx(loss.item(), rel=1e-10)
    if "semi-hard" not in name:  # there the earlier row of a pair is the anchor
        order = torch.randperm(12)
        other, moved = run(name, x[order], y[order])
        assert other.item() == pytest.approx(loss.item(), rel=1e-10)
        torch.testing.assert_close(moved, gradient[order])


@each_loss
def test_rows_without_a_class_are_as_good_as_absent(name):
    x, y = draw(14, 4, 3, 3)
    kept = y >= 0
    assert not kept.all()
    loss, gradient = run(name, x, y)
    alone, rest = run(name, x[kept], y[kept])
    assert loss.item() == pytest.approx(alone.item(), rel=1e-12)
    torch.testing.assert_close(gradient[kept], rest)
    assert (gradient[~kept] == 0).all()


def without_comparison(name):
    yield from ([], [0], [-1], [-1, -1, -1], [0, -1, -1])
    if not name.startswith("contrastive"):
        yield from ([0, 1, 2], [0, -1, 2])
    if name not in ("contrastive", "contrastive angular", "supervised"):
        yield from ([0, 0, 0], [0, 0, -1])


@pytest.mark.parametrize(
    ("name", "labels"), [(name, labels) for name in LOSSES for labels in without_comparison(name)]
)
def test_batches_with_nothing_to_compare_cost_nothing(name, labels):
    x, _ = draw(len(labels), 4, 1, 0)
    loss, gradient = run(name, x, torch.tensor(labels, dtype=torch.int64))
    assert loss.item() == 0
    assert (gradient == 0).all()


def test_contrastive_needs_only_one_kind_of_pair():
    x = torch.tensor([[1.0, 0], [0, 1]])
    same = contrastive(x, torch.tensor([0, 0]))
    other = contrastive(x, torch.tensor([0, 1]), margin=1.5)
    assert same.item() == pytest.approx(0.5 * 2)
    assert other.item() == pytest.approx(0.5 * (1.5 - math.sqrt(2)) ** 2)


@each_loss
def test_autocast_does_not_reach_the_loss(name):
    x, y = draw(20, 32, 4, 0, torch.float32)
    plain, gradient = run(name, x, y)
    with torch.autocast("cpu", torch.bfloat16):
        cast, same = run(name, x, y)
    assert cast.dtype == torch.float32
    assert cast.item() == plain.item()
    assert torch.equal(gradient, same)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@each_loss
def test_half_precision_is_computed_wide(name, dtype):
    x, y = draw(20, 8, 4, 0, dtype)
    half, gradient = run(name, x, y)
    full, wide = run(name, x.float(), y)
    assert half.dtype == torch.float32
    assert half.item() == full.item()
    assert torch.equal(gradient, wide.to(dtype))


@each_loss
def test_the_chunk_changes_nothing(name):
    x, y = draw(40, 6, 5, 4)
    loss, gradient = run(name, x, y, chunk=1000)
    for chunk in (1, 7, 40):
        other, same = run(name, x, y, chunk=chunk)
        assert other.item() == pytest.approx(loss.item(), rel=1e-12)
        torch.testing.assert_close(same, gradient, rtol=1e-10, atol=1e-13)


@each_loss
def test_nothing_larger_than_a_chunk_of_rows_is_ever_made(name):
    n, chunk = 256, 16
    x, _ = draw(n, 8, 1, 0, torch.float32)
    y = torch.arange(n) // 8
    with Largest() as largest:
        run(name, x, y, chunk=chunk)
    assert n * chunk <= largest.elements <= (n + 1) * chunk  # N×N is 16 times a chunk


@each_loss
def test_losses_scale_with_what_follows(name):
    x, y = draw(10, 4, 3, 1)
    _, gradient = run(name, x, y)
    x.requires_grad_()
    (3 * LOSSES[name](x, y)).backward()
    torch.testing.assert_close(x.grad, 3 * gradient)


@each_loss
def test_without_gradients_the_value_is_the_same(name):
    x, y = draw(10, 4, 3, 1)
    loss, _ = run(name, x, y)
    with torch.no_grad():
        assert LOSSES[name](x.requires_grad_(), y).item() == loss.item()
    assert not LOSSES[name](x.detach(), y).requires_grad


@each_loss
def test_a_nan_is_not_hidden(name):
    x, y = draw(10, 4, 3, 1)
    x[2, 1] = math.nan
    assert LOSSES[name](x, y).isnan()


@pytest.mark.parametrize("name", ["triplet all", "circle"])
def test_a_second_derivative_is_refused(name):
    x, y = draw(10, 4, 3, 1)
    x.requires_grad_()
    with pytest.raises(ArcwiseError, match="first derivatives only"):
        torch.autograd.grad(LOSSES[name](x, y), x, create_graph=True)


X, Y = draw(4, 3, 2, 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: circle(X[0], Y), r"Circle: got embeddings \(3,\) of torch.float64"),
        (lambda: circle(X[:, :0], Y), r"embeddings \(4, 0\)"),
        (lambda: circle(X.long(), Y), r"torch.int64; expected \(N, D\) of a float type"),
        (lambda: contrastive(X, Y[:3]), r"labels \(3,\) of torch.int64; expected \(4,\)"),
        (lambda: contrastive(X, Y.float()), r"labels \(4,\) of torch.float32"),
        (lambda: circle(X, Y - 1 - Y.max()), r"got label -[23]; expected classes from 0"),
        (lambda: circle(X, Y, chunk=0), r"Circle: got chunk=0; expected at least 1"),
        (lambda: circle(X, Y, scale=0.0), r"Circle: got scale=0.0"),
        (lambda: circle(X, Y, scale=math.inf), r"Circle: got scale=inf"),
        (lambda: circle(X, Y, margin=-0.1), r"Circle: got margin=-0.1"),
        (lambda: supervised_contrastive(X, Y, temperature=0), r"got temperature=0"),
        (lambda: supervised_contrastive(X, Y, temperature=math.inf), r"temperature=inf"),
        (lambda: supervised_contrastive(X[0], Y), r"SupervisedContrastive: got embeddings"),
        (lambda: contrastive(X, Y, margin=math.nan), r"Contrastive: got margin=nan"),
        (
            lambda: contrastive(X, Y, distance="l2"),
            r'Contrastive: got distance=\'l2\'; .*"eu',
        ),
        (lambda: triplet(X, Y, margin=math.inf), r"Triplet: got margin=inf"),
        (lambda: triplet(X, Y, margin=1, distance="cos"), r"Triplet: got distance='cos'"),
        (lambda: triplet(X, Y, margin=1, mining="easy"), r'mining=\'easy\'; .*"all"'),
        (lambda: triplet(X, Y, margin=1, mean="sum"), r'mean=\'sum\'; .*"active", "all"'),
        (lambda: triplet(X, Y[:1], margin=1), r"Triplet: got labels"),
        (lambda: pairs.mine(X, Y, margin=1, mining="all"), r'mine: got mining=\'all\'; .*"hard"'),
        (lambda: pairs.mine(X, Y, margin=-1), r"mine: got margin=-1"),
        (lambda: pairs.mine(X, Y, margin=1, distance="cos"), r"mine: got distance='cos'"),
        (lambda: pairs.mine(X[0], Y, margin=1), r"mine: got embeddings"),
        (lambda: triplet(X, Y, margin=1, triplets=Y), r"triplets \(4,\) of torch.int64"),
        (lambda: triplet(X, Y, margin=1, triplets=X), r"triplets \(4, 3\) of torch.float64"),
        (lambda: triplet(X, Y, margin=1, triplets=Y[:, None]), r"triplets \(4, 1\)"),
        (
            lambda: triplet(X, Y, margin=1, triplets=torch.tensor([[0, 1, 4]])),
            r"rows 0 to 4; expected 0 to 3",
        ),
        (
            lambda: triplet(X, Y, margin=1, triplets=torch.tensor([[0, 1, -1]])),
            r"rows -1 to 1; expected 0 to 3",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ArcwiseError, match=message):
        call()
