"""The compiled loops give what the tensor operations give, which serve where they cannot."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.heads import CentreHead, CentreSGD
from arcwise.margins import ArcFace, CurricularFace
from arcwise.softmax import Streaming, Truncated, compiled, negatives
from arcwise.softmax.loss import Rule
from arcwise.softmax.problem import prepare
from tests.softmax.exact import exact
from tests.softmax.problems import ask, draw, error

WAYS = {
    "kept": Streaming(keep="fp32", chunk=16),
    "recomputed": Streaming(keep="none", chunk=16),
    "nothing truncated": Truncated(tau=0, chunk=16),
}


@pytest.fixture(params=["loops", "tensors"])
def either(request, monkeypatch):
    """Once with the compiled loops, once as on a machine of many threads."""
    monkeypatch.setattr(negatives, "THREADS", 4096 if request.param == "loops" else 0)
    return request.param


def exponentiate(logits: list[float], scale: float = 1.0, maximum: float = 0.0):
    """One row of exponentials, and their sum."""
    row = np.array([logits], np.float32)
    total = np.zeros(1)
    ones = np.ones(len(logits), np.float32)
    compiled.exponentials(row, ones, np.float32(scale), np.array([maximum], np.float32), total)
    return row[0], float(total[0])


@given(st.lists(st.floats(-86.5, 80, width=32), min_size=1, max_size=40))
@settings(max_examples=200, deadline=None)
def test_exponentials_are_right_to_two_units_of_the_last_place(logits):
    got, total = exponentiate(logits)
    expected = np.exp(np.array(logits, np.float32).astype(np.float64))
    np.testing.assert_allclose(got, expected, rtol=2.4e-7)
    assert total == pytest.approx(expected.sum(), rel=5e-7)


def test_what_is_far_below_the_maximum_weighs_nothing():
    got, total = exponentiate([-np.inf, -300.0, -87.5, 0.0])
    assert got.tolist() == [0, 0, 0, 1]
    assert total == 1


def test_a_logit_that_is_no_number_is_none_after_either():
    got, total = exponentiate([0.0, np.nan, 1.0])
    assert np.isnan(got).tolist() == [False, True, False]
    assert np.isnan(total)


def test_products_become_logits_by_length_scale_and_maximum():
    got, _ = exponentiate([0.25, 0.5], scale=16.0, maximum=3.0)
    np.testing.assert_allclose(got, np.exp([1.0, 5.0]), rtol=1e-6)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("sphere", [False, True])
def test_a_step_is_that_of_torch(momentum, nesterov, sphere):
    if nesterov and not momentum:
        pytest.skip("torch has no Nesterov step without momentum")
    torch.manual_seed(0)
    centres, sums, velocity = (torch.randn(6, 9) for _ in range(3))
    inverse = 1 / centres.norm(dim=1)
    decay = 0.0 if sphere else 0.01
    rule = Rule(1.5, 0.1, momentum, decay, nesterov, sphere)
    along = (sums * centres).sum(1) * inverse**2
    gradient = sums - along[:, None] * centres
    expected, moving = centres.clone(), velocity.clone() if momentum else None
    rule.step(expected, gradient, moving)

    numbers = map(np.float32, (1.5, 0.1, momentum, decay))
    kept = velocity if momentum else sums[:0]
    compiled.step(
        sums.numpy(), centres.numpy(), kept.numpy(), inverse.numpy(), *numbers, nesterov, sphere
    )
    torch.testing.assert_close(centres, expected, rtol=2e-6, atol=2e-6)
    if moving is not None:
        torch.testing.assert_close(velocity, moving, rtol=2e-6, atol=2e-6)


def test_a_centre_of_length_zero_stays_on_no_sphere():
    centres = np.zeros((1, 3), np.float32)
    one, nothing = np.ones(1, np.float32), np.zeros((1, 3), np.float32)
    zero = np.float32(0)
    compiled.step(
        nothing, centres, nothing[:0], one, *(np.float32(1),) * 2, zero, zero, False, True
    )
    assert (centres == 0).all()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("length", [1.0, 1e-9])
def test_gradients_are_exact_either_way(either, way, length):
    x, w, y = draw(7, 70, 12, 0, torch.float32)
    w[::5] *= length  # some rows are out of the loops' comfort
    got = ask(x, w, y, margin=ArcFace(), scale=64.0, impl=WAYS[way])
    expected = exact(x, w, y, ArcFace(), 64.0)
    assert error(got.loss, expected.loss) < 1e-6
    assert error(got.dx, expected.dx) < 2e-6
    assert error(got.dw, expected.dw) < 2e-6


@pytest.mark.parametrize("way", WAYS)
def test_centres_move_alike_either_way(either, way):
    torch.manual_seed(0)
    fused = CentreHead(50, 8, margin=ArcFace(), scale=32.0, impl=WAYS[way])
    plain = CentreHead(50, 8, margin=ArcFace(), scale=32.0, impl="dense")
    plain.load_state_dict(fused.state_dict())
    rule = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
    optimisers = CentreSGD(fused, **rule), torch.optim.SGD(plain.parameters(), **rule)
    for seed in range(5):
        x, _, y = draw(6, 50, 8, seed, torch.float32)
        for head, optimiser in zip((fused, plain), optimisers, strict=True):
            optimiser.zero_grad()
            (0.5 * head.loss(x, y)).backward()
            optimiser.step()
    assert error(fused.centres.detach(), plain.centres.detach()) < 5e-6


def test_loops_are_for_float32_on_few_threads(monkeypatch):
    x, w, y = draw(3, 5, 4, 0, torch.float32)
    problem = prepare(x, w, y, ArcFace(), 16.0, {})
    monkeypatch.setattr(negatives, "THREADS", torch.get_num_threads())
    assert negatives.compiled(problem) is compiled
    assert negatives.compiled(prepare(x.double(), w, y, ArcFace(), 16.0, {})) is None
    monkeypatch.setattr(negatives, "THREADS", torch.get_num_threads() - 1)
    assert negatives.compiled(problem) is None


def test_without_numba_the_numbers_are_the_same_and_truncation_says_what_it_needs(monkeypatch):
    x, w, y = draw(5, 40, 8, 0, torch.float32)
    before = ask(x, w, y, margin=ArcFace(), scale=64.0)
    for name in ("compiled", "truncated.sparse"):
        monkeypatch.delattr(f"arcwise.softmax.{name}", raising=False)
        monkeypatch.delitem(sys.modules, f"arcwise.softmax.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "numba", None)
    after = ask(x, w, y, margin=ArcFace(), scale=64.0)
    assert error(after.dw, before.dw) < 2e-6
    with pytest.raises(Exception, match=r"numba.*pip install 'arcwise\[train\]'"):
        ask(x, w, y, margin=ArcFace(), impl="truncated")


def test_reweighted_negatives_are_left_to_tensor_operations(either):
    state = {"t": torch.tensor(0.3)}
    x, w, y = draw(7, 70, 12, 0, torch.float32)
    got = ask(x, w, y, margin=CurricularFace(), scale=32.0, state=state, impl=WAYS["kept"])
    expected = exact(x, w, y, CurricularFace(), 32.0, state)
    assert error(got.dw, expected.dw) < 2e-6
