from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from arcwise.encoders.interface import EncoderOutput
from arcwise.objectives import Batch
from arcwise.recipes.table2 import BESIDE, TABLE_2
from arcwise.training import build
from arcwise.training.config import TrainConfig
from tests import oracles

CLASSES, DIM, SCALE = 5, 8, 16.0
LOSSES = [*(row.loss for row in TABLE_2), *BESIDE.values()]
SUPPORT = {"negatives": oracles.supportvector(1.2)}
FIXED = {"negatives": oracles.mv_fixed(1.2)}
ARC = oracles.arcface(0.5)

OVER_CENTRES: dict[str, tuple[Callable[[float], float], dict[str, Any]]] = {
    "arcface@0.4": (oracles.arcface(0.4), {}),
    "arcface@0.45": (oracles.arcface(0.45), {}),
    "arcface@0.5": (ARC, {}),
    "arcface@0.55": (oracles.arcface(0.55), {}),
    "sphereface@1.35": (oracles.sphereface(1.35), {}),
    "cosface@0.35": (oracles.cosface(0.35), {}),
    "cm1": (oracles.combined(1.0, 0.3, 0.2), {}),
    "cm2": (oracles.combined(0.9, 0.4, 0.15), {}),
    "normsoftmax": (oracles.normsoftmax, {}),
    "sv-softmax": (oracles.normsoftmax, SUPPORT),
    "sv-arcface@0.5": (ARC, SUPPORT),
    "sv-cosface@0.35": (oracles.cosface(0.35), SUPPORT),
    "mv-arcface@0.5": (ARC, FIXED),
    "mv-cosface@0.35": (oracles.cosface(0.35), FIXED),
}
"""What the target is given in each loss, and how others count, by an independent formula."""


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings near their classes, some of them nearer to another one."""
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(CLASSES, DIM, generator=generator)
    labels = torch.arange(20) % CLASSES
    return means[labels] + torch.randn(20, DIM, generator=generator), labels


def objective_of(loss: str, batch: tuple[torch.Tensor, torch.Tensor]) -> Any:
    torch.manual_seed(1)
    config = TrainConfig().with_loss(loss).replace(encoder={"dim": DIM})
    if hasattr(config.objective, "scale"):
        config = config.replace(objective={"scale": SCALE})
    return build.objective(config, CLASSES)


def value_of(objective: Any, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    embeddings, labels = batch
    images = torch.empty(len(labels), 3, 1, 1)
    value, _ = objective.loss(EncoderOutput(embeddings), Batch(images, labels))
    return value


def test_every_row_once() -> None:
    assert len(set(LOSSES)) == len(LOSSES)
    assert {loss.partition("+")[0] for loss in LOSSES} >= set(OVER_CENTRES)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_row_is_a_loss_with_a_gradient(
    loss: str, batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    embeddings = batch[0].requires_grad_()
    value = value_of(objective_of(loss, batch), (embeddings, batch[1]))
    (gradient,) = torch.autograd.grad(value, embeddings)
    assert value.isfinite()
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss in OVER_CENTRES])
def test_a_margin_s_row_is_its_formula(loss: str, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
    objective = objective_of(loss, batch)
    (centres,) = objective.parameters()
    psi, options = OVER_CENTRES[loss]
    expected = oracles.margin_softmax(
        batch[0].double().numpy(), centres.detach().double().numpy(), batch[1].tolist(), psi,
        SCALE, **options,
    )  # fmt: skip
    assert value_of(objective, batch).item() == pytest.approx(expected, rel=1e-5)


def own_angle(unit: np.ndarray, centres: np.ndarray, labels: np.ndarray) -> float:
    """Equation 5's term: the mean angle to the own centre over π."""
    angles = [math.acos(float(np.clip(x @ centres[y], -1, 1))) for x, y in zip(unit, labels)]  # noqa: B905
    return sum(angles) / len(angles) / math.pi


def other_angles(unit: np.ndarray, centres: np.ndarray, labels: np.ndarray) -> float:
    """Equation 6's term: minus the mean angle of the own centre to the others over π."""
    total = 0.0
    for label in labels:
        for other in range(CLASSES):
            if other != label:
                total += math.acos(float(np.clip(centres[label] @ centres[other], -1, 1)))
    return -total / (len(labels) * (CLASSES - 1)) / math.pi


@pytest.mark.parametrize("base", ["normsoftmax", "arcface@0.5"])
@pytest.mark.parametrize("terms", [("intra",), ("inter",), ("intra", "inter")])
def test_regularisers_add_their_formula(
    base: str, terms: tuple[str, ...], batch: tuple[torch.Tensor, torch.Tensor]
) -> None:
    loss = "+".join([base, *terms])
    assert loss in LOSSES
    objective = objective_of(loss, batch)
    centres = next(one for one in objective.parameters() if one.shape == (CLASSES, DIM))
    plain = oracles.margin_softmax(
        batch[0].double().numpy(), centres.detach().double().numpy(), batch[1].tolist(),
        OVER_CENTRES[base][0], SCALE,
    )  # fmt: skip
    unit = functional.normalize(batch[0].double()).numpy()
    directions = functional.normalize(centres.detach().double()).numpy()
    labels = batch[1].numpy()
    formulas = {"intra": own_angle, "inter": other_angles}
    expected = plain + sum(formulas[term](unit, directions, labels) for term in terms)
    assert value_of(objective, batch).item() == pytest.approx(expected, rel=1e-5)


def test_the_plain_softmax_has_the_centre_loss_beside_it(
    batch: tuple[torch.Tensor, torch.Tensor],
) -> None:
    """The new centres are zero, so λ/2 times the mean squared length is what is added."""
    plain, both = (
        value_of(objective_of(one, batch), batch) for one in ("softmax", "softmax+centre")
    )
    added = 0.003 / 2 * batch[0].square().sum(1).mean()
    assert both.item() - plain.item() == pytest.approx(added.item(), rel=1e-3)
