"""Every loss equals its enumeration, and its gradient is that of its value."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise import pairs
from tests.pairs import enumeration
from tests.pairs.batches import (
    LOSSES,
    awkward,
    circle,
    contrastive,
    draw,
    supervised_contrastive,
    triplet,
    waves,
)

DISTANCES = {"angular": enumeration.angle, "euclidean": enumeration.squared}
batches = st.builds(
    awkward, st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.integers(0, 10_000)
)
generic = st.builds(
    draw, st.integers(1, 9), st.integers(2, 4), st.integers(1, 4), st.integers(0, 10_000)
)
close = {"rel": 1e-9, "abs": 1e-9}


@pytest.mark.parametrize("mean", ["active", "all"])
@pytest.mark.parametrize("distance", DISTANCES)
@given(batch=batches, margin=st.sampled_from([0.13, 0.35, 2.1]), chunk=st.sampled_from([1, 4, 99]))
@settings(max_examples=25, deadline=None)
def test_all_triplets(distance, mean, batch, margin, chunk):
    x, y = batch
    chosen = list(enumeration.every_triplet(y.tolist()))
    expected = enumeration.triplet(x.tolist(), chosen, DISTANCES[distance], margin, mean)
    got = triplet(x, y, margin=margin, distance=distance, mining="all", mean=mean, chunk=chunk)
    assert got.item() == pytest.approx(expected, **close)


@pytest.mark.parametrize("mean", ["active", "all"])
@pytest.mark.parametrize("distance", DISTANCES)
@given(batch=batches, margin=st.sampled_from([0.0, 0.35, 2.1]), chunk=st.sampled_from([1, 4, 99]))
@settings(max_examples=25, deadline=None)
def test_hardest_triplets(distance, mean, batch, margin, chunk):
    x, y = batch
    d = DISTANCES[distance]
    chosen = list(enumeration.hardest(x.tolist(), y.tolist(), d))
    expected = enumeration.triplet(x.tolist(), chosen, d, margin, mean)
    got = triplet(x, y, margin=margin, distance=distance, mining="hard", mean=mean, chunk=chunk)
    assert got.item() == pytest.approx(expected, **close)


@pytest.mark.parametrize("distance", DISTANCES)
@given(batch=generic, margin=st.sampled_from([0.2, 0.8]), chunk=st.sampled_from([1, 4, 99]))
@settings(max_examples=25, deadline=None)
def test_semi_hard_triplets(distance, batch, margin, chunk):
    x, y = batch
    how = {"margin": margin, "distance": distance, "chunk": chunk}
    chosen = pairs.mine(x, y, **how, generator=torch.Generator().manual_seed(5))
    got = triplet(x, y, **how, generator=torch.Generator().manual_seed(5))
    expected = enumeration.triplet(x.tolist(), chosen.tolist(), DISTANCES[distance], margin)
    assert got.item() == pytest.approx(expected, **close)


@pytest.mark.parametrize(
    ("distance", "d"), [("euclidean", enumeration.chord), ("angular", enumeration.angle)]
)
@given(batch=batches, margin=st.sampled_from([0.0, 0.7, 1.9]), chunk=st.sampled_from([1, 4, 99]))
@settings(max_examples=25, deadline=None)
def test_contrastive(distance, d, batch, margin, chunk):
    x, y = batch
    expected = enumeration.contrastive(x.tolist(), y.tolist(), d, margin)
    got = contrastive(x, y, margin=margin, distance=distance, chunk=chunk)
    assert got.item() == pytest.approx(expected, **close)


@given(
    batch=batches,
    m=st.sampled_from([0.0, 0.25, 0.4]),
    scale=st.sampled_from([1.0, 40.0]),
    chunk=st.sampled_from([1, 4, 99]),
)
@settings(max_examples=40, deadline=None)
def test_circle(batch, m, scale, chunk):
    x, y = batch
    expected = enumeration.circle(x.tolist(), y.tolist(), m, scale)
    got = circle(x, y, margin=m, scale=scale, chunk=chunk)
    assert got.item() == pytest.approx(expected, **close)


@given(batch=batches, temperature=st.sampled_from([0.1, 1.0]), chunk=st.sampled_from([1, 4, 99]))
@settings(max_examples=40, deadline=None)
def test_supervised_contrastive(batch, temperature, chunk):
    x, y = batch
    expected = enumeration.supervised_contrastive(x.tolist(), y.tolist(), temperature)
    got = supervised_contrastive(x, y, temperature=temperature, chunk=chunk)
    assert got.item() == pytest.approx(expected, **close)


# pytorch-metric-learning 2.9.0 on waves(): its losses with their default reducer, which averages
# what is above 0; LpDistance(power=2) for the triplets, with BatchHardMiner for the hard ones.
@pytest.mark.parametrize(
    ("expected", "loss", "how"),
    [
        (1.3487516276682796, triplet, {"margin": 0.2, "mining": "all"}),
        (2.8058131904305372, triplet, {"margin": 0.2, "mining": "hard"}),
        (93.7799038553153, circle, {"margin": 0.25, "scale": 32.0}),
        (749.2901264437661, circle, {}),
        (11.27088850249162, supervised_contrastive, {}),
    ],
)
def test_another_implementation_says_the_same(expected, loss, how):
    x, y = waves()
    how = how | ({"distance": "euclidean"} if loss is triplet else {})
    assert loss(x, y, **how).item() == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "circle"])
@pytest.mark.parametrize("seed", [0, 1])
def test_gradients_are_those_of_the_value(name, seed):
    x, y = draw(9, 4, 3, seed)
    assert torch.autograd.gradcheck(
        lambda x: LOSSES[name](x, y, chunk=4), (x.requires_grad_(),), atol=1e-7
    )


def test_circle_has_the_gradient_of_constant_weights():
    x, y = draw(9, 4, 3, 0)
    x.requires_grad_()
    m, scale = 0.25, 16.0
    total = counted = 0
    for a in range(len(x)):
        same, other = enumeration.positives(y.tolist(), a), enumeration.negatives(y.tolist(), a)
        if same and other:
            u = torch.cosine_similarity(x[a], x[same], dim=1)
            v = torch.cosine_similarity(x[a], x[other], dim=1)
            pull = torch.exp(-scale * (1 + m - u).relu().detach() * (u - 1 + m)).sum()
            push = torch.exp(scale * (v + m).relu().detach() * (v - m)).sum()
            total, counted = total + torch.log1p(pull * push), counted + 1
    expected = torch.autograd.grad(total / counted, x)
    got = torch.autograd.grad(circle(x, y, margin=m, scale=scale, chunk=4), x)
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)


def test_triplet_by_hand():
    # Directions at 0°, 90° and 180°: θ_ap = π/2, θ_an = π, and the other way round.
    x = torch.tensor([[1.0, 0], [0, 1], [-1, 0]], dtype=torch.float64)
    y = torch.tensor([0, 0, 1])
    right = torch.pi / 2
    every = triplet(x, y, margin=0.5, mining="all")  # anchors 0 and 1; 0's is satisfied
    assert every.item() == pytest.approx(0.5)
    every = triplet(x, y, margin=2.0, mining="all")
    assert every.item() == pytest.approx((2 - right + 2) / 2)
    squares = triplet(x, y, margin=3.0, mining="all", distance="euclidean")
    assert squares.item() == pytest.approx((2 - 4 + 3 + 2 - 2 + 3) / 2)
    mean = triplet(x, y, margin=0.5, mining="all", mean="all")
    assert mean.item() == pytest.approx(0.25)


def test_satisfied_triplets_cost_nothing_and_pull_at_nothing():
    x = torch.tensor([[1.0, 0.1], [1, -0.1], [-1, 0.1], [-1, -0.1]], requires_grad=True)
    loss = triplet(x, torch.tensor([0, 0, 1, 1]), margin=0.35, mining="all")
    loss.backward()
    assert loss.item() == 0
    assert (x.grad == 0).all()


def test_what_is_not_said_is_as_the_docstrings_say():
    x, y = draw(9, 4, 3, 0)
    assert contrastive(x, y) == contrastive(x, y, margin=1.0, distance="euclidean")
    said = {"distance": "angular", "mining": "semi-hard", "mean": "active"}
    losses = [
        triplet(x, y, margin=0.5, **how, generator=torch.Generator().manual_seed(0))
        for how in ({}, said)
    ]
    assert losses[0] == losses[1] > 0


@given(batch=batches, margin=st.sampled_from([0.13, 2.1]), chunk=st.sampled_from([1, 4, 99]))
@settings(max_examples=25, deadline=None)
def test_metrics_count_what_the_loss_is_made_of(batch, margin, chunk):
    x, y = batch
    labels, d = y.tolist(), enumeration.angle
    for mining, chosen in (
        ("all", list(enumeration.every_triplet(labels))),
        ("hard", list(enumeration.hardest(x.tolist(), labels, d))),
    ):
        _, metrics = pairs.Triplet(margin, mining=mining).loss(x, y, chunk=chunk)
        gaps = [d(x[a], x[n]) - d(x[a], x[p]) for a, p, n in chosen]
        if all(abs(gap - margin) > 1e-9 for gap in gaps):
            assert metrics["triplets"] == len(chosen)
            assert metrics["active_triplets"] == sum(gap < margin for gap in gaps)
    _, metrics = pairs.SupervisedContrastive().loss(x, y, chunk=chunk)
    assert metrics["anchors"] == sum(bool(enumeration.positives(labels, a)) for a in range(len(x)))
    _, metrics = pairs.Contrastive(1.5).loss(x, y, chunk=chunk)
    close_negatives = [
        (a, n)
        for a in range(len(x))
        for n in enumeration.negatives(labels, a)
        if enumeration.chord(x[a], x[n]) < 1.5
    ]
    assert metrics["active_negatives"] == len(close_negatives)
