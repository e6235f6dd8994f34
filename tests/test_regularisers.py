from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise import margin_softmax
from arcwise.errors import ArcwiseError
from arcwise.margins import ArcFace
from arcwise.regularisers import CentreLoss, inter, intra
from tests.pairs.batches import Largest
from tests.pairs.enumeration import angle

dtypes = pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16]
)


def draw(n, c, d, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, d, generator=generator, dtype=torch.float64)
    w = torch.randn(c, d, generator=generator, dtype=torch.float64)
    return x.to(dtype), w.to(dtype), torch.randint(-1, c, (n,), generator=generator)


def awkward(n, c, d, seed):
    """The same with a centre at its row, one opposite, two in one place and one nowhere."""
    x, w, y = draw(n, c, d, seed)
    generator = torch.Generator().manual_seed(seed)
    i, j, k = torch.randint(0, c, (3,), generator=generator).tolist()
    x[0] = w[i] if seed % 2 else -2 * w[i]
    y[0] = i
    w[j] = w[k]
    if not seed % 3:
        w[i] = 0
    return x, w, y


batches = st.builds(
    awkward, st.integers(1, 6), st.integers(2, 7), st.integers(1, 4), st.integers(0, 10_000)
)


@given(batch=batches)
@settings(max_examples=60, deadline=None)
def test_intra_is_the_mean_angle_over_pi(batch):
    x, w, y = batch
    angles = [angle(x[i].tolist(), w[j].tolist()) for i, j in enumerate(y.tolist()) if j >= 0]
    got = intra(x, w, y).item()
    assert got == pytest.approx(math.fsum(angles) / len(angles) / math.pi, rel=1e-9, abs=1e-12)
    assert 0 <= got <= 1


@given(batch=batches, chunk=st.sampled_from([1, 2, 5, 1000]))
@settings(max_examples=60, deadline=None)
def test_inter_is_minus_the_mean_angle_to_all_others_over_pi(batch, chunk):
    _, w, y = batch
    angles = [
        angle(w[i].tolist(), w[j].tolist())
        for i in y.tolist()
        for j in range(len(w))
        if i >= 0 and i != j
    ]
    expected = -math.fsum(angles) / len(angles) / math.pi
    got = inter(w, y, chunk=chunk).item()
    assert got == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert -1 <= got <= 0


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_inter_of_a_regular_simplex(classes):
    corners = torch.eye(classes, dtype=torch.float64) - 1 / classes
    expected = -math.acos(-1 / (classes - 1)) / math.pi
    assert inter(corners, torch.tensor([0, 1, 1])).item() == pytest.approx(expected, rel=1e-12)


def test_intra_by_hand():
    w = torch.tensor([[1.0, 0], [0, 3]])
    x = torch.tensor([[2.0, 0], [5, 0], [-1, 0], [1, 1]])
    y = torch.tensor([0, 1, 0, 1])
    assert intra(x, w, y).item() == pytest.approx((0 + 1 / 2 + 1 + 1 / 4) / 4)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_gradients_are_those_of_the_value(seed):
    x, w, y = draw(5, 6, 4, seed)
    x.requires_grad_()
    w.requires_grad_()
    assert torch.autograd.gradcheck(lambda x, w: intra(x, w, y), (x, w))
    for chunk in (1, 4, 6):
        assert torch.autograd.gradcheck(lambda w, chunk=chunk: inter(w, y, chunk=chunk), (w,))


def test_intra_pulls_every_row_with_the_same_force():
    theta = torch.tensor([1e-6, 1e-3, 1.0, 3.0], dtype=torch.float64)
    x = torch.stack([theta.cos(), theta.sin()], 1).requires_grad_()
    w = torch.tensor([[2.0, 0]], dtype=torch.float64)
    intra(x, w, torch.zeros(4, dtype=torch.int64)).backward()
    assert x.grad.norm(dim=1).tolist() == pytest.approx([1 / (4 * math.pi)] * 4, rel=1e-3)


@dtypes
def test_edges_stay_finite(dtype):
    x, w, y = draw(8, 9, 5, 0, dtype)
    y[:6] = torch.tensor([0, 1, 2, 3, 4, -1])
    w[0] = x[0]
    w[1] = -x[1]
    w[5] = w[6] = w[2]
    w[3] = 0
    x[4] = 0
    x.requires_grad_()
    w.requires_grad_()
    loss = intra(x, w, y) + inter(w, y, chunk=4)
    loss.backward()
    assert loss.isfinite()
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert w.grad.dtype == dtype
    assert x.grad.isfinite().all()
    assert w.grad.isfinite().all()
    assert (x.grad[[0, 1, 4, 5]] == 0).all()  # at 0, at π, nowhere, and of no class
    assert (w.grad[3] == 0).all()
    assert (x.grad[2] != 0).any()
    assert (w.grad[7] != 0).any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_narrow_types_are_computed_wide(dtype):
    x, w, y = draw(8, 9, 5, 0, dtype)
    narrow = [intra(x, w, y), inter(w, y)]
    wide = [intra(x.double(), w.double(), y), inter(w.double(), y)]
    assert [loss.item() for loss in narrow] == [loss.float().item() for loss in wide]


@pytest.mark.parametrize("labels", [[], [-1], [-1, -1]], ids=str)
def test_without_a_label_nothing_is_added(labels):
    x, w, _ = draw(len(labels), 3, 4, 0)
    x.requires_grad_()
    w.requires_grad_()
    y = torch.tensor(labels, dtype=torch.int64)
    centre = CentreLoss(3, 4).double()
    loss = intra(x, w, y) + inter(w, y) + centre(x, y)
    loss.backward()
    assert loss.item() == 0
    assert (x.grad == 0).all()
    assert (w.grad == 0).all()
    assert (centre.centres == 0).all()


@pytest.mark.parametrize("size", [1e-25, 1e25])
def test_lengths_do_not_matter_to_angles(size):
    x, w, y = draw(5, 6, 4, 0, torch.float32)
    reference = [intra(x, w, y).item(), inter(w, y).item()]
    assert [intra(x * size, w * size, y).item(), inter(w * size, y).item()] == pytest.approx(
        reference, rel=1e-6
    )


def test_inter_never_makes_all_angles_at_once():
    _, w, _ = draw(1, 600, 4, 0)
    y = torch.arange(300)
    results = []
    for chunk in (10, 7, 600):
        w.grad = None
        w.requires_grad_()
        with Largest() as largest:
            loss = inter(w, y, chunk=chunk)
            loss.backward()
        results.append((loss.item(), w.grad))
        assert largest.elements == max(300 * chunk, w.numel())
    for loss, gradient in results[1:]:
        assert loss == pytest.approx(results[0][0], rel=1e-12)
        torch.testing.assert_close(gradient, results[0][1])


def test_inter_without_gradients():
    _, w, y = draw(5, 6, 4, 0)
    assert not inter(w, y).requires_grad
    with torch.no_grad():
        value = inter(w.requires_grad_(), y)
    assert value.item() == inter(w, y).item()


def test_autocast_does_not_reach_the_angles():
    x, w, y = draw(5, 6, 40, 0, torch.float32)
    plain = [intra(x, w, y), inter(w, y)]
    with torch.autocast("cpu", torch.bfloat16):
        assert [intra(x, w, y), inter(w, y)] == plain


def test_the_equations_of_arcface():
    """L5 = L2 + intra and L6 = L2 + inter: one sum, one gradient."""
    x, w, y = draw(5, 6, 4, 0)
    w.requires_grad_()
    loss = margin_softmax(x, w, y, margin=ArcFace()) + intra(x, w, y) + inter(w, y)
    loss.backward()
    assert w.grad.isfinite().all()


# CentreLoss: two rows of class 0, (2, 0) and (4, 0), one of class 1, (0, 3), none of class 2.
X = torch.tensor([[2.0, 0.0], [4.0, 0.0], [0.0, 3.0], [9.0, 9.0]])
Y = torch.tensor([0, 0, 1, -1])


def test_centres_by_hand():
    loss = CentreLoss(3, 2, alpha=1.0)
    assert loss(X, Y).item() == pytest.approx((4 + 16 + 9) / 2 / 3)
    # (c + Σx) / (1 + n): a class's rows are added up before dividing
    assert loss.centres.tolist() == [[2.0, 0.0], [0.0, 1.5], [0.0, 0.0]]
    assert loss(X, Y).item() == pytest.approx((0 + 4 + 2.25) / 2 / 3)
    torch.testing.assert_close(loss.centres, torch.tensor([[8 / 3, 0.0], [0.0, 2.25], [0.0, 0.0]]))


def test_centres_move_by_alpha_of_the_way():
    for loss in (CentreLoss(3, 2, alpha=0.5), CentreLoss(3, 2)):
        loss(X, Y)
        assert loss.centres.tolist() == [[1.0, 0.0], [0.0, 0.75], [0.0, 0.0]]
    still = CentreLoss(3, 2, alpha=0.0)
    still(X, Y)
    assert (still.centres == 0).all()


def test_centres_in_float64_move_in_float64():
    loss = CentreLoss(3, 2, alpha=0.5).double()
    loss(X.double(), Y)
    assert loss.centres.tolist() == [[pytest.approx(1.0, rel=1e-15), 0], [0, 0.75], [0, 0]]


def test_one_row_is_not_averaged_with_nothing():
    assert CentreLoss(3, 2)(X[:1], Y[:1]).item() == pytest.approx(4 / 2)


def test_absent_classes_keep_every_bit():
    loss = CentreLoss(50, 3)
    loss.centres.normal_()
    before = loss.centres.clone()
    loss(torch.randn(20, 3), torch.arange(20) % 7)
    assert torch.equal(loss.centres[7:], before[7:])
    assert (loss.centres[:7] != before[:7]).any(1).all()


def test_the_gradient_is_towards_centres_taken_as_constants():
    loss = CentreLoss(3, 2)
    loss.centres.normal_()
    before = loss.centres.clone()
    x = X.clone().requires_grad_()
    loss(x, Y).backward()  # the centres have moved by now: the gradient knows the old ones
    expected = torch.cat([(X[:3] - before[Y[:3]]) / 3, torch.zeros(1, 2)])
    torch.testing.assert_close(x.grad, expected)
    assert torch.autograd.gradcheck(loss.double().eval(), (x.detach().double().requires_grad_(), Y))


def test_centres_are_still_in_evaluation():
    loss = CentreLoss(3, 2).eval()
    assert loss(X, Y).item() == pytest.approx((4 + 16 + 9) / 2 / 3)
    assert (loss.centres == 0).all()


def test_centres_are_saved_and_no_optimiser_sees_them():
    loss = CentreLoss(3, 2)
    loss(X, Y)
    assert not list(loss.parameters())
    other = CentreLoss(3, 2)
    other.load_state_dict(loss.state_dict())
    assert torch.equal(other.centres, loss.centres)
    assert (other.centres != 0).any()


@dtypes
def test_centre_loss_in_every_type(dtype):
    x, _, y = draw(20, 4, 3, 0, dtype)
    loss = CentreLoss(4, 3)
    x.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(x, y)
    value.backward()
    assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert loss.centres.dtype == torch.float32
    reference = CentreLoss(4, 3)
    assert value.item() == pytest.approx(reference(x.detach().double(), y).item(), rel=1e-6)
    assert torch.equal(loss.centres, reference.centres)
    assert x.grad.isfinite().all()


def test_centres_never_overflow():
    loss = CentreLoss(1, 2, alpha=1.0)
    loss(torch.full((9, 2), 3e38), torch.zeros(9, dtype=torch.int64))
    assert loss.centres.tolist() == [pytest.approx([2.7e38, 2.7e38])]


def test_centres_find_the_means_of_their_classes():
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(4, 3, generator=generator) * 5
    loss = CentreLoss(4, 3)
    for _ in range(200):
        y = torch.randint(0, 4, (32,), generator=generator)
        loss(means[y] + 0.1 * torch.randn(32, 3, generator=generator), y)
    torch.testing.assert_close(loss.centres, means, rtol=0, atol=0.2)


W = torch.zeros(3, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: CentreLoss(0, 2), r"CentreLoss: got 0 classes, 2 dimensions; expected at least 1"),
        (lambda: CentreLoss(2, 0), r"2 classes, 0 dimensions"),
        (lambda: CentreLoss(2, 2, alpha=1.1), r"alpha=1.1; expected 0 to 1"),
        (lambda: CentreLoss(2, 2, alpha=-0.1), r"alpha=-0.1"),
        (lambda: CentreLoss(3, 5)(X, Y), r"CentreLoss: got embeddings \(4, 2\); expected \(N, 5\)"),
        (lambda: CentreLoss(1, 2)(X, Y), r"labels from -1 to 1; expected 0 to 0 for 1 classes"),
        (lambda: intra(X[0], W, Y), r"intra: got embeddings \(2,\); expected \(N, 2\)"),
        (lambda: intra(X, W[0], Y), r"intra: got centres \(2,\); expected \(C, D\)"),
        (lambda: intra(X[:, :0], W[:, :0], Y), r"centres \(3, 0\)"),
        (lambda: intra(X, W, Y[:2]), r"labels \(2,\) of torch.int64; expected \(4,\)"),
        (lambda: intra(X, W, Y.float()), r"labels \(4,\) of torch.float32"),
        (lambda: intra(X, W, Y - 1), r"labels from -2 to 0"),
        (lambda: inter(W[0], Y), r"inter: got centres \(2,\)"),
        (lambda: inter(W, Y[None]), r"inter: got labels \(1, 4\) of torch.int64; expected \(N,\)"),
        (lambda: inter(W, Y + 2), r"labels from 1 to 3; expected 0 to 2 for 3 classes"),
        (lambda: inter(W[:1], Y[3:]), r"inter: got 1 centres"),
        (lambda: inter(W, Y, chunk=0), r"inter: got chunk=0"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ArcwiseError, match=message):
        call()
