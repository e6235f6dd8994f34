"""Places where a formula has no digits left, or a range ends."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from arcwise.margins import ArcFace
from arcwise.softmax import Streaming, negatives
from tests.softmax.exact import exact
from tests.softmax.family import BORDER, FAMILY
from tests.softmax.problems import LOOPS, ask, at_cosine, draw, error

PLACES = {
    "on its centre": 1.0,
    "opposite": -1.0,
    "nearly on it": 1 - 1e-7,
    "nearly opposite": 1e-7 - 1,
    "just before π - m": math.cos(BORDER - 1e-6),
    "just past π - m": math.cos(BORDER + 1e-6),
}
OTHERWISE = ["no embedding", "no centre", "twin centres", "on another", "unlabelled", "repeated"]
LENGTHS = [1e-25, 1e-10, 1e-2, 1.0, 1e2, 1e10, 1e25]
MASKED = ("support", "curricular", "filtered", "filtered out")


@dataclass
class Question:
    x: torch.Tensor
    w: torch.Tensor
    y: torch.Tensor
    name: str
    scale: float
    chunk: int
    keep: str
    detached: bool
    threads: int


@st.composite
def problems(pick, dtype):
    n, d = pick(st.integers(1, 6)), pick(st.integers(3, 8))
    c = pick(st.sampled_from([2, 7, 7, 65, 65, 507]))
    x, w, y = draw(n, c, d, pick(st.integers(0, 10_000)))
    for i in range(n):
        place = pick(st.sampled_from([None, *PLACES, *OTHERWISE]))
        other = (y[i] + 1) % c
        if place in PLACES:
            w[y[i]] = at_cosine(PLACES[place], x[i : i + 1], i)[0]
        elif place == "no embedding":
            x[i] = 0
        elif place == "no centre":
            w[y[i]] = 0
        elif place == "twin centres":
            w[other] = w[y[i]]
        elif place == "on another":
            w[other] = x[i]
        elif place == "unlabelled":
            y[i] = -1
        elif place == "repeated":
            y[i], x[i] = y[0], x[0]
    x *= torch.tensor([pick(st.sampled_from(LENGTHS)) for _ in range(n)])[:, None]
    w *= torch.tensor(pick(st.lists(st.sampled_from(LENGTHS), min_size=c, max_size=c)))[:, None]
    return Question(
        x.to(dtype), w.to(dtype), y, pick(st.sampled_from(sorted(FAMILY))),
        pick(st.sampled_from([1.0, 16.0, 64.0, 80.0, 100.0, 500.0])),
        pick(st.sampled_from([1, 7, 64, c])), pick(st.sampled_from(["none", "fp32"])),
        pick(st.booleans()), pick(st.sampled_from(sorted(LOOPS.values()))),
    )  # fmt: skip


def far_from_every_mask(q: Question, case, distance) -> bool:
    """Whether rounding by this much cannot change which negatives are re-weighted."""
    rows = q.y >= 0
    x, y = q.x[rows].double(), q.y[rows]
    lengths = x.norm(dim=1)
    u = functional.normalize(x, eps=1e-200) @ functional.normalize(q.w.double(), eps=1e-200).T
    value = case.margin.target(u.gather(1, y[:, None])[:, 0], lengths, case.state(q.y))[0]
    u = u.scatter(1, y[:, None], torch.inf)
    return bool(((u - value[:, None]).abs() > distance).all() and
                ((u - 0.4).abs() > distance).all())  # fmt: skip


def at_a_pole(q: Question) -> bool:
    """Whether an embedding lies on its centre or opposite to it, to float64's rounding.

    There sin θ = √(1 - cos² θ) is the root of what a few roundings of 1e-16 leave of the cosine:
    up to 4e-8 where it is 0, on both sides of a comparison and differently.
    """
    rows = q.y >= 0
    x, w = (functional.normalize(v.double(), eps=1e-200) for v in (q.x[rows], q.w[q.y[rows]]))
    return bool(((x * w).sum(1).abs() > 1 - 1e-12).any())


def check(q: Question, rounding: float) -> None:
    case = FAMILY[q.name]
    if q.name in (*MASKED, "support plain"):
        assume(far_from_every_mask(q, case, 10 * rounding))
    state = case.state(q.y)
    margin = case.margin
    if q.detached and hasattr(margin, "gradient"):  # the same logit, another derivative
        margin = replace(margin, gradient="detached")
    expected = exact(q.x, q.w, q.y, margin, q.scale, state)
    oracle = case.loss(q.x, q.w, q.y, q.scale)
    pole = 4e-8 * q.scale if at_a_pole(q) else 0.0
    assert expected.loss.item() == pytest.approx(oracle, rel=1e-7, abs=1e-9 + pole)
    how = Streaming(keep=q.keep, chunk=q.chunk)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(negatives, "THREADS", q.threads)
        got = ask(q.x, q.w, q.y, margin=margin, scale=q.scale, state=state, impl=how)
    # A logit is wrong by s times the rounding of a cosine, and a share of the softmax by e to that.
    if at_a_pole(q):
        rounding = max(rounding, 2e-8)
    share = rounding * (10 + 4 * q.scale)
    assert abs(got.loss.double() - expected.loss) <= share * (1 + expected.loss)
    for grad, exact_grad, rows in ((got.dx, expected.dx, q.x), (got.dw, expected.dw, q.w)):
        lengths = rows.double().norm(dim=1)
        bound = torch.where(lengths > 0, 4 * q.scale / lengths, 0.0) + rounding
        wrong = (grad.double() - exact_grad).norm(dim=1)
        assert (wrong <= share * bound).all()


@given(problems(torch.float64))
@settings(max_examples=50, deadline=None)
def test_in_float64_nothing_is_lost_anywhere(question):
    check(question, 1e-10)  # the derivative near a pole amplifies the rounding of its cosine


@given(problems(torch.float32))
@settings(max_examples=60, deadline=None)
def test_in_float32_no_more_is_lost_than_a_cosine_is_rounded_by(question):
    check(question, 2e-7)


def mislabelled(length):
    """A sample on one centre and opposite to the one of its label; all centres this long."""
    w = functional.normalize(draw(2, 10, 16, 0)[1])
    x = torch.eye(16, dtype=torch.float64)[:2]
    w[0], w[1] = -x[0], x[0]
    return x.float(), (w * length).float(), torch.tensor([0, 3])


@pytest.mark.parametrize("threads", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("keep", ["none", "fp32"])
@pytest.mark.parametrize("length", [1e-13, 1e-11, 1e-5, 2e-3, 1e-2, 1.0, 9e2, 1e5, 1e13])
def test_the_length_that_all_centres_share_does_not_overflow_the_exponentials(
    length, keep, threads, monkeypatch
):
    monkeypatch.setattr(negatives, "THREADS", threads)
    x, w, y = mislabelled(length)
    got = ask(x, w, y, margin=ArcFace(), scale=64.0, impl=Streaming(keep=keep))
    expected = exact(x, w, y, ArcFace(), 64.0)
    assert error(got.dx, expected.dx) < 1e-6
    assert error(got.dw, expected.dw) < 1e-6


@pytest.mark.parametrize("size", [1e-25, 1e-10, 1e10, 1e25, 1e37])
def test_an_embeddings_length_is_only_its_gradients(size):
    x, w, y = draw(3, 4, 5, 0, torch.float32)
    got = ask(x * size, w, y, margin=ArcFace(), scale=64.0)
    expected = exact(x, w, y, ArcFace(), 64.0)
    assert got.loss.item() == pytest.approx(expected.loss.item(), rel=1e-6)
    assert error(got.dx.double() * size, expected.dx) < 2e-6


@pytest.mark.parametrize("size", [1e-25, 1e200])
def test_in_float64_squares_may_be_out_of_range(size):
    x, w, y = draw(3, 4, 5, 0)
    got = ask(x * size, w * size, y, margin=ArcFace(), scale=64.0)
    expected = exact(x, w, y, ArcFace(), 64.0)
    assert got.loss.item() == pytest.approx(expected.loss.item(), rel=1e-12)
    assert error(got.dx * size, expected.dx) < 1e-12
    assert error(got.dw * size, expected.dw) < 1e-12


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", FAMILY)
def test_trap_10_imprinted_centres_opposites_zeros_and_duplicates_stay_finite(name, dtype):
    case = FAMILY[name]
    x, w, y = draw(6, 8, 5, 0, dtype)
    w[0] = x[0]  # cos = 1, as the target
    w[1] = -x[1]  # cos = -1, as the target
    w[2] = x[3]  # cos = 1, as another class
    w[5] = w[6]  # two centres in one place
    w[7] = 0
    x[4] = 0
    y[:6] = torch.tensor([0, 1, 3, 4, 5, 7])
    got = ask(x, w, y, margin=case.margin, scale=64.0, state=case.state(y))
    assert all(part.isfinite().all() for part in got)
    assert (got.dx[4] == 0).all()
    assert (got.dw[7] == 0).all()


def test_a_single_class_leaves_nothing_to_learn():
    x, w, y = draw(3, 1, 5, 0, torch.float32)
    got = ask(x, w, y, margin=ArcFace(), scale=64.0)
    assert got.loss == 0
    assert not got.dx.any()
    assert not got.dw.any()


def test_no_class_at_all_is_a_loss_of_zero():
    x, w, _ = draw(2, 2, 5, 0, torch.float32)
    assert ask(x, w[:0], torch.tensor([-1, -1]), margin=ArcFace()).loss == 0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["embedding", "centre"])
@pytest.mark.parametrize("scale", [64.0, 500.0])
@pytest.mark.parametrize("threads", LOOPS.values(), ids=LOOPS)
def test_what_is_not_a_number_shows_in_the_loss(bad, where, scale, threads, monkeypatch):
    monkeypatch.setattr(negatives, "THREADS", threads)
    x, w, y = draw(3, 9, 5, 0, torch.float32)
    (x if where == "embedding" else w)[1, 2] = bad
    assert not ask(x, w, y, margin=ArcFace(), scale=scale).loss.isfinite()
