"""What a margin remembers from step to step, kept by its head."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from arcwise.heads import CentreSGD
from arcwise.margins import AdaFace, ArcFace, CurricularFace, ElasticFace, Filtered, SphereFace
from arcwise.softmax import Streaming
from tests.heads.batches import batch, head
from tests.softmax.exact import exact

REMEMBERING = {
    "ada": AdaFace(),
    "curricular": CurricularFace(),
    "annealed": SphereFace(4, annealed=True),
    "filtered": Filtered(AdaFace()),
}
remembering = pytest.mark.parametrize("name", REMEMBERING)
impls = pytest.mark.parametrize("impl", ["auto", "dense"])


def remembered(owner):
    return {name: value.clone() for name, value in owner.statistics.named_buffers()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("margin", [ArcFace(), ElasticFace()])
def test_most_margins_remember_nothing(margin):
    assert remembered(head(margin)) == {}


@remembering
def test_the_start_is_the_margins(name):
    margin = REMEMBERING[name]
    owner = head(margin, dtype=torch.float32)
    assert same(margin.initial(), remembered(owner))
    assert set(margin.initial()) == set(remembered(owner)) != set()


@remembering
@impls
def test_each_training_step_is_observed_before_its_loss(name, impl):
    margin = REMEMBERING[name]
    owner = head(margin, impl=impl)
    state = remembered(owner)
    for step in range(3):
        x, y = batch(step)
        y[2] = -1
        rows = y >= 0
        cosines = torch.nn.functional.cosine_similarity(x[rows], owner.centres[y[rows]])
        state = margin.observe(cosines.detach(), x[rows].detach().norm(dim=1), state)
        loss = owner.loss(x, y)
        assert loss.item() == pytest.approx(
            exact(x, owner.centres, y, margin, owner.scale, state).loss.item(), rel=1e-9
        )
        for key, value in remembered(owner).items():
            torch.testing.assert_close(value, state[key])
    assert not same(remembered(owner), remembered(head(margin)))


@remembering
@impls
def test_evaluation_uses_them_and_leaves_them(name, impl):
    owner = head(REMEMBERING[name], impl=impl)
    owner.loss(*batch(0))
    before = remembered(owner)
    owner.eval()
    x, y = batch(1)
    loss = owner.loss(x, y)
    assert same(before, remembered(owner))
    expected = exact(x, owner.centres, y, owner.margin, owner.scale, before)
    assert loss.item() == pytest.approx(expected.loss.item(), rel=1e-9)


@remembering
def test_they_are_saved_and_restored_with_the_centres(name):
    owner, other = head(REMEMBERING[name]), head(REMEMBERING[name], seed=1)
    for step in range(3):
        owner.loss(*batch(step))
    other.load_state_dict(owner.state_dict())
    assert same(remembered(owner), remembered(other))
    assert other.loss(*batch(7)).item() == owner.loss(*batch(7)).item()


@remembering
@impls
@pytest.mark.parametrize("where", ["embedding", "centre"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_batch_whose_loss_is_no_number_leaves_no_trace(name, impl, where, bad):
    owner = head(REMEMBERING[name], impl=impl)
    owner.loss(*batch(0))
    before = remembered(owner)
    x, y = batch(1)
    with torch.no_grad():
        (x if where == "embedding" else owner.centres)[1, 2] = bad
    assert not owner.loss(x, y).isfinite()
    assert same(before, remembered(owner))


def test_what_a_later_step_moves_does_not_reach_an_earlier_loss():
    owner = head(CurricularFace(), impl=Streaming(keep="none"))
    owner.statistics.t.fill_(0.9)
    x, y = batch()
    expected = exact(x, owner.centres, y, owner.margin, owner.scale, remembered(owner))
    owner.eval()
    loss = owner.loss(x, y)
    owner.statistics.t.zero_()
    loss.backward()
    torch.testing.assert_close(owner.centres.grad, expected.dw)


@pytest.mark.parametrize("labels", [[-1] * 8, []])
def test_a_step_without_labelled_rows_remembers_nothing_new(labels):
    owner = head(AdaFace())
    before = remembered(owner)
    x, _ = batch(n=len(labels))
    assert owner.loss(x, torch.tensor(labels, dtype=torch.int64)) == 0
    assert same(before, remembered(owner))


def test_drawn_margins_are_this_steps_only():
    owner = head(ElasticFace(sigma=0.1))
    torch.manual_seed(0)
    losses = {owner.loss(*batch()).item() for _ in range(3)}
    assert len(losses) == 3
    owner.eval()
    assert owner.loss(*batch()).item() == head(ArcFace(0.5)).loss(*batch()).item()


def test_a_head_with_a_fused_optimiser_can_be_copied():
    owner = head(AdaFace())
    optimiser = CentreSGD(owner, 0.1)
    owner.loss(*batch(0)).backward()
    optimiser.step()
    twin = copy.deepcopy(owner).eval()
    assert twin.loss(*batch(1)).item() == owner.eval().loss(*batch(1)).item()
    assert twin.centre_optimiser is None  # it moves the centres of the original
    assert owner.centre_optimiser is optimiser
