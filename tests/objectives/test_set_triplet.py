"""Sets are pooled with exact gradients, by the image and by its quality."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from arcwise import sets
from arcwise.errors import ArcwiseError
from arcwise.objectives import Batch, EncoderOutput, SetTriplet, pool_sets
from arcwise.pairs import Triplet
from tests import oracles

SETS = torch.tensor([0, 2, 0, 1, 2, 0, 2])


def numbers(seed=0, n=7, dim=4):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n, dim, generator=generator, dtype=torch.float64) * 3
    mu = torch.rand(n, generator=generator, dtype=torch.float64) + 0.05
    return rows.requires_grad_(), mu.requires_grad_()


def test_pooling_is_the_formula_and_that_of_numpy():
    rows, mu = numbers()
    pooled = pool_sets(rows, mu, SETS, 3)
    for one in range(3):
        members = one == SETS
        expected = oracles.pooled_set(rows[members].tolist(), mu[members].tolist())
        np.testing.assert_allclose(pooled[one].tolist(), expected, atol=1e-12)
    array = sets.quality_weighted(rows.detach().numpy(), mu.detach().numpy(), SETS.numpy())
    direction = (pooled / pooled.norm(dim=1, keepdim=True)).detach().numpy()
    np.testing.assert_allclose(array.vectors, direction, atol=1e-6)


def test_gradients_are_exact():
    rows, mu = numbers()
    assert torch.autograd.gradcheck(lambda r, m: pool_sets(r, m, SETS, 3), (rows, mu))


def test_the_gradient_by_quality_has_the_sum_that_the_paper_omits():
    rows, mu = numbers()
    upstream = torch.randn(3, 4, dtype=torch.float64)
    pooled = pool_sets(rows, mu, SETS, 3)
    (by_mu,) = torch.autograd.grad((pooled * upstream).sum(), mu)
    directions = rows / rows.norm(dim=1, keepdim=True)
    sums = torch.zeros(3, dtype=torch.float64).index_add(0, SETS, mu)[SETS]
    expected = (upstream[SETS] * (directions - pooled[SETS])).sum(1) / sums
    torch.testing.assert_close(by_mu, expected)
    weighted = torch.zeros(3, dtype=torch.float64).index_add(0, SETS, mu * by_mu)
    assert weighted.abs().max() < 1e-12  # no scale in the qualities of a set


def test_a_set_of_one_has_no_gradient_by_its_quality():
    rows, mu = numbers()
    pooled = pool_sets(rows, mu, SETS, 3)
    (by_mu,) = torch.autograd.grad(pooled[1].sum(), mu)
    assert by_mu[3] == 0
    torch.testing.assert_close(pooled[1], (rows / rows.norm(dim=1, keepdim=True))[3])


@pytest.mark.parametrize("scale", [0.0, 1e-38, 1e-20, 1.0, 1e38])
def test_no_quality_makes_anything_infinite(scale):
    rows = torch.randn(7, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
    mu = (scale * torch.linspace(0.1, 1, 7)).requires_grad_()
    pooled = pool_sets(rows, mu, SETS, 3)
    pooled.square().sum().backward()
    assert pooled.isfinite().all()
    assert rows.grad is not None
    assert mu.grad is not None
    assert rows.grad.isfinite().all()
    assert mu.grad.isfinite().all()
    if scale < 1e-12:  # they count alike, and stay so
        torch.testing.assert_close(pooled, pool_sets(rows, None, SETS, 3))
        assert not mu.grad.any()


def test_a_broken_quality_reaches_the_loss():
    rows, mu = numbers()
    broken = mu.detach().clone()
    broken[3] = float("nan")
    assert pool_sets(rows, broken, SETS, 3)[1].isnan().all()


def batch(labels, places=None):
    return Batch(torch.zeros(len(labels), 3, 2, 2), torch.tensor(labels), places=places)


def test_the_loss_is_the_triplet_loss_of_the_sets():
    generator = torch.Generator().manual_seed(2)
    rows, mu = torch.randn(8, 5, generator=generator), torch.rand(8, generator=generator)
    objective = SetTriplet(Triplet(margin=0.5, mining="all"), images=2)
    labels = [0, 0, 0, 0, 1, 1, 1, 1]
    loss, metrics = objective.loss(EncoderOutput(rows, mu), batch(labels))
    pooled = pool_sets(rows, mu, torch.arange(8) // 2, 4)
    expected, _ = Triplet(margin=0.5, mining="all").loss(pooled, torch.tensor([0, 0, 1, 1]))
    assert loss == expected > 0
    assert float(metrics["quality"]) == pytest.approx(float(mu.mean()))
    assert objective.columns == ()


def test_an_unreadable_image_makes_its_set_smaller():
    rows = torch.randn(7, 5, generator=torch.Generator().manual_seed(2))
    objective = SetTriplet(Triplet(mining="all"), images=2)
    places = torch.tensor([0, 2, 3, 4, 5, 6, 7])
    loss, metrics = objective.loss(EncoderOutput(rows), batch([0, 0, 0, 1, 1, 1, 1], places))
    pooled = pool_sets(rows, None, torch.tensor([0, 1, 1, 2, 2, 3, 3]), 4)
    assert loss == Triplet(mining="all").loss(pooled, torch.tensor([0, 0, 1, 1]))[0]
    assert "quality" not in metrics


def test_the_better_image_gains_quality():
    """Of two images of an identity, the one nearer to its other set."""
    rows = torch.tensor([[1.0, 0, 0], [0.1, 0, 1], [1, 0.1, 0], [1, 0, 0.1], [0, 1, 0], [0, 1, 0.1],
                         [0, 1, 0], [0.1, 1, 0]])  # fmt: skip
    mu = torch.full((8,), 0.5, requires_grad=True)
    objective = SetTriplet(Triplet(margin=1.5, mining="all"), images=2)
    loss, _ = objective.loss(EncoderOutput(rows, mu), batch([0] * 4 + [1] * 4))
    loss.backward()
    assert mu.grad is not None
    assert mu.grad[0] < 0 < mu.grad[1]


def test_a_set_of_two_identities_is_refused():
    with pytest.raises(ArcwiseError, match="several identities"):
        SetTriplet(Triplet(), 2).loss(EncoderOutput(torch.randn(4, 3)), batch([0, 1, 1, 1]))
    with pytest.raises(ArcwiseError, match="0 images"):
        SetTriplet(Triplet(), 0)
