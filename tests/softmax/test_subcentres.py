"""K sub-centres a class, of which the nearest counts."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from arcwise import margin_softmax
from tests.softmax.exact import exact
from tests.softmax.family import FAMILY
from tests.softmax.problems import IMPLEMENTATIONS, ask, draw

implementations = pytest.mark.parametrize("impl", IMPLEMENTATIONS)
ARC = FAMILY["arc"].margin
SCALE = 12.0


@implementations
@pytest.mark.parametrize("name", FAMILY)
def test_loss_and_gradients_are_those_of_the_nearest(impl, name):
    case = FAMILY[name]
    x, w, y = draw(6, 15, 5, 0, subcentres=3)
    y[4], y[5] = y[0], -1
    state = case.state(y)
    got = ask(x, w, y, margin=case.margin, scale=SCALE, state=state, impl=IMPLEMENTATIONS[impl])
    expected = exact(x, w, y, case.margin, SCALE, state)
    assert got.loss.item() == pytest.approx(expected.loss.item(), rel=1e-12)
    torch.testing.assert_close(got.dx, expected.dx, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(got.dw, expected.dw, rtol=1e-9, atol=1e-10)


@implementations
def test_the_value_is_that_of_plain_centres_chosen_by_brute_force(impl):
    x, w, y = draw(4, 7, 5, 1, subcentres=3)
    got = margin_softmax(x, w, y, margin=ARC, scale=SCALE, impl=IMPLEMENTATIONS[impl])
    each = []
    for i in range(4):
        nearest = [max(c, key=lambda k: functional.cosine_similarity(k, x[i], 0)) for c in w]
        each.append(FAMILY["arc"].loss(x[i : i + 1], torch.stack(nearest), y[i : i + 1], SCALE))
    assert got.item() == pytest.approx(sum(each) / 4, rel=1e-10)


@implementations
def test_one_subcentre_is_the_plain_softmax(impl):
    x, w, y = draw(6, 15, 5, 0)
    plain, one = (ask(x, c, y, margin=ARC, impl=IMPLEMENTATIONS[impl]) for c in (w, w[:, None]))
    assert plain.loss.item() == one.loss.item()
    assert torch.equal(plain.dx, one.dx)
    assert torch.equal(plain.dw, one.dw[:, 0])


@implementations
def test_equal_subcentres_have_the_plain_loss_and_one_of_them_learns(impl):
    x, w, y = draw(6, 15, 5, 0)
    plain = ask(x, w, y, margin=ARC, impl=IMPLEMENTATIONS[impl])
    twins = ask(x, w[:, None].repeat(1, 2, 1), y, margin=ARC, impl=IMPLEMENTATIONS[impl])
    assert twins.loss.item() == pytest.approx(plain.loss.item(), rel=1e-12)
    torch.testing.assert_close(twins.dx, plain.dx)
    torch.testing.assert_close(twins.dw.sum(1), plain.dw)


@implementations
def test_a_subcentre_that_is_never_nearest_does_not_move(impl):
    x, w, y = draw(6, 15, 5, 0, subcentres=3)
    winners = (functional.normalize(x) @ functional.normalize(w, dim=2).view(45, 5).T).view(
        6, 15, 3
    ).argmax(2)  # fmt: skip
    lost = torch.ones(15, 3, dtype=torch.bool)
    for row in winners:
        lost[torch.arange(15), row] = False
    got = ask(x, w, y, margin=ARC, scale=SCALE, impl=IMPLEMENTATIONS[impl])
    assert lost.any()
    assert not got.dw[lost].any()
    assert (got.dw[~lost].norm(dim=1) > 0).all()


@implementations
def test_a_step_without_a_labelled_row_is_possible(impl):
    x, w, _ = draw(2, 15, 5, 0, subcentres=3)
    got = ask(x, w, torch.tensor([-1, -1]), margin=ARC, impl=IMPLEMENTATIONS[impl])
    assert got.loss == 0
    assert not got.dw.any()
