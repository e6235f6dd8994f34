from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise import pairs
from tests.pairs import enumeration
from tests.pairs.batches import awkward, draw, triplet, waves

DISTANCES = {"angular": enumeration.angle, "euclidean": enumeration.squared}


@pytest.mark.parametrize("distance", DISTANCES)
@given(
    n=st.integers(1, 14),
    classes=st.integers(1, 4),
    seed=st.integers(0, 10_000),
    margin=st.sampled_from([0.1, 0.5, 3.0]),
    chunk=st.sampled_from([1, 5, 99]),
)
@settings(max_examples=40, deadline=None)
def test_semi_hard_is_one_candidate_for_each_pair_that_has_one(
    distance, n, classes, seed, margin, chunk
):
    x, y = draw(n, 3, classes, seed)
    candidates = enumeration.semi_hard(x.tolist(), y.tolist(), DISTANCES[distance], margin)
    got = pairs.mine(x, y, margin=margin, distance=distance, chunk=chunk).tolist()
    assert [(a, p) for a, p, _ in got] == [pair for pair, some in candidates.items() if some]
    assert all(negative in candidates[a, p] for a, p, negative in got)


@pytest.mark.parametrize("distance", DISTANCES)
@given(
    batch=st.builds(awkward, st.integers(1, 12), st.just(3), st.just(3), st.integers(0, 10_000)),
    margin=st.sampled_from([0.1, 0.5]),
)
@settings(max_examples=40, deadline=None)
def test_every_semi_hard_triplet_is_one_whatever_the_rows(distance, batch, margin):
    x, y = batch
    d = DISTANCES[distance]
    for a, p, n in pairs.mine(x, y, margin=margin, distance=distance).tolist():
        assert a < p
        assert y[a] == y[p] >= 0
        assert 0 <= y[n] != y[a]
        near, far = d(x[a].tolist(), x[p].tolist()), d(x[a].tolist(), x[n].tolist())
        assert near - 1e-12 < far < near + margin + 1e-12


def test_each_candidate_is_drawn_as_often_as_another():
    x, y = draw(12, 3, 2, 1)
    candidates = enumeration.semi_hard(x.tolist(), y.tolist(), enumeration.angle, 1.0)
    generator = torch.Generator().manual_seed(0)
    drawn = Counter(
        tuple(triplet)
        for _ in range(400)
        for triplet in pairs.mine(x, y, margin=1.0, generator=generator).tolist()
    )
    assert {n for some in candidates.values() for n in some}  # there is something to draw
    for (a, p), some in candidates.items():
        for n in some:
            assert drawn[a, p, n] / 400 == pytest.approx(1 / len(some), abs=0.11)


def test_another_implementation_has_the_same_candidates():
    # TripletMarginMiner("semihard") of pytorch-metric-learning 2.9.0 on waves(), squared
    # distances, margin 0.2; of its ordered pairs those whose anchor comes first.
    x, y = waves()
    drawn = set()
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        got = pairs.mine(x, y, margin=0.2, distance="euclidean", generator=generator)
        drawn |= {tuple(triplet) for triplet in got.tolist()}
    assert drawn == {(0, 2, 9), (7, 8, 9), (9, 10, 11)}


def test_the_hardest_by_hand():
    # On a half circle: anchors 0 and 2 of class 0, anchor 1 of class 1 has no positive.
    angles = torch.tensor([0.0, 0.5, 1.0, 2.0])
    x = torch.stack([angles.cos(), angles.sin()], 1)
    y = torch.tensor([0, 1, 0, 0])
    got = pairs.mine(x, y, margin=0.0, mining="hard")
    assert got.tolist() == [[0, 3, 1], [2, 3, 1], [3, 0, 1]]


def test_a_seed_is_a_choice_whatever_the_chunk():
    x, y = draw(60, 4, 5, 0)
    choices = [
        pairs.mine(x, y, margin=1.0, chunk=chunk, generator=torch.Generator().manual_seed(3))
        for chunk in (1, 7, 60, 1000)
    ]
    assert len(choices[0]) > 100
    for other in choices[1:]:
        assert torch.equal(choices[0], other)
    different = pairs.mine(x, y, margin=1.0, generator=torch.Generator().manual_seed(4))
    assert not torch.equal(choices[0], different)


def test_without_a_generator_torchs_seed_decides():
    x, y = draw(30, 4, 3, 0)
    torch.manual_seed(7)
    first, second = (pairs.mine(x, y, margin=1.0) for _ in range(2))
    torch.manual_seed(7)
    assert torch.equal(pairs.mine(x, y, margin=1.0), first)
    assert not torch.equal(first, second)


def test_a_loss_of_given_triplets():
    """Mined once on a bag, trained on later: three rows a triplet, in any order."""
    x, y = draw(20, 4, 3, 2)
    chosen = pairs.mine(x, y, margin=1.0)
    bag = x[chosen.flatten()].requires_grad_()
    rows = torch.arange(len(bag)).view(-1, 3)
    labels = torch.zeros(len(bag), dtype=torch.int64)
    for order in (torch.arange(len(rows)), torch.randperm(len(rows))):
        loss = triplet(bag, labels, margin=1.0, triplets=rows[order], chunk=7)
        again = triplet(x, y, margin=1.0, triplets=chosen)
        assert loss.item() == pytest.approx(again.item(), rel=1e-12)
    assert triplet(bag, labels, margin=1.0, triplets=rows[:0]).item() == 0


def test_mined_triplets_carry_no_gradient():
    x, y = draw(12, 3, 2, 0)
    assert not pairs.mine(x.requires_grad_(), y, margin=1.0).requires_grad


def test_only_semi_hard_triplets_are_drawn():
    x, y = draw(12, 3, 2, 0)
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    pairs.mine(x, y, margin=1.0, mining="hard")
    triplet(x, y, margin=1.0, mining="all")
    assert torch.rand(1) == expected


@pytest.mark.parametrize("mining", ["hard", "semi-hard", "all"])
def test_triplets_across_groups(mining):
    """The positive and the negative are of another group than the anchor; -1 is in none."""
    x, y = draw(16, 3, 4, 2)
    y = y.clamp_min(0)
    groups = torch.arange(16) % 3 - 1
    loss = pairs.Triplet(0.3, mining=mining)
    value, metrics = loss.loss(x.requires_grad_(), y, groups=groups)
    value.backward()
    assert float(metrics["triplets"]) > 0
    assert not x.grad[groups < 0].any()
    if mining == "all":
        usable = (groups[:, None] != groups) & (groups >= 0) & (groups[:, None] >= 0)
        same, other = (y[:, None] == y) & usable, (y[:, None] != y) & usable
        assert float(metrics["triplets"]) == float((same.sum(1) * other.sum(1)).sum())
        return
    for a, p, n in pairs.mine(x, y, margin=0.3, mining=mining, groups=groups).tolist():
        assert min(groups[a], groups[p], groups[n]) >= 0
        assert groups[a] != groups[p]
        assert groups[a] != groups[n]
        assert y[a] == y[p] != y[n]


def test_the_hardest_negative_across_groups():
    x, y = draw(20, 3, 4, 5)
    y = y.clamp_min(0)
    groups = torch.arange(20) % 2
    d = [[enumeration.angle(a, b) for b in x.tolist()] for a in x.tolist()]
    for a, _, n in pairs.mine(x, y, margin=0.3, mining="hard", groups=groups).tolist():
        far = [d[a][k] for k in range(20) if y[k] != y[a] and groups[k] != groups[a]]
        assert d[a][n] == pytest.approx(min(far))
