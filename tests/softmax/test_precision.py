"""How many digits are right, at the size of a real step."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from arcwise import margin_softmax
from arcwise.margins import ArcFace
from arcwise.softmax import Streaming, negatives
from tests.softmax.exact import exact
from tests.softmax.problems import LOOPS, ask, at_cosine, draw, error

N, C, D = 96, 5003, 512
PASSES = {"recomputed": Streaming(keep="none"), "kept": Streaming(keep="fp32")}
passes = pytest.mark.parametrize("how", PASSES)


@pytest.fixture(params=LOOPS)
def loops(request, monkeypatch):
    """Both ways to exponentials, whatever the threads of this machine."""
    monkeypatch.setattr(negatives, "THREADS", LOOPS[request.param])


@pytest.fixture(scope="module")
def regime():
    """Batches as training meets them: at the start, and at a cosine to their own centres."""
    made = {}

    def of(cosine):
        if cosine not in made:
            x, w, _ = draw(N, C, D, 0)
            y = torch.arange(N) * 52
            w *= 0.01
            if cosine is not None:
                w[y] = w[y].norm(dim=1, keepdim=True) * at_cosine(cosine, x)
            x, w = x.float(), w.float()
            made[cosine] = x, w, y, exact(x, w, y, ArcFace(), 64.0)
        return made[cosine]

    return of


@passes
@pytest.mark.parametrize("cosine", [None, 0.7])
def test_float32_gradients_within_two_millionths(regime, cosine, how, loops):
    x, w, y, expected = regime(cosine)
    got = ask(x, w, y, margin=ArcFace(), scale=64.0, impl=PASSES[how])
    assert error(got.loss, expected.loss) < 2e-6
    assert error(got.dx, expected.dx) < 2e-6
    assert error(got.dw, expected.dw) < 2e-6


@pytest.mark.parametrize("keep", ["none", "bf16"])
@pytest.mark.parametrize("cosine", [None, 0.7])
def test_bf16_gradients_within_two_thousandths_of_an_exact_loss(regime, cosine, keep):
    x, w, y, expected = regime(cosine)
    how = Streaming(keep=keep, gradients="bf16")
    got = ask(x, w, y, margin=ArcFace(), scale=64.0, impl=how)
    assert error(got.loss, expected.loss) < 2e-6
    assert error(got.dx, expected.dx) < 2e-3
    assert error(got.dw, expected.dw) < 2e-3


def test_exponentials_kept_in_bf16_cost_two_thousandths(regime):
    x, w, y, expected = regime(0.7)
    got = ask(x, w, y, margin=ArcFace(), scale=64.0, impl=Streaming(keep="bf16"))
    assert 1e-5 < error(got.dx, expected.dx) < 2e-3
    assert 1e-5 < error(got.dw, expected.dw) < 2e-3


@passes
@pytest.mark.parametrize("cosine", [0.95, 0.99, 1.0])
def test_late_in_training_what_is_left_to_learn_keeps_its_digits(regime, cosine, how, loops):
    x, w, y, expected = regime(cosine)
    assert expected.loss < 1e-12
    got = ask(x, w, y, margin=ArcFace(), scale=64.0, impl=PASSES[how])
    assert error(got.loss, expected.loss) < 1e-5
    assert error(got.dx, expected.dx) < 1e-5
    assert error(got.dw, expected.dw) < 1e-5


def test_where_one_minus_p_has_nothing_left(regime):
    """What the test above guards against, shown by the textbook way in float32."""
    x, w, y, expected = regime(0.95)
    x = x.clone().requires_grad_()
    logits = 64 * functional.normalize(x) @ functional.normalize(w).T
    t = logits.gather(1, y[:, None]) / 64
    target = 64 * torch.cos(torch.acos(t) + 0.5)
    functional.cross_entropy(logits.scatter(1, y[:, None], target), y).backward()
    assert error(x.grad, expected.dx) > 0.5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("impl", ["dense", "streaming"])
def test_16_bit_inputs_are_computed_in_float32_and_rounded_once(dtype, impl):
    x, w, y = draw(8, 50, 64, 0, dtype)
    half = ask(x, w, y, margin=ArcFace(), impl=impl)
    full = ask(x.float(), w.float(), y, margin=ArcFace(), impl=impl)
    assert half.loss.dtype == torch.float32
    assert half.loss.item() == full.loss.item()
    assert torch.equal(half.dx, full.dx.to(dtype))
    assert torch.equal(half.dw, full.dw.to(dtype))


@pytest.mark.parametrize(("dtype", "budget"), [(torch.bfloat16, 0.02), (torch.float16, 0.0025)])
def test_rounding_the_inputs_costs_the_loss_no_more_than_its_budget(regime, dtype, budget):
    # Derivation N.2: at d = 512 a cosine of two bf16 rows is off by 1.7e-4, times s = 64.
    x, w, y, expected = regime(0.7)
    rounded = margin_softmax(x.to(dtype), w.to(dtype), y, margin=ArcFace())
    assert abs(rounded.item() - expected.loss.item()) < budget


@pytest.mark.parametrize("impl", ["dense", "streaming"])
@pytest.mark.parametrize(
    ("first", "second", "result"),
    [
        (torch.bfloat16, torch.float32, torch.float32),
        (torch.float32, torch.float16, torch.float32),
        (torch.bfloat16, torch.float16, torch.float32),
        (torch.float32, torch.float64, torch.float64),
        (torch.float64, torch.bfloat16, torch.float64),
    ],
)
def test_the_wider_input_settles_the_arithmetic(first, second, result, impl):
    x, w, y = draw(4, 9, 6, 0)
    x, w = x.to(first), w.to(second)
    got = ask(x, w, y, margin=ArcFace(), scale=16.0, impl=impl)
    assert (got.loss.dtype, got.dx.dtype, got.dw.dtype) == (result, first, second)
    expected = exact(x, w, y, ArcFace(), 16.0)
    assert error(got.loss, expected.loss) < (1e-12 if result == torch.float64 else 2e-6)


@pytest.mark.parametrize(("impl", "backward_too"), [("dense", False), ("streaming", True)])
def test_autocast_reaches_neither_loss_nor_gradients(impl, backward_too):
    x, w, y = draw(8, 50, 64, 0, torch.float32)
    plain = ask(x, w, y, margin=ArcFace(), impl=impl)
    x.requires_grad_(), w.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = margin_softmax(x, w, y, margin=ArcFace(), impl=impl)
    with torch.autocast("cpu", torch.bfloat16, enabled=backward_too):
        loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == plain.loss.item()
    assert torch.equal(x.grad, plain.dx)
    assert torch.equal(w.grad, plain.dw)


def test_two_runs_are_the_same_bit_for_bit(regime):
    x, w, y, _ = regime(0.7)
    first, second = (ask(x, w, y, margin=ArcFace()) for _ in range(2))
    assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))
