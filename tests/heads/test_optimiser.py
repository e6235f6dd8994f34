"""Centres that move inside the pass over the classes, against torch.optim.SGD."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from arcwise.errors import ArcwiseError, NonFiniteError
from arcwise.heads import CentreSGD
from arcwise.margins import AdaFace, ArcFace
from arcwise.softmax import Streaming, Truncated, negatives
from tests.heads.batches import D, batch, head
from tests.softmax.problems import LOOPS

RULES = {
    "plain": {"momentum": 0.0},
    "momentum": {"momentum": 0.9},
    "decay": {"momentum": 0.9, "weight_decay": 0.05},
    "nesterov": {"momentum": 0.8, "weight_decay": 0.01, "nesterov": True},
}
HOW = {
    "kept": Streaming(keep="fp32", chunk=4),
    "recomputed": Streaming(keep="none", chunk=4),
    "truncated": Truncated(tau=0, chunk=4),
}


def learn(fused, rule, *, steps=20, how="kept", sphere=False, subcentres=1, factor=1.0):
    """Centres and encoder after some steps of both, at a falling rate."""
    torch.manual_seed(0)
    encoder = nn.Linear(D, D).double()
    owner = head(impl=HOW[how], subcentres=subcentres)
    if fused:
        centres = CentreSGD(owner, 0.2, **{"momentum": 0.9, **rule}, sphere=sphere)
    else:
        centres = torch.optim.SGD([owner.centres], 0.2, **rule)
        if sphere:
            to_sphere(owner)
    weights = torch.optim.SGD(encoder.parameters(), 0.05, momentum=0.9)
    falling = torch.optim.lr_scheduler.LambdaLR(centres, lambda step: 1 / (1 + 0.1 * step))
    for step in range(steps):
        x, y = batch(step)
        centres.zero_grad()
        weights.zero_grad()
        (factor * owner.loss(encoder(x), y)).backward()
        centres.step()
        weights.step()
        falling.step()
        if sphere and not fused:
            to_sphere(owner)
    return owner.centres.detach(), encoder.weight.detach()


def to_sphere(owner):
    with torch.no_grad():
        owner.centres /= owner.centres.norm(dim=-1, keepdim=True)


@pytest.mark.parametrize(
    ("rule", "how", "subcentres"),
    [
        ("plain", "kept", 1),
        ("momentum", "recomputed", 1),
        ("decay", "kept", 1),
        ("nesterov", "recomputed", 1),
        ("decay", "recomputed", 2),
        ("nesterov", "kept", 2),
        ("decay", "truncated", 1),
    ],
)
def test_fifty_steps_are_those_of_torchs_sgd(rule, how, subcentres):
    got, expected = (
        learn(fused, RULES[rule], how=how, subcentres=subcentres, steps=50)
        for fused in (True, False)
    )
    torch.testing.assert_close(got[0], expected[0], rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(got[1], expected[1], rtol=1e-9, atol=1e-10)
    assert not torch.allclose(got[0], head(subcentres=subcentres).centres, atol=0.1)


@pytest.mark.parametrize("threads", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("length", [1.0, 1e-5])
@pytest.mark.parametrize("rule", [*RULES, "sphere"])
def test_in_float32_the_first_steps_are_right_to_the_last_digits(
    rule, length, threads, monkeypatch
):
    monkeypatch.setattr(negatives, "THREADS", threads)
    sphere, rule = rule == "sphere", RULES.get(rule, RULES["momentum"])
    fused, exact = head(dtype=torch.float32, impl=HOW["kept"]), head()
    with torch.no_grad():
        fused.centres.mul_(length)
        exact.centres.copy_(fused.centres)
    rate = 0.1 if sphere else 0.1 * length**2
    optimiser = CentreSGD(fused, rate, **{"momentum": 0.9, **rule}, sphere=sphere)
    if sphere:
        to_sphere(exact)
    start = fused.centres.detach().double()
    expected = torch.optim.SGD([exact.centres], rate, **rule)
    for step in range(3):
        for owner, its in ((fused, optimiser), (exact, expected)):
            its.zero_grad()
            x, y = batch(step, owner.centres.dtype)
            (-1.5 * owner.loss(x, y)).backward()
            its.step()
        if sphere:
            to_sphere(exact)
    moved = exact.centres.detach() - start
    assert (fused.centres.detach() - start - moved).norm() < 3e-6 * moved.norm()


@pytest.mark.parametrize("rule", ["plain", "momentum"])
@pytest.mark.parametrize("subcentres", [1, 2])
def test_on_the_sphere_each_step_ends_at_unit_length(rule, subcentres):
    got, expected = (
        learn(fused, RULES[rule], sphere=True, subcentres=subcentres) for fused in (True, False)
    )
    torch.testing.assert_close(got[0], expected[0], rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(got[0].norm(dim=-1), torch.ones(got[0].shape[:-1]).double())


def test_the_sphere_is_where_centres_start():
    owner = head()
    directions = nn.functional.normalize(owner.centres.detach())
    CentreSGD(owner, 0.1, sphere=True)
    torch.testing.assert_close(owner.centres.detach(), directions)


def test_a_zero_centre_on_the_sphere_stays_a_number():
    owner = head()
    with torch.no_grad():
        owner.centres[2] = 0
    CentreSGD(owner, 0.1, sphere=True)
    assert not owner.centres[2].any()


def test_a_factor_on_the_loss_moves_the_centres_by_it():
    got, expected = (learn(fused, RULES["decay"], factor=-2.5, steps=5) for fused in (True, False))
    torch.testing.assert_close(got[0], expected[0], rtol=1e-9, atol=1e-10)


def one_step(owner, optimiser, step=0):
    x, y = batch(step, owner.centres.dtype)
    optimiser.zero_grad()
    owner.loss(x, y).backward()
    optimiser.step()


@pytest.mark.parametrize("fused_first", [True, False])
@pytest.mark.parametrize("rule", ["plain", "nesterov"])
def test_either_optimiser_goes_on_from_the_others_state(rule, fused_first):
    def make(fused, owner):
        rates = {"lr": 0.1, "momentum": 0.9, **RULES[rule]}
        return CentreSGD(owner, **rates) if fused else torch.optim.SGD([owner.centres], **rates)

    def both(change):
        owner = head()
        optimiser = make(fused_first, owner)
        for step in range(6):
            if change and step == 3:
                state = optimiser.state_dict()
                owner.centre_optimiser = None
                optimiser = make(not fused_first, owner)
                optimiser.load_state_dict(state)
            one_step(owner, optimiser, step)
        return owner.centres.detach()

    torch.testing.assert_close(both(True), both(False), rtol=1e-10, atol=1e-11)


def test_the_rate_that_is_loaded_is_the_one_in_force():
    owner = head()
    fast, slow = CentreSGD(owner, 0.1, momentum=0.5), CentreSGD(owner, 0.001)
    slow.load_state_dict(fast.state_dict())
    assert (slow.param_groups[0]["lr"], slow.param_groups[0]["momentum"]) == (0.1, 0.5)


@pytest.mark.parametrize("other", [{"dampening": 0.3}, {"maximize": True}], ids=str)
def test_a_state_of_an_sgd_with_more_to_it_is_refused(other):
    owner = head()
    state = torch.optim.SGD([owner.centres], 0.1, momentum=0.9, **other).state_dict()
    with pytest.raises(ArcwiseError, match=f"{next(iter(other))}=.*; expected"):
        CentreSGD(owner, 0.1).load_state_dict(state)


def test_without_momentum_there_is_no_buffer():
    owner = head()
    optimiser = CentreSGD(owner, 0.1, momentum=0.0)
    one_step(owner, optimiser)
    assert optimiser.state_dict()["state"] == {}


def snapshot(owner, optimiser):
    kept = [owner.centres, *owner.buffers()]
    kept += [state["momentum_buffer"] for state in optimiser.state.values()]
    return [tensor.detach().clone() for tensor in kept]


@pytest.mark.parametrize("spoilt", ["embedding nan", "embedding inf", "factor"])
@pytest.mark.parametrize("steps_before", [0, 2])
def test_a_loss_that_is_no_number_changes_nothing(spoilt, steps_before):
    owner = head(AdaFace())
    optimiser = CentreSGD(owner, 0.1)
    for step in range(steps_before):
        one_step(owner, optimiser, step)
    before = snapshot(owner, optimiser)
    x, y = batch(9)
    with torch.no_grad():
        if spoilt != "factor":
            x[1, 2] = math.nan if spoilt == "embedding nan" else math.inf
    loss = owner.loss(x, y)
    if spoilt == "factor":  # an upstream factor spoils the gradient, not the statistics
        before[1:3] = [tensor.clone() for tensor in owner.buffers()]
        loss = loss * math.inf
    loss.backward()
    with pytest.raises(NonFiniteError, match="no centre has changed"):
        optimiser.step()
    after = snapshot(owner, optimiser)
    assert len(before) == len(after)
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))
    one_step(owner, optimiser, 3)  # and training can go on
    assert not torch.equal(owner.centres, before[0])


def test_the_embeddings_have_their_gradient_and_the_centres_none():
    owner, ordinary = head(), head()
    CentreSGD(owner, 0.1)
    gradients = []
    for each in (owner, ordinary):
        x, y = batch()
        each.loss(x, y).backward()
        gradients.append(x.grad)
    assert owner.centres.grad is None
    assert torch.equal(*gradients)


def test_a_second_backward_before_the_step_is_refused():
    owner = head()
    CentreSGD(owner, 0.1)
    owner.loss(*batch(0)).backward()
    with pytest.raises(ArcwiseError, match=r"second backward pass without a CentreSGD\.step"):
        owner.loss(*batch(1)).backward()


def test_zero_grad_forgets_the_loss():
    owner = head()
    optimiser = CentreSGD(owner, 0.1)
    before = owner.centres.detach().clone()
    owner.loss(*batch(0)).backward()
    optimiser.zero_grad()
    optimiser.step()
    assert torch.equal(owner.centres, before)
    owner.loss(*batch(1)).backward()


def test_zero_grad_forgets_what_an_ordinary_backward_left():
    owner = head()
    owner.loss(*batch(0)).backward()
    CentreSGD(owner, 0.1).zero_grad()
    assert owner.centres.grad is None


def test_a_step_uses_its_loss_up():
    owner = head()
    optimiser = CentreSGD(owner, 0.1)
    one_step(owner, optimiser)
    before = owner.centres.detach().clone()
    optimiser.step()
    assert torch.equal(owner.centres, before)


def test_a_loss_of_the_centres_before_a_step_is_refused_after_it():
    owner = head()
    optimiser = CentreSGD(owner, 0.1)
    first, second = owner.loss(*batch(0)), owner.loss(*batch(1))
    first.backward()
    optimiser.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        second.backward()


def test_centres_that_somebody_else_moved_before_the_step_are_refused():
    owner = head()
    optimiser = CentreSGD(owner, 0.1)
    owner.loss(*batch(0)).backward()
    with torch.no_grad():
        owner.centres.neg_()
    with pytest.raises(ArcwiseError, match="changed between backward"):
        optimiser.step()


def test_a_gradient_that_the_fused_step_would_leave_out_is_refused():
    owner = head()
    optimiser = CentreSGD(owner, 0.1)
    before = owner.centres.detach().clone()
    (owner.loss(*batch()) + owner.centres.square().sum()).backward()
    with pytest.raises(ArcwiseError, match="gradient of something other than the head's loss"):
        optimiser.step()
    assert torch.equal(owner.centres, before)


def test_frozen_centres_do_not_move():
    owner = head()
    optimiser = CentreSGD(owner, 0.1)
    owner.centres.requires_grad_(False)
    before = owner.centres.detach().clone()
    one_step(owner, optimiser)
    assert torch.equal(owner.centres, before)


def test_a_closure_makes_the_loss_of_its_step():
    owner, other = head(), head()
    optimiser = CentreSGD(owner, 0.1)

    def closure():
        loss = owner.loss(*batch())
        loss.backward()
        return loss.item()

    expected = owner.loss(*batch()).item()
    assert optimiser.step(closure) == expected
    one_step(other, CentreSGD(other, 0.1))
    assert torch.equal(owner.centres, other.centres)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("inputs", [torch.float32, torch.bfloat16, torch.float64])
def test_centres_of_any_type_move_as_torchs_sgd_moves_them(dtype, inputs):
    fused, ordinary = head(dtype=dtype), head(dtype=dtype)
    optimisers = [CentreSGD(fused, 0.1), torch.optim.SGD([ordinary.centres], 0.1, momentum=0.9)]
    for owner, optimiser in zip((fused, ordinary), optimisers, strict=True):
        for step in range(3):
            x, y = batch(step, inputs)
            optimiser.zero_grad()
            owner.loss(x, y).backward()
            optimiser.step()
    assert fused.centres.dtype == dtype
    tolerance = 10 * torch.finfo(dtype).eps
    torch.testing.assert_close(fused.centres, ordinary.centres, rtol=tolerance, atol=tolerance)
    assert (fused.centres - head(dtype=dtype).centres).abs().max() > 0.01


def test_a_step_under_autocast_is_the_same():
    moved = []
    for autocast in (False, True):
        owner = head(dtype=torch.float32, impl=Streaming(keep="none"))
        optimiser = CentreSGD(owner, 0.1)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            one_step(owner, optimiser)
        moved.append(owner.centres.detach())
    assert torch.equal(*moved)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -0.1}, "lr=-0.1; expected 0 or more"),
        ({"momentum": -0.1}, "momentum=-0.1; expected 0 or more"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1; expected 0 or more"),
        ({"weight_decay": 0.1, "sphere": True}, "weight_decay=0.1 on the sphere; expected 0"),
        ({"momentum": 0.0, "nesterov": True}, "nesterov=True with momentum=0"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    owner = head(ArcFace())
    with pytest.raises(ArcwiseError, match=message):
        CentreSGD(owner, **{"lr": 0.1, **options})
    assert owner.centre_optimiser is None
