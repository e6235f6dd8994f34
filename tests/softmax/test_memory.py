"""What is never held at once, by watching every tensor that torch makes."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from arcwise import margin_softmax
from arcwise.heads import CentreHead, CentreSGD, Sampled
from arcwise.margins import ArcFace, SupportVector
from arcwise.softmax import Streaming
from arcwise.softmax.workspace import Workspace

N, C, D, CHUNK = 32, 4096, 16, 128


class Largest(TorchDispatchMode):
    """How many numbers the largest tensor had whose memory is none of the `known`."""

    def __init__(self, *known: torch.Tensor) -> None:
        super().__init__()
        self.known = {tensor.untyped_storage().data_ptr() for tensor in known}
        self.numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                storage = leaf.untyped_storage()
                if storage.data_ptr() not in self.known:
                    numbers = storage.nbytes() // leaf.element_size()
                    self.numbers = max(self.numbers, numbers)
        return result


def batch(requires_grad=True):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(N, D, generator=generator).requires_grad_(requires_grad)
    return x, torch.randint(0, C, (N,), generator=generator)


@pytest.mark.parametrize("margin", [ArcFace(), SupportVector(ArcFace())])
@pytest.mark.parametrize("scale", [64.0, 500.0])
def test_all_logits_are_never_there_at_once(margin, scale):
    x, y = batch()
    w = torch.randn(C, D).requires_grad_()
    how = Streaming(keep="none", chunk=CHUNK)
    with Largest() as largest:
        margin_softmax(x, w, y, margin=margin, scale=scale, impl=how).backward()
    assert largest.numbers == C * D  # the centres' gradient, which autograd asks for
    assert largest.numbers < N * C


def test_kept_exponentials_are_seen_by_the_same_watch():
    x, y = batch()
    w = torch.randn(C, D).requires_grad_()
    with Largest() as largest:
        margin_softmax(x, w, y, margin=ArcFace(), impl=Streaming(keep="fp32")).backward()
    assert largest.numbers == N * C


def test_without_gradients_nothing_is_kept():
    x, y = batch(requires_grad=False)
    with Largest() as largest:
        margin_softmax(
            x, torch.randn(C, D), y, margin=ArcFace(), impl=Streaming(keep="fp32", chunk=CHUNK)
        )
    assert largest.numbers <= C * D


@pytest.mark.parametrize("subcentres", [1, 2])
@pytest.mark.parametrize("sphere", [False, True])
def test_a_fused_step_never_has_the_gradient_of_all_centres(subcentres, sphere):
    how = Streaming(keep="none", chunk=CHUNK)
    head = CentreHead(C, D, margin=ArcFace(), impl=how, subcentres=subcentres)
    optimiser = CentreSGD(head, 0.1, momentum=0.9, sphere=sphere)
    for _ in range(2):  # the first one makes the momentum
        x, y = batch()
        known = [head.centres, *(s["momentum_buffer"] for s in optimiser.state.values())]
        with Largest(*known) as largest:
            head.loss(x, y).backward()
            optimiser.step()
    assert largest.numbers <= max(N * CHUNK * subcentres, 4 * N * D) < C * D


def test_a_sampled_step_never_has_anything_of_all_classes_but_their_order():
    how = Streaming(keep="none", chunk=CHUNK)
    head = CentreHead(C, D, margin=ArcFace(), impl=how, selection=Sampled(0.1))
    optimiser = CentreSGD(head, 0.1, momentum=0.9)
    for _ in range(2):
        x, y = batch()
        known = [head.centres, *(s["momentum_buffer"] for s in optimiser.state.values())]
        with Largest(*known) as largest:
            head.loss(x, y).backward()
            optimiser.step()
    assert largest.numbers <= round(0.1 * C) * D


def test_a_heads_steps_share_one_piece_of_memory():
    head = CentreHead(C, D, margin=ArcFace(), impl=Streaming(keep="fp32"))
    optimiser = CentreSGD(head, 0.1)
    made = []
    for _ in range(3):
        x, y = batch()
        with Largest(*made) as largest:
            head.loss(x, y).backward()
            optimiser.step()
        made = [head._workspace._free]
    assert largest.numbers < N * C


def test_the_budget_settles_whether_exponentials_are_kept():
    from arcwise.softmax.problem import prepare

    x, y = batch()
    problem = prepare(x, torch.randn(C, D), y, ArcFace(), 64.0, {})
    bytes_needed = 4 * N * C
    assert Streaming(budget=bytes_needed).kept(problem) == torch.float32
    assert Streaming(budget=bytes_needed - 1).kept(problem) is None
    half = Streaming(gradients="bf16", budget=bytes_needed // 2)
    assert half.kept(problem) == torch.bfloat16


def test_a_workspace_lends_a_piece_to_one_at_a_time():
    space = Workspace()
    first = space.take(10, torch.float32, torch.device("cpu"))
    second = space.take(10, torch.float32, torch.device("cpu"))
    assert first.data_ptr() != second.data_ptr()
    space.give(first)
    smaller = space.take(4, torch.float32, torch.device("cpu"))
    assert (smaller.data_ptr(), len(smaller)) == (first.data_ptr(), 4)
    space.give(smaller)
    whole = space.take(10, torch.float32, torch.device("cpu"))
    assert (whole.data_ptr(), len(whole)) == (first.data_ptr(), 10)
    assert space.take(10, torch.float32, torch.device("cpu")).data_ptr() != whole.data_ptr()


@pytest.mark.parametrize(("size", "dtype"), [(11, torch.float32), (10, torch.bfloat16)])
def test_a_workspace_makes_what_does_not_fit(size, dtype):
    space = Workspace()
    space.give(space.take(10, torch.float32, torch.device("cpu")))
    piece = space.take(size, dtype, torch.device("cpu"))
    assert (len(piece), piece.dtype) == (size, dtype)
