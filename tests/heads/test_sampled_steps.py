"""Steps in which some classes take part."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from arcwise.errors import ArcwiseError
from arcwise.heads import All, CentreSGD, Sampled
from arcwise.heads.selection import Chosen, Stateless
from arcwise.margins import ArcFace
from arcwise.softmax import Streaming
from tests.heads.batches import C, batch, head
from tests.softmax.exact import exact

RULE = {"momentum": 0.9, "weight_decay": 0.05}
SOME = [0, 1, 3, 4, 7, 9, 10]


@dataclass(frozen=True)
class These(Stateless):
    """The same classes in every step."""

    classes: tuple[int, ...]
    offset: float | None = None

    def select(self, labels, centres):
        classes = len(centres)
        taken = torch.tensor(self.classes)
        place = torch.full((classes,), -1)
        place[taken] = torch.arange(len(taken))
        offsets = None if self.offset is None else self.offset * (taken % 2 == 0).double()
        return Chosen(taken, torch.where(labels >= 0, place[labels], -1), offsets)


def among(step, classes):
    x, y = batch(step)
    return x, torch.tensor(classes)[y % len(classes)]


@pytest.mark.parametrize("subcentres", [1, 2])
@pytest.mark.parametrize("sphere", [False, True])
def test_trap_8_who_takes_no_part_is_left_bit_for_bit(subcentres, sphere):
    owner = head(selection=Sampled(0.5), subcentres=subcentres)
    rule = {**RULE, "weight_decay": 0.0} if sphere else RULE
    optimiser = CentreSGD(owner, 0.1, **rule, sphere=sphere)
    torch.manual_seed(3)
    for step in range(8):
        x, y = batch(step, n=3)
        optimiser.zero_grad()
        owner.loss(x, y).backward()
        taken = optimiser.deferred.ctx.problem.sampled
        out = torch.ones(C, dtype=torch.bool).index_fill_(0, taken, False)
        before = owner.centres.detach().clone()
        state = optimiser.state.get(owner.centres, {})
        momentum = state.get("momentum_buffer", torch.zeros_like(before)).clone()
        optimiser.step()
        after = optimiser.state[owner.centres]["momentum_buffer"]
        assert len(taken) == round(0.5 * C)
        assert torch.equal(owner.centres[out], before[out])
        assert torch.equal(after[out], momentum[out])
        assert not torch.equal(owner.centres[taken], before[taken])
        assert not torch.equal(after[taken], momentum[taken])


@pytest.mark.parametrize("subcentres", [1, 2])
def test_who_takes_part_moves_as_if_there_were_no_others(subcentres):
    owner = head(selection=These(tuple(SOME)), subcentres=subcentres)
    alone = head(subcentres=subcentres)
    alone.centres = torch.nn.Parameter(alone.centres.detach()[SOME])
    fused, ordinary = CentreSGD(owner, 0.1, **RULE), torch.optim.SGD([alone.centres], 0.1, **RULE)
    for step in range(5):
        x, y = among(step, SOME)
        fused.zero_grad()
        ordinary.zero_grad()
        owner.loss(x, y).backward()
        alone.loss(x, torch.searchsorted(torch.tensor(SOME), y)).backward()
        fused.step()
        ordinary.step()
    torch.testing.assert_close(owner.centres[SOME], alone.centres, rtol=1e-10, atol=1e-11)


def test_all_of_them_sampled_are_all_of_them():
    moved = []
    for selection in (Sampled(1.0), All()):
        owner = head(selection=selection)
        optimiser = CentreSGD(owner, 0.1, **RULE)
        for step in range(5):
            optimiser.zero_grad()
            owner.loss(*batch(step)).backward()
            optimiser.step()
        moved.append(owner.centres.detach())
    assert torch.equal(*moved)


@pytest.mark.parametrize("how", ["none", "fp32"])
@pytest.mark.parametrize("scale", [8.0, 500.0])
def test_offsets_are_added_to_the_negatives_only(how, scale):
    impl = Streaming(keep=how, chunk=3)
    owner = head(selection=These(tuple(SOME), offset=1.5), impl=impl, scale=scale)
    optimiser = CentreSGD(owner, 1.0, momentum=0.0)
    x, y = among(0, SOME)
    before = owner.centres.detach()[SOME].clone()
    chosen = owner.selection.select(y, owner.centres)
    expected = exact(x, before, chosen.labels, ArcFace(0.3), scale, offsets=chosen.offsets)
    loss = owner.loss(x, y)
    loss.backward()
    optimiser.step()
    assert loss.item() == pytest.approx(expected.loss.item(), rel=1e-10)
    torch.testing.assert_close(x.grad, expected.dx)
    torch.testing.assert_close(before - owner.centres.detach()[SOME], expected.dw)


def test_offsets_count_towards_what_may_overflow():
    owner = head(selection=These(tuple(SOME), offset=60.0), dtype=torch.float32, scale=40.0)
    CentreSGD(owner, 1.0)
    x, _ = batch(dtype=torch.float32, n=1)
    with torch.no_grad():
        owner.centres[1], owner.centres[4] = -x[0], x[0]  # its own opposite, another on it
    y = torch.tensor([1])
    chosen = owner.selection.select(y, owner.centres)
    expected = exact(
        x, owner.centres[SOME], chosen.labels, ArcFace(0.3), 40.0, offsets=chosen.offsets
    )
    loss = owner.loss(x, y)
    loss.backward()
    assert loss.item() == pytest.approx(expected.loss.item(), rel=1e-6)
    assert x.grad.isfinite().all()


def test_a_share_that_rounds_to_no_class_at_all_is_a_step_of_nothing():
    owner = head(selection=Sampled(0.01))
    optimiser = CentreSGD(owner, 0.1)
    x, _ = batch(n=2)
    loss = owner.loss(x, torch.tensor([-1, -1]))
    loss.backward()
    optimiser.step()
    assert loss == 0


@pytest.mark.parametrize("optimised", [True, False])
def test_without_gradients_every_class_counts(optimised):
    owner = head(selection=Sampled(0.2))
    if optimised:
        CentreSGD(owner, 0.1)
    with torch.no_grad():
        got = owner.loss(*batch())
    assert got.item() == head().loss(*batch()).item()


@pytest.mark.parametrize("impl", ["auto", "dense"])
def test_another_optimiser_would_move_who_takes_no_part(impl):
    with pytest.raises(ArcwiseError, match="without a CentreSGD"):
        head(selection=Sampled(0.2), impl=impl).loss(*batch())
