"""The margin family, each beside the scalar formula that it is held against."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from arcwise.margins import (
    AdaFace,
    ArcFace,
    Combined,
    CosFace,
    CurricularFace,
    ElasticFace,
    Filtered,
    MagFace,
    Margin,
    NormSoftmax,
    SphereFace,
    SupportVector,
)
from tests import oracles

MARGINS_DRAWN = (0.5, 0.47, 0.0, 0.55)


@dataclass(frozen=True)
class Case:
    """A margin; psi(i) the target function of sample i; what else the oracle has to know.

    `kinks` are angles where ψ has no derivative.
    """

    margin: Margin
    psi: Callable[[int], oracles.Psi | oracles.LengthPsi]
    options: dict[str, Any] = field(default_factory=dict)
    numbers: dict[str, float] = field(default_factory=dict)
    kinks: tuple[float, ...] = ()

    def state(self, labels: Tensor) -> dict[str, Tensor]:
        """The state of a step with these labels."""
        if isinstance(self.margin, ElasticFace):
            drawn = [MARGINS_DRAWN[i % 4] for i in range(len(labels)) if labels[i] >= 0]
            return {"margins": torch.tensor(drawn, dtype=torch.float64)}
        return {
            name: torch.tensor(value, dtype=torch.float64) for name, value in self.numbers.items()
        }

    def loss(self, x: Tensor, w: Tensor, y: Tensor, scale: float) -> float:
        """The oracle's: the mean of the labelled samples', one at a time."""
        rows = [i for i in range(len(y)) if y[i] >= 0]
        total = 0.0
        for i in rows:
            total += oracles.margin_softmax(
                x[i : i + 1].double().numpy(), w.double().numpy(), [int(y[i])],
                self.psi(i), scale, **self.options,
            )  # fmt: skip
        return total / max(len(rows), 1)


def _same(psi):
    return lambda i: psi


def _ada_clipped(theta: float, length: float) -> float:
    z = max(-1.0, min(1.0, (length - 3.0) / 1.001))
    return math.cos(max(0.0, min(math.pi, theta - 0.4 * z))) - 0.4 * z - 0.4


def _elastic(make):
    return lambda i: make(MARGINS_DRAWN[i % 4])


WITH_LENGTH = {"with_length": True}
MAGFACE = {"l_a": 1.0, "u_a": 4.0, "l_m": 0.3, "u_m": 0.9}
LENGTHS = {"mean": 3.0, "std": 1.0}
ARC = oracles.arcface(0.5)
BORDER = math.pi - 0.5

FAMILY = {
    "norm": Case(NormSoftmax(), _same(oracles.normsoftmax)),
    "sphere": Case(SphereFace(1.35), _same(oracles.sphereface(1.35))),
    "sphere 4": Case(SphereFace(4), _same(oracles.sphereface(4))),
    "sphere annealed": Case(
        SphereFace(4, annealed=True),
        _same(oracles.sphereface(4, 1000 / 13)),
        numbers={"step": 100},
    ),
    "cos": Case(CosFace(0.35), _same(oracles.cosface(0.35))),
    "arc": Case(ArcFace(0.5), _same(ARC)),
    "arc wide": Case(ArcFace(1.2), _same(oracles.arcface(1.2))),
    "arc linear": Case(
        ArcFace(0.5, beyond="linear"), _same(oracles.arcface_linear(0.5)), kinks=(BORDER,)
    ),
    "arc easy": Case(
        ArcFace(0.5, beyond="easy"), _same(oracles.arcface_easy(0.5)), kinks=(math.pi / 2,)
    ),
    "combined 1": Case(Combined(1.0, 0.3, 0.2), _same(oracles.combined(1.0, 0.3, 0.2))),
    "combined 2": Case(Combined(0.9, 0.4, 0.15), _same(oracles.combined(0.9, 0.4, 0.15))),
    "support": Case(
        SupportVector(ArcFace(0.5), 1.2), _same(ARC), {"negatives": oracles.supportvector(1.2)}
    ),
    "support plain": Case(
        SupportVector(NormSoftmax(), 2.0),
        _same(oracles.normsoftmax),
        {"negatives": oracles.supportvector(2.0)},
    ),
    "support fixed": Case(
        SupportVector(CosFace(0.35), 1.2, "fixed"),
        _same(oracles.cosface(0.35)),
        {"negatives": oracles.mv_fixed(1.2)},
    ),
    "ada": Case(AdaFace(0.4, h=1.0), _same(oracles.adaface(0.4, 1.0, 3, 1)), WITH_LENGTH, LENGTHS),
    "ada clip": Case(AdaFace(0.4, h=1.0, beyond="clip"), _same(_ada_clipped), WITH_LENGTH, LENGTHS),
    "mag": Case(
        MagFace(**MAGFACE, weight=5.0),
        _same(oracles.magface(**MAGFACE)),
        {**WITH_LENGTH, "penalty": oracles.magface_penalty(1.0, 4.0, 5.0)},
    ),
    "curricular": Case(
        CurricularFace(0.5), _same(ARC), {"negatives": oracles.curricularface(0.4)}, {"t": 0.4}
    ),
    "elastic arc": Case(ElasticFace(), _elastic(oracles.arcface)),
    "elastic cos": Case(ElasticFace(0.35, form="cos"), _elastic(oracles.cosface)),
    "filtered": Case(
        Filtered(ArcFace(0.5), 0.4), _same(ARC), {"negatives": oracles.filtered(0.4, 0)}
    ),
    "filtered out": Case(
        Filtered(CosFace(0.35), 0.4, "exclude"),
        _same(oracles.cosface(0.35)),
        {"negatives": oracles.filtered(0.4, -math.inf)},
    ),
}
