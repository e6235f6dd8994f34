"""The length tells a number, the direction the identity, and neither gradient meets the other."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.heads import CentreHead
from arcwise.margins import (
    ArcFace,
    Combined,
    CosFace,
    CurricularFace,
    ElasticFace,
    NormSoftmax,
    SphereFace,
)
from arcwise.objectives import (
    Batch,
    ClassCentres,
    EncoderOutput,
    LengthRegression,
    WeightedSum,
    standardisation,
)

MEAN, STD = 30.0, 12.0
AGES = [5.0, 70.0, math.nan, 33.0, 0.0, 18.5]


def embeddings(dtype=torch.float64, scale=3.0):
    drawn = torch.randn(len(AGES), 8, generator=torch.Generator().manual_seed(0), dtype=dtype)
    return (scale * drawn).requires_grad_()


def batch(ages=AGES, labels=None):
    ages = torch.tensor(ages, dtype=torch.float32)
    labels = torch.zeros(len(ages), dtype=torch.int64) if labels is None else labels
    return Batch(torch.zeros(len(ages), 3, 4, 4), labels, {"age": ages})


def fixed(length_mean=8.0):
    """The term with a running mean that does not move."""
    term = LengthRegression("age", MEAN, STD).eval()
    term.length_mean.fill_(length_mean)
    return term


def oracle(rows, ages, length_mean):
    """One sample after the other, from the formula."""
    values = []
    for row, age in zip(rows, ages, strict=True):
        if not math.isnan(age):
            told = (math.hypot(*row) / length_mean - 1) / 0.2
            values.append(0.5 * (told - (age - MEAN) / STD) ** 2)
    return sum(values) / len(values) if values else 0.0


def test_the_formula():
    x = embeddings()
    loss, metrics = fixed().loss(EncoderOutput(x), batch())
    assert loss.item() == pytest.approx(oracle(x.tolist(), AGES, 8.0), rel=1e-12)
    lengths = [math.hypot(*row) for row in x.tolist()]
    assert metrics["length"].item() == pytest.approx(np.mean(lengths))
    known = [place for place, age in enumerate(AGES) if not math.isnan(age)]
    expected = np.corrcoef(np.array(lengths)[known], np.array(AGES)[known])[0, 1]
    assert metrics["correlation"].item() == pytest.approx(expected)
    assert fixed().columns == ("age",)


def test_the_gradient_is_exact():
    x = embeddings()
    assert torch.autograd.gradcheck(lambda x: fixed().loss(EncoderOutput(x), batch())[0], x)


ANGULAR = {
    "normsoftmax": NormSoftmax(), "sphereface": SphereFace(), "cosface": CosFace(),
    "arcface": ArcFace(), "combined": Combined(1.0, 0.3, 0.2), "curricularface": CurricularFace(),
    "elasticface": ElasticFace(),
}  # fmt: skip


@pytest.mark.parametrize("name", ANGULAR)
def test_both_gradients_are_orthogonal_in_every_sample(name):
    """That of the length along x, that of the direction across it (mathematics: OE-CNN)."""
    torch.manual_seed(0)
    head = CentreHead(5, 8, margin=ANGULAR[name], scale=16.0).double()
    x, given = embeddings(), batch(labels=torch.arange(len(AGES)) % 5)
    (radial,) = torch.autograd.grad(fixed().loss(EncoderOutput(x), given)[0], x)
    (across,) = torch.autograd.grad(ClassCentres(head).loss(EncoderOutput(x), given)[0], x)
    directions = (x / x.norm(dim=1, keepdim=True)).detach()
    along = (radial * directions).sum(1, keepdim=True) * directions
    torch.testing.assert_close(radial, along, rtol=0, atol=1e-14)
    known = ~given.columns["age"].isnan()
    assert (radial[known].norm(dim=1) > 1e-3).all()
    assert (across.norm(dim=1) > 1e-6).all()
    assert (radial * across).sum(1).abs().max() < 1e-7 * float(across.norm(dim=1).max())


def test_a_missing_number_counts_for_nothing():
    x = embeddings()
    known = [place for place, age in enumerate(AGES) if not math.isnan(age)]
    loss, _ = fixed().loss(EncoderOutput(x), batch())
    fewer, _ = fixed().loss(EncoderOutput(x[known]), batch([AGES[place] for place in known]))
    assert loss == fewer
    (gradient,) = torch.autograd.grad(loss, x)
    assert gradient[2].tolist() == [0.0] * 8


def test_no_number_at_all():
    x = embeddings()
    loss, metrics = LengthRegression("age", MEAN, STD).loss(
        EncoderOutput(x), batch([math.nan] * len(AGES))
    )
    (gradient,) = torch.autograd.grad(loss, x)
    assert (loss.item(), metrics["correlation"].item(), gradient.abs().max().item()) == (0, 0, 0)


@pytest.mark.parametrize("scale", [0.0, 1e-38, 1e-20, 1e20, 1e37])
@pytest.mark.parametrize("rows", ["all", "one"])
def test_finite_for_every_length(scale, rows):
    x = embeddings(torch.float32).detach()
    x[slice(None) if rows == "all" else slice(0, 1)] *= scale
    x.requires_grad_()
    loss, metrics = LengthRegression("age", MEAN, STD).loss(EncoderOutput(x), batch())
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert x.grad.isfinite().all()
    assert all(value.isfinite() for value in metrics.values())


def test_identical_lengths_have_no_correlation():
    x = torch.ones(len(AGES), 8)
    loss, metrics = LengthRegression("age", MEAN, STD).loss(EncoderOutput(x), batch())
    assert loss.isfinite()
    assert metrics["correlation"] == 0


def test_the_mean_length_follows_in_training_only():
    term = LengthRegression("age", MEAN, STD)
    term.loss(EncoderOutput(torch.eye(2, 8) * 4), batch([1.0, 2.0]))
    assert term.length_mean == 4
    term.loss(EncoderOutput(torch.eye(2, 8) * 8), batch([1.0, 2.0]))
    assert term.length_mean == 6  # half of the two batches so far
    for _ in range(200):
        term.loss(EncoderOutput(torch.eye(2, 8) * 8), batch([1.0, 2.0]))
    assert term.length_mean.item() == pytest.approx(8, abs=1e-3)
    term.eval().loss(EncoderOutput(torch.eye(2, 8)), batch([1.0, 2.0]))
    assert term.length_mean.item() == pytest.approx(8, abs=1e-3)


def test_the_state_holds_what_the_loss_needs():
    term = LengthRegression("age", MEAN, STD)
    term.loss(EncoderOutput(embeddings()), batch())
    again = LengthRegression("age", 0.0, 1.0)
    again.load_state_dict(term.state_dict())
    values = [one.eval().loss(EncoderOutput(embeddings()), batch())[0] for one in (term, again)]
    assert values[0] == values[1]
    assert list(term.parameters()) == []


def test_lengths_alone_are_learnt():
    """Vectors that the two terms move freely: the length goes to the age, the rest to the class."""
    torch.manual_seed(0)
    x = torch.randn(30, 8, requires_grad=True)
    ages, labels = torch.arange(30.0), torch.arange(30) % 3
    head = CentreHead(3, 8, margin=ArcFace(0.2), scale=8.0)
    term = LengthRegression("age", 14.5, float(ages.double().std(correction=0)))
    both = WeightedSum({"arcface": (ClassCentres(head), 1.0), "length": (term, 1.0)})
    optimiser = torch.optim.Adam([x, *head.parameters()], lr=0.05)
    for _ in range(300):
        given = Batch(torch.zeros(30, 3, 4, 4), labels, {"age": ages})
        loss, metrics = both.loss(EncoderOutput(x), given)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert metrics["length/correlation"] > 0.99
    cosines = torch.nn.functional.normalize(x) @ torch.nn.functional.normalize(head.centres).T
    assert (cosines.argmax(1) == labels).all()


@pytest.mark.parametrize(("mean", "std"), [(math.nan, 1.0), (0.0, 0.0), (0.0, math.inf)])
def test_a_scale_that_is_none(mean, std):
    with pytest.raises(ArcwiseError, match="std over 0"):
        LengthRegression("age", mean, std)


def table(name, *values):
    return Manifest(pa.table({name: list(values)}), Path(), "faces.csv")


def test_mean_and_deviation_of_what_is_known():
    found = standardisation("age", table("age", 10, 20, None, 30))
    assert found == pytest.approx((20, np.std([10, 20, 30])))
    assert standardisation("yaw", table("yaw", "-1", "1")) == (0, 1)


@pytest.mark.parametrize(
    ("name", "values", "fact"),
    [
        ("age", ["old", "young"], "holds text"),
        ("age", [-3, 20, 40], "1 of 3 values of 'age' cannot be, such as -3"),
        ("age", [20, 1900], "such as 1900; expected 0 to 150"),
        ("yaw", [0.0, math.inf], "expected finite numbers"),
        ("blur", [2.0, 2.0, None], "2 in every row"),
        ("blur", [math.nan], "no number in any row"),
    ],
)
def test_columns_that_lengths_cannot_tell(name, values, fact):
    with pytest.raises(ArcwiseError, match=fact) as caught:
        standardisation(name, table(name, *values))
    assert "\n" not in str(caught.value)
