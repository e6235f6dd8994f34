"""What is measured: each line builds one step (loss, both gradients, update) of a head.

Every head has the same problem: ArcFace with m = 0.5 rad and s = 64, SGD with momentum 0.9 and
weight decay 5e-4. What a line needs is imported when it is built, so that a process holds its
own line and nothing else.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

MARGIN, SCALE = 0.5, 64.0
SGD = {"lr": 1e-5, "momentum": 0.9, "weight_decay": 5e-4}
"""The rate is so small that every repetition meets the same problem: at 0.1 a few steps on one
batch have learnt it, and a truncated gradient has nothing left to keep. The work is the same."""

TAU = 3e-5
"""Probability under which the truncated lines drop a gradient entry, or draw for it."""


class Absent(Exception):
    """This line cannot be measured here; the message says what is missing."""


@dataclass(frozen=True)
class Step:
    """One step, in its two halves.

    Attributes:
        loss: forward and backward; the scalar loss.
        update: the optimiser's part.
        gradients: gradients of the embeddings and of the centres, (N, D) and (C, D), after
            `loss`; None where the centres' gradient never exists.
        metrics: of the last loss, the error of its gradients.
    """

    loss: Callable[[], Tensor]
    update: Callable[[], object]
    gradients: Callable[[], tuple[Tensor, Tensor]] | None = None
    metrics: Callable[[], dict[str, float]] = dict


Build = Callable[[Tensor, Tensor, Tensor], Step]
"""Embeddings (N, D), a leaf with gradient; labels (N,); centres (C, D), handed over → a step."""


@dataclass(frozen=True)
class Line:
    """One row of the table.

    Attributes:
        title: how the table calls it.
        build: makes its step.
        twin: makes a step with both gradients, where `build` makes one without.
        ours: whether it is arcwise's, and so has a goal.
        truncated: whether its gradient leaves something out, and its error is reported.
        compiled: whether only a rehearsal at full size warms it up.
    """

    title: str
    build: Build
    twin: Build | None = None
    ours: bool = False
    truncated: bool = False
    compiled: bool = False


def ours(
    kind: str, settings: dict[str, Any], *, fused: bool = True, rate: float | None = None
) -> Build:
    """A `CentreHead` on softmax.<kind>(**settings), its dW fused away or left to torch's SGD."""

    def build(embeddings: Tensor, labels: Tensor, centres: Tensor) -> Step:
        import torch

        from arcwise import heads, softmax
        from arcwise.margins import ArcFace

        impl = getattr(softmax, kind)(**settings)
        classes, dim = centres.shape
        selection = heads.Sampled(rate) if rate else heads.All()
        head = heads.CentreHead(
            classes, dim, margin=ArcFace(MARGIN), scale=SCALE, selection=selection, impl=impl
        )
        head.centres.data = centres
        sgd = heads.CentreSGD(head, **SGD) if fused else _sgd(torch, head.parameters())

        def loss() -> Tensor:
            embeddings.grad = head.centres.grad = None
            value = head.loss(embeddings, labels)
            value.backward()
            return value.detach()

        gradients = None if fused else partial(_grads, embeddings, head.centres)
        return Step(loss, sgd.step, gradients, lambda: dict(head.metrics))

    return build


def peer(function: str, *, fused: bool = True, **settings: Any) -> Build:
    """`peers.<function>` on plain centres, and torch's SGD (fused unless said otherwise)."""

    def build(embeddings: Tensor, labels: Tensor, centres: Tensor) -> Step:
        import torch

        from . import peers

        weight = torch.nn.Parameter(centres)
        run = partial(getattr(peers, function), margin=MARGIN, scale=SCALE, **settings)
        sgd = _sgd(torch, [weight], fused)

        def loss() -> Tensor:
            embeddings.grad = weight.grad = None
            value = run(embeddings, weight, labels)
            value.backward()
            return value.detach()

        return Step(loss, sgd.step, partial(_grads, embeddings, weight))

    return build


def metric_learning(*, fused: bool) -> Build:
    """`ArcFaceLoss` of pytorch-metric-learning, whose margin is in degrees and W is (D, C)."""

    def build(embeddings: Tensor, labels: Tensor, centres: Tensor) -> Step:
        import torch

        try:
            from pytorch_metric_learning.losses import ArcFaceLoss
        except ImportError as error:
            raise Absent('not installed: pip install -e ".[bench]"') from error
        classes, dim = centres.shape
        head = ArcFaceLoss(classes, dim, margin=math.degrees(MARGIN), scale=SCALE)
        head.W.data = centres.T.contiguous()
        sgd = _sgd(torch, head.parameters(), fused)

        def loss() -> Tensor:
            embeddings.grad = head.W.grad = None
            value = head(embeddings, labels)
            value.backward()
            return value.detach()

        return Step(loss, sgd.step, lambda: (embeddings.grad, head.W.grad.T))

    return build


def compiled(embeddings: Tensor, labels: Tensor, centres: Tensor) -> Step:
    """`peers.gather` under torch.compile, which needs a C++ compiler."""
    if not any(map(shutil.which, ("g++", "clang++", "c++"))):
        raise Absent("no compiler: torch.compile needs g++ or clang++")
    return peer("compiled_gather")(embeddings, labels, centres)


def plain_softmax(embeddings: Tensor, labels: Tensor, centres: Tensor) -> Step:
    """`peers.plain_softmax`, which needs torch 2.13."""
    from torch.nn import functional

    if not hasattr(functional, "linear_cross_entropy"):
        raise Absent("torch has no linear_cross_entropy: it needs torch 2.13")
    return peer("plain_softmax")(embeddings, labels, centres)


def _sgd(torch: Any, parameters: Any, fused: bool = True) -> Any:
    return torch.optim.SGD(parameters, **SGD, fused=True if fused else None)


def _grads(embeddings: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    assert embeddings.grad is not None
    assert weight.grad is not None
    return embeddings.grad, weight.grad


def _own(title: str, kind: str, truncated: bool = False, **settings: Any) -> Line:
    twin = ours(kind, settings, fused=False)
    return Line(title, ours(kind, settings), twin, ours=True, truncated=truncated)


_ordinary = ours("Streaming", {}, fused=False)
_sampled = ours("Streaming", {}, rate=0.1)

LINES = {
    "none": _own("arcwise, fp32, nothing kept", "Streaming", keep="none", gradients="fp32"),
    "fp32": _own("arcwise, fp32, kept", "Streaming", keep="fp32", gradients="fp32"),
    "bf16": _own("arcwise, bf16 gradients", "Streaming", keep="bf16", gradients="bf16"),
    "ordinary": Line("arcwise, dW to torch.optim.SGD", _ordinary, _ordinary, ours=True),
    "truncated": _own("arcwise, truncated, dropped", "Truncated", True, tau=TAU, below="drop"),
    "roulette": _own("arcwise, truncated, roulette", "Truncated", True, tau=TAU, below="roulette"),
    "sampled": Line("arcwise, classes sampled, rate 0.1", _sampled, ours=True),
    "compile": Line("torch.compile, target gathered", compiled, compiled=True),
    "gather": Line("PyTorch, target gathered", peer("gather")),
    "linear-ce": Line("torch linear_cross_entropy, scaled, no margin", plain_softmax),
    "pml": Line("pytorch-metric-learning", metric_learning(fused=True)),
    "pml-default": Line("pytorch-metric-learning, SGD not fused", metric_learning(fused=False)),
    "partialfc": Line("Partial FC's operations, rate 1", peer("partial_fc", rate=1.0)),
    "partialfc-0.1": Line("Partial FC's operations, rate 0.1", peer("partial_fc", rate=0.1)),
}
"""In the table's order; the line "floor" has no step, only what every process measures first."""
