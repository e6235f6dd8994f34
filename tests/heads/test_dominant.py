"""The classes of the batch and those it is confused with."""

from __future__ import annotations

import errno

import numpy as np
import pytest
import torch
from torch.nn import functional

from arcwise.errors import ArcwiseError
from arcwise.heads import All, CentreHead, CentreSGD, Dominant, dominant, host_memory
from arcwise.heads.selection import Chosen
from arcwise.margins import ArcFace, CosFace

C, D, N = 40, 8, 12
RULE = {"momentum": 0.9, "weight_decay": 0.05}


def head(selection=None, **options) -> CentreHead:
    made = CentreHead(C, D, margin=CosFace(0.35), scale=8.0, selection=selection, **options)
    with torch.no_grad():
        made.centres.copy_(torch.randn(C, D, generator=torch.Generator().manual_seed(0)))
    return made


def batch(step=0):
    generator = torch.Generator().manual_seed(100 + step)
    x = torch.randn(N, D, generator=generator).requires_grad_()
    return x, torch.randint(0, C, (N,), generator=generator)


def neighbours(centres, label):
    """The other classes, the nearest first."""
    w = functional.normalize(centres.detach().double())
    cosines = w @ w[label]
    return [one for one in cosines.argsort(descending=True).tolist() if one != label]


@pytest.mark.parametrize("every", [{"active": C}, {"queue": C - 1, "candidates": C - 1}])
def test_all_classes_are_the_full_softmax(every):
    """Loss, both gradients and the momentum, bit for bit."""
    full, selected = head(All()), head(Dominant(C, **every))
    rules = [CentreSGD(one, 0.1, **RULE) for one in (full, selected)]
    for step in range(3):
        results = []
        for owner, rule in zip((full, selected), rules, strict=True):
            x, y = batch(step)
            rule.zero_grad()
            loss = owner.loss(x, y)
            loss.backward()
            rule.step()
            results.append((loss.detach(), x.grad, owner.centres.detach().clone()))
        for one, other in zip(*results, strict=True):
            assert torch.equal(one, other)


def test_the_loss_grows_with_the_classes_up_to_the_full_one():
    x, y = batch()
    full = float(head().loss(x, y).detach())
    losses = []
    for active in (12, 16, 24, 32, C):
        owner = head(Dominant(C, active=active))
        CentreSGD(owner, 0.1)
        losses.append(float(owner.loss(x, y).detach()))
    assert losses == sorted(losses)
    assert losses[0] < losses[-1] == full


def test_who_takes_no_part_is_left_bit_for_bit():
    owner = head(Dominant(C, queue=2, candidates=5))
    optimiser = CentreSGD(owner, 0.1, **RULE)
    for step in range(4):
        x, y = batch(step)
        optimiser.zero_grad()
        owner.loss(x[:3], y[:3]).backward()
        taken = optimiser.deferred.ctx.problem.sampled
        assert len(taken) == len(taken.unique()) <= 9  # a row is written once
        out = torch.ones(C, dtype=torch.bool).index_fill_(0, taken, False)
        before = owner.centres.detach().clone()
        optimiser.step()
        momentum = optimiser.state[owner.centres]["momentum_buffer"]
        assert torch.equal(owner.centres[out], before[out])
        assert not torch.equal(owner.centres[taken], before[taken])
        assert momentum[taken].any(1).all()


def test_queues_are_the_nearest_and_dominant_ones_are_candidates():
    owner = head(Dominant(C, queue=3, candidates=7))
    owner.selection.refresh(owner.centres)
    for label in range(C):
        expected = neighbours(owner.centres, label)
        assert owner.selection.candidates[label].tolist() == expected[:7]
        assert owner.selection.dominant[label].tolist() == expected[:3]


def test_the_queue_rule_on_a_hand_example(monkeypatch):
    """One class is pushed, one is there already, one is no candidate, and one sample is right."""
    selection = Dominant(10, queue=2, candidates=4)
    selection.candidates[5] = torch.tensor([1, 2, 3, 4])
    selection.dominant[5] = torch.tensor([1, 2])
    before = selection.dominant.clone()
    centres = torch.eye(10)

    def told(taken_for):
        chosen = Chosen(torch.arange(10), torch.tensor([5]), None)
        return selection.update(chosen, centres[[taken_for]], centres)["dominant_new"]

    assert [told(5), told(2), told(7)] == [0, 0, 0]
    assert torch.equal(selection.dominant, before)
    assert told(4) == 1
    assert selection.dominant[5].tolist() == [4, 1]
    assert told(3) == 1
    assert selection.dominant[5].tolist() == [3, 4]
    assert int(selection.steps) == 5
    others = torch.arange(10) != 5
    assert torch.equal(selection.dominant[others], before[others])


def test_a_refresh_keeps_what_was_put_in():
    owner = head(Dominant(C, queue=3, candidates=6, refresh=2))
    selection = owner.selection
    selection.refresh(owner.centres)
    near = selection.candidates[0].tolist()
    far = neighbours(owner.centres, 0)[20]
    selection.dominant[0] = torch.tensor([near[5], far, near[0]])
    selection.refresh(owner.centres)
    assert selection.dominant[0].tolist() == [near[5], near[0], near[1]]
    assert selection.candidates[0].tolist() == [near[5], *near[:5]]
    assert selection.drawn[0].tolist() == selection.dominant[0].tolist()


def test_neighbours_are_found_anew_every_so_many_steps():
    owner = head(Dominant(C, queue=3, refresh=3))
    optimiser = CentreSGD(owner, 5.0)
    found = []
    for step in range(7):
        x, y = batch(step)
        optimiser.zero_grad()
        owner.loss(x, y).backward()
        optimiser.step()
        found.append(int(owner.selection.refreshed))
    assert found == [0, 0, 0, 3, 3, 3, 6]


def test_near_duplicates_are_no_candidates_above_the_ceiling():
    centres = torch.randn(C, D, generator=torch.Generator().manual_seed(1))
    centres[7] = 3 * centres[2]
    free, capped = Dominant(C), Dominant(C, ceiling=0.95)
    for one in (free, capped):
        one.refresh(centres)
    assert free.candidates[2, 0] == 7
    assert 7 not in capped.candidates[2].tolist()
    assert capped.candidates[2, -1] == -1


def test_an_inverted_file_finds_most_of_the_neighbours(monkeypatch):
    centres = torch.randn(2000, 16, generator=torch.Generator().manual_seed(0))
    exact, approximate = Dominant(2000, candidates=20, queue=5), Dominant(2000, queue=5)
    exact.refresh(centres)
    monkeypatch.setattr(dominant, "EXACT", 100)
    approximate.refresh(centres)
    shared = [
        len(set(a) & set(b))
        for a, b in zip(exact.dominant.tolist(), approximate.dominant.tolist(), strict=True)
    ]
    assert np.mean(shared) > 3.5


def test_a_state_that_is_saved_goes_on():
    owner, again = (head(Dominant(C, queue=3, candidates=8, refresh=4)) for _ in range(2))
    rules = [CentreSGD(one, 0.5, **RULE) for one in (owner, again)]

    def step(which, number):
        x, y = batch(number)
        rules[which].zero_grad()
        (owner, again)[which].loss(x, y).backward()
        rules[which].step()

    for number in range(6):
        step(0, number)
    again.load_state_dict(owner.state_dict())
    rules[1].load_state_dict(rules[0].state_dict())
    for number in range(6, 10):
        step(0, number)
        step(1, number)
    for name, one in owner.state_dict().items():
        assert torch.equal(one, again.state_dict()[name]), name


def test_centres_in_a_file_are_those_in_memory(monkeypatch):
    results = []
    for share in (host_memory.SHARE, 0.0):
        monkeypatch.setattr(host_memory, "SHARE", share)
        owner = head(Dominant(C, queue=3))
        optimiser = CentreSGD(owner, 0.1, **RULE)
        for step in range(3):
            x, y = batch(step)
            optimiser.zero_grad()
            owner.loss(x, y).backward()
            optimiser.step()
        results.append(owner.state_dict())
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


def test_more_prototypes_than_fit(monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(host_memory, "SHARE", 0.0)
    monkeypatch.setattr(host_memory.os, "posix_fallocate", full, raising=False)
    with pytest.raises(ArcwiseError, match="40 prototypes of 8 numbers take") as caught:
        head(Dominant(C))
    assert "\n" not in str(caught.value)


def test_centres_and_queues_stay_in_host_memory():
    owner = head(Dominant(C)).to("meta")
    assert owner.centres.device.type == owner.selection.dominant.device.type == "cpu"
    assert head(All()).to("meta").centres.device.type == "meta"


def test_embeddings_that_are_not_finite_teach_the_queues_nothing():
    owner = head(Dominant(C, queue=3))
    CentreSGD(owner, 0.1)
    x, y = batch()
    owner.loss(x, y)
    before = owner.selection.dominant.clone()
    with torch.no_grad():
        x.fill_(torch.nan)
    owner.loss(x, y)
    assert torch.equal(owner.selection.dominant, before)


def test_unlabelled_samples_are_in_no_class():
    chosen = Dominant(C, queue=2).select(torch.tensor([-1, 3, -1]), head().centres)
    assert chosen.labels.tolist() == [-1, chosen.classes.tolist().index(3), -1]


@pytest.mark.parametrize(
    "wrong",
    [{"active": 1}, {"queue": 0}, {"queue": 20, "candidates": 10}, {"refresh": 0}, {"ceiling": 0}],
)
def test_numbers_that_are_none_are_refused(wrong):
    with pytest.raises(ArcwiseError, match=f"Dominant: got {next(iter(wrong))}="):
        Dominant(C, **wrong)


def test_queues_of_other_classes_are_refused():
    with pytest.raises(ArcwiseError, match=r"expected Dominant\(40\)"):
        CentreHead(C, D, margin=ArcFace(), selection=Dominant(C + 1))
    with pytest.raises(ArcwiseError, match="subcentres=1"):
        CentreHead(C, D, margin=ArcFace(), selection=Dominant(C), subcentres=2)
