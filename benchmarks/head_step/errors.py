"""How far a line's gradients are from those of float64, relative in Frobenius norm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from arcwise.margins import ArcFace
from arcwise.softmax import margin_softmax

from .lines import LINES, MARGIN, SCALE, Absent, Line

N, C, DIM = 96, 5003, 512
TARGETS = {"random initialisation": None, "target cosine 0.7": 0.7, "target cosine 0.85": 0.85}

Gradients = tuple[Tensor, Tensor]


def table(names: Sequence[str]) -> list[dict[str, Any]]:
    """Return an entry a line and regime; Partial FC's also against derivative 1, which it has."""
    entries = []
    torch.manual_seed(0)  # lines that sample classes
    for regime, cosine in TARGETS.items():
        x, labels, centres = problem(cosine)
        exact = in_float64(x, labels, centres, ArcFace(MARGIN))
        detached = in_float64(x, labels, centres, ArcFace(MARGIN, gradient="detached"))
        for name, line in LINES.items():
            if name not in names or name == "linear-ce":  # it solves a problem without margin
                continue
            try:
                got = gradients(line, x, labels, centres)
            except Absent:
                continue
            if got is None:
                continue
            against = {"exact": exact} | ({"derivative 1": detached} if name == "partialfc" else {})
            entries += [
                {"line": name, "regime": regime, "against": what} | relative(got, truth, labels)
                for what, truth in against.items()
            ]
    return entries


def problem(cosine: float | None) -> tuple[Tensor, Tensor, Tensor]:
    """Random centres and embeddings, these at a cosine to their centres where one is given."""
    draw = torch.Generator().manual_seed(0)
    centres = 0.01 * torch.randn(C, DIM, generator=draw)
    labels = torch.randint(0, C, (N,), generator=draw)
    x = torch.randn(N, DIM, generator=draw)
    if cosine is not None:
        own = functional.normalize(centres[labels])
        tangent = functional.normalize(x - (x * own).sum(1, keepdim=True) * own)
        x = cosine * own + math.sqrt(1 - cosine**2) * tangent
    return x.requires_grad_(), labels, centres


def in_float64(x: Tensor, labels: Tensor, centres: Tensor, margin: ArcFace) -> Gradients:
    """Return the reference gradients: those of arcwise's dense softmax in float64."""
    x = x.detach().double().requires_grad_()
    weight = centres.double().requires_grad_()
    margin_softmax(x, weight, labels, margin=margin, scale=SCALE, impl="dense").backward()
    assert x.grad is not None
    assert weight.grad is not None
    return x.grad, weight.grad


def gradients(line: Line, x: Tensor, labels: Tensor, centres: Tensor) -> Gradients | None:
    """Both gradients of one step, by the line's twin where its own makes no dW; None without."""
    step = (line.twin or line.build)(x, labels, centres.clone())
    if step.gradients is None:
        return None
    step.loss()
    dx, dw = step.gradients()
    x.grad = None
    return dx.detach(), dw.detach()


def relative(got: Gradients, truth: Gradients, labels: Tensor) -> dict[str, float]:
    """‖got - truth‖ / ‖truth‖ of dX, of dW, and of the rows of dW that are no target."""
    negatives = torch.ones(len(truth[1]), dtype=torch.bool)
    negatives[labels] = False
    pairs = {"dx": (got[0], truth[0]), "dw": (got[1], truth[1])}
    pairs["others"] = (got[1][negatives], truth[1][negatives])
    return {
        name: float((a.to(b.dtype) - b).norm() / b.norm().clamp_min(1e-300))
        for name, (a, b) in pairs.items()
    }
