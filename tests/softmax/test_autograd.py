"""The loss as a citizen of autograd."""

from __future__ import annotations

import pytest
import torch

from arcwise import margin_softmax
from arcwise.errors import ArcwiseError
from arcwise.margins import ArcFace, CurricularFace
from arcwise.softmax import Streaming
from tests.softmax.exact import exact
from tests.softmax.problems import ask, draw

HOW = {
    "dense": "dense",
    "recomputed": Streaming(keep="none", chunk=7),
    "kept": Streaming(keep="fp32", chunk=7),
}
hows = pytest.mark.parametrize("how", HOW)
OPTIONS = {"margin": ArcFace(), "scale": 16.0}


def learning(seed=0, **options):
    x, w, y = draw(5, 23, 6, seed, **options)
    return x.requires_grad_(), w.requires_grad_(), y


@hows
def test_without_gradients_the_loss_is_the_same(how):
    x, w, y = learning()
    with torch.no_grad():
        silent = margin_softmax(x, w, y, impl=HOW[how], **OPTIONS)
    assert not silent.requires_grad
    assert silent.item() == margin_softmax(x, w, y, impl=HOW[how], **OPTIONS).item()


@hows
@pytest.mark.parametrize("which", ["embeddings", "centres"])
def test_one_input_alone_may_learn(how, which):
    x, w, y = learning()
    expected = exact(x, w, y, *OPTIONS.values())
    still, moving, expected_grad = (
        (w, x, expected.dx) if which == "embeddings" else (x, w, expected.dw)
    )
    still.requires_grad_(False)
    margin_softmax(x, w, y, impl=HOW[how], **OPTIONS).backward()
    assert still.grad is None
    torch.testing.assert_close(moving.grad, expected_grad)


@hows
def test_an_upstream_factor_multiplies_both_gradients(how):
    x, w, y = learning()
    (-3.5 * margin_softmax(x, w, y, impl=HOW[how], **OPTIONS)).backward()
    expected = exact(x, w, y, *OPTIONS.values())
    torch.testing.assert_close(x.grad, -3.5 * expected.dx)
    torch.testing.assert_close(w.grad, -3.5 * expected.dw)


@hows
def test_a_graph_that_is_kept_gives_its_gradients_again(how):
    x, w, y = learning()
    loss = margin_softmax(x, w, y, impl=HOW[how], **OPTIONS)
    loss.backward(retain_graph=True)
    loss.backward()
    expected = exact(x, w, y, *OPTIONS.values())
    torch.testing.assert_close(x.grad, 2 * expected.dx)
    torch.testing.assert_close(w.grad, 2 * expected.dw)


@hows
def test_a_second_backward_without_keeping_is_an_error(how):
    x, w, y = learning()
    loss = margin_softmax(x, w, y, impl=HOW[how], **OPTIONS)
    loss.backward()
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


@hows
def test_losses_summed_before_their_backward_keep_apart(how):
    x, w, y = learning()
    flipped = y.flip(0)
    loss = sum(margin_softmax(x, w, labels, impl=HOW[how], **OPTIONS) for labels in (y, flipped))
    loss.backward()
    first, second = (exact(x, w, labels, *OPTIONS.values()) for labels in (y, flipped))
    torch.testing.assert_close(x.grad, first.dx + second.dx)
    torch.testing.assert_close(w.grad, first.dw + second.dw)


@pytest.mark.parametrize("how", ["recomputed", "kept"])
def test_centres_changed_before_backward_are_an_error(how):
    x, w, y = learning()
    loss = margin_softmax(x, w, y, impl=HOW[how], **OPTIONS)
    with torch.no_grad():
        w[0] += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_the_dense_one_remembers_the_centres_as_they_were():
    x, w, y = learning()
    expected = exact(x, w, y, *OPTIONS.values())
    loss = margin_softmax(x, w, y, impl="dense", **OPTIONS)
    with torch.no_grad():
        w[0] += 1
    loss.backward()
    torch.testing.assert_close(w.grad, expected.dw)


@hows
def test_an_embedding_alone_has_no_gradient_of_its_neighbours_classes(how):
    """One sample at a time and all together are the same, but for the mean."""
    x, w, y = learning()
    margin_softmax(x, w, y, impl=HOW[how], **OPTIONS).backward()
    for i in range(5):
        alone = exact(x[i : i + 1], w, y[i : i + 1], *OPTIONS.values())
        torch.testing.assert_close(5 * x.grad[i], alone.dx[0])


@pytest.mark.parametrize("how", ["recomputed", "kept"])
def test_labels_changed_before_backward_change_nothing(how):
    x, w, y = learning()
    expected = exact(x, w, y, *OPTIONS.values())
    loss = margin_softmax(x, w, y, impl=HOW[how], **OPTIONS)
    y.zero_()
    loss.backward()
    torch.testing.assert_close(w.grad, expected.dw)


@pytest.mark.parametrize("how", ["recomputed", "kept"])
def test_a_second_derivative_is_refused_rather_than_wrong(how):
    x, w, y = learning()
    loss = margin_softmax(x, w, y, impl=HOW[how], **OPTIONS)
    with pytest.raises(ArcwiseError, match="first derivatives only"):
        torch.autograd.grad(loss, x, create_graph=True)


@hows
@pytest.mark.parametrize("subcentres", [None, 3])
def test_inputs_may_be_views_in_any_memory_order(how, subcentres):
    x, w, y = draw(5, 23, 6, 0, subcentres=subcentres)
    turned_x = x.T.contiguous().requires_grad_()
    turned_w = w.transpose(0, 1).contiguous().requires_grad_()
    margin_softmax(turned_x.T, turned_w.transpose(0, 1), y, impl=HOW[how], **OPTIONS).backward()
    expected = exact(x, w, y, *OPTIONS.values())
    torch.testing.assert_close(turned_x.grad.T, expected.dx)
    torch.testing.assert_close(turned_w.grad.transpose(0, 1), expected.dw)


@hows
def test_centres_may_be_part_of_a_larger_tensor(how):
    x, w, y = draw(5, 23, 6, 0)
    bank = torch.cat([torch.ones(3, 6).double(), w, torch.ones(2, 6).double()]).requires_grad_()
    margin_softmax(x, bank[3:-2], y, impl=HOW[how], **OPTIONS).backward()
    torch.testing.assert_close(bank.grad[3:-2], exact(x, w, y, *OPTIONS.values()).dw)
    assert not bank.grad[:3].any()


@hows
def test_every_other_column_and_one_shared_embedding(how):
    x, w, y = draw(5, 23, 12, 0)
    one = x[:1, ::2].expand(5, 6)
    got = ask(one, w[:, ::2], y, impl=HOW[how], **OPTIONS)
    expected = exact(one, w[:, ::2], y, *OPTIONS.values())
    torch.testing.assert_close(got.dx, expected.dx)
    torch.testing.assert_close(got.dw, expected.dw)


@pytest.mark.parametrize("how", ["recomputed", "kept"])
def test_rows_whose_logits_overtake_one_another_are_rescaled_both_ways(how):
    # s = 500 has a running maximum, which rises from chunk to chunk for these.
    x, w, y = draw(5, 40, 6, 0)
    for chunk in range(6):
        w[7 * chunk] = (0.2 * chunk - 0.3) * x[1] / x[1].norm() + 0.2 * w[7 * chunk]
    got = ask(x, w, y, margin=ArcFace(), scale=500.0, impl=HOW[how])
    expected = exact(x, w, y, ArcFace(), 500.0)
    torch.testing.assert_close(got.dx, expected.dx)
    torch.testing.assert_close(got.dw, expected.dw)


def test_a_dropped_loss_leaves_its_statistics_alone():
    x, w, y = learning()
    state = {"t": torch.tensor(0.4)}
    margin_softmax(x, w, y, margin=CurricularFace(), state=state)
    assert state["t"] == torch.tensor(0.4)
