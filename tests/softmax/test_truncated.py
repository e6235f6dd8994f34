"""The truncated pass: the exact loss, and a gradient whose missing part is known."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from arcwise.errors import ArcwiseError
from arcwise.heads import CentreHead
from arcwise.margins import ArcFace, CosFace, SupportVector
from arcwise.softmax import Truncated
from arcwise.softmax.flow import forward
from arcwise.softmax.problem import prepare
from tests.softmax.exact import exact
from tests.softmax.problems import ask, draw, error

TAU = 1e-3


def shares(x, w, y, margin, scale):
    """(N, C) probabilities of the classes that are not the target."""
    u = functional.normalize(x) @ functional.normalize(w).T
    rows = torch.arange(len(x))
    value = margin.target(u[rows, y], x.norm(dim=1), {})[0]
    p = torch.softmax(scale * u.scatter(1, y[:, None], value[:, None]), 1)
    return p.scatter(1, y[:, None], 0.0)


def first_pass(x, w, y, how, scale=32.0):
    """The loss and the context of a truncated pass."""
    return forward(how, prepare(x, w, y, ArcFace(), scale, {}))


@pytest.mark.parametrize("scale", [32.0, 500.0])  # a fixed maximum, and a running one
@pytest.mark.parametrize("chunk", [7, 64, 1000])
def test_entries_of_at_least_tau_are_kept_and_no_others(scale, chunk):
    x, w, y = draw(6, 300, 8, 0)
    p = shares(x, w, y, ArcFace(), scale)
    _, ctx = first_pass(x, w, y, Truncated(TAU, chunk=chunk), scale=scale)
    dropped = p.masked_fill(p >= TAU, 0).sum(1)
    assert ctx.passes.metrics["dropped"] == pytest.approx(
        dropped.mean().item(), rel=1e-9, abs=1e-12
    )
    assert ctx.passes.metrics["dropped_most"] == pytest.approx(
        dropped.max().item(), rel=1e-9, abs=1e-12
    )
    assert ctx.passes.metrics["kept"] == pytest.approx((p >= TAU).double().mean().item(), rel=1e-12)


@pytest.mark.parametrize("chunk", [7, 1000])
def test_the_gradient_is_that_of_the_kept_entries(chunk):
    x, w, y = draw(6, 300, 8, 0)
    scale, margin = 32.0, CosFace()
    p = shares(x, w, y, margin, scale)
    rest = p.sum(1)
    weights = p.masked_fill(p < TAU, 0)
    weights[torch.arange(6), y] = -rest  # the target's entry is the exact one
    weights *= scale / 6
    x.requires_grad_()
    w.requires_grad_()
    cosines = functional.normalize(x) @ functional.normalize(w).T
    expected = torch.autograd.grad((weights * cosines).sum(), (x, w))
    got = ask(x, w, y, margin=margin, scale=scale, impl=Truncated(TAU, chunk=chunk))
    assert error(got.dx, expected[0]) < 1e-12
    assert error(got.dw, expected[1]) < 1e-12


@pytest.mark.parametrize("below", ["drop", "roulette"])
def test_the_loss_is_exact(below):
    x, w, y = draw(6, 300, 8, 0)
    got = ask(x, w, y, margin=ArcFace(), scale=64.0, impl=Truncated(0.05, below, chunk=50))
    assert got.loss.item() == pytest.approx(exact(x, w, y, ArcFace(), 64.0).loss.item(), rel=1e-12)


def test_no_sample_is_further_off_than_its_dropped_probability_says():
    x, w, y = draw(12, 500, 16, 1)
    scale = 16.0
    p = shares(x, w, y, ArcFace(), scale)
    dropped = p.masked_fill(p >= 0.01, 0).sum(1)
    got = ask(x, w, y, margin=ArcFace(), scale=scale, impl=Truncated(0.01))
    off = (got.dx - exact(x, w, y, ArcFace(), scale).dx).norm(dim=1)
    assert (off > 0).all()
    assert (off <= scale / 12 * dropped / x.norm(dim=1) * (1 + 1e-9)).all()


@pytest.mark.parametrize("margin", [ArcFace(), SupportVector(ArcFace(), 1.2)])
@pytest.mark.parametrize("subcentres", [None, 2])
def test_roulette_is_right_on_average(margin, subcentres):
    torch.manual_seed(0)
    x, w, y = draw(4, 200, 8, 0, subcentres=subcentres)
    expected = exact(x, w, y, margin, 8.0)
    how = Truncated(0.02, "roulette", chunk=30)
    draws = [ask(x, w, y, margin=margin, scale=8.0, impl=how) for _ in range(200)]
    for got, want in (([d.dx for d in draws], expected.dx), ([d.dw for d in draws], expected.dw)):
        each = torch.stack(got)
        spread = each.std(0).norm() / len(draws) ** 0.5
        assert (each.mean(0) - want).norm() < 1.5 * spread  # about 1 where nothing is biased
        assert each.std(0).norm() > 0.02 * want.norm()  # and something was left to chance


def test_dropping_is_not_right_on_average():
    x, w, y = draw(4, 200, 8, 0)
    got = ask(x, w, y, margin=ArcFace(), scale=8.0, impl=Truncated(0.02))
    assert error(got.dx, exact(x, w, y, ArcFace(), 8.0).dx) > 0.02


def test_roulette_is_seeded():
    x, w, y = draw(4, 200, 8, 0)
    gradients = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        how = Truncated(0.02, "roulette")
        gradients.append(ask(x, w, y, margin=ArcFace(), scale=8.0, impl=how).dw)
    assert torch.equal(gradients[0], gradients[1])
    assert not torch.equal(gradients[0], gradients[2])


def test_a_head_tells_what_was_dropped():
    torch.manual_seed(0)
    head = CentreHead(200, 8, margin=ArcFace(), scale=8.0, impl=Truncated(0.02))
    x, _, y = draw(4, 200, 8, 0, torch.float32)
    head.loss(x, y)
    assert head.metrics.keys() == {"dropped", "dropped_most", "kept"}
    assert 0 < head.metrics["dropped"] <= head.metrics["dropped_most"] < 1


def test_a_batch_without_labels_drops_nothing():
    x, w, _ = draw(3, 20, 4, 0)
    loss, ctx = first_pass(x, w, torch.full((3,), -1), Truncated())
    assert loss == 0
    assert ctx.passes.metrics == {"dropped": 0.0, "dropped_most": 0.0, "kept": 0.0}
    assert (ctx.embedding_gradient == 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tau": -1e-5}, r"tau=-1e-05; expected a probability"),
        ({"tau": 1.0}, r"tau=1.0"),
        ({"tau": float("nan")}, r"tau=nan"),
        ({"below": "forget"}, r'expected "drop" or "roulette"'),
        ({"chunk": 0}, r"chunk=0; expected at least 1 class"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ArcwiseError, match=message):
        Truncated(**options)


def test_elsewhere_than_on_a_cpu_it_says_so():
    problem = SimpleNamespace(x=torch.empty(2, 4, device="meta"))
    with pytest.raises(ArcwiseError, match=r"on meta; it computes on a CPU"):
        Truncated().first_pass(problem)
