from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from arcwise import pairs
from arcwise.errors import ArcwiseError
from arcwise.objectives import BetweenSamples, ClassCentres, Regulariser, WeightedSum
from arcwise.regularisers import CentreLoss
from tests.objectives.test_terms import CLASSES, DIM, batch, head


class FromColumn(nn.Module):
    """An objective that reads a column: the mean square of what is known of it."""

    def __init__(self, column):
        super().__init__()
        self.columns = (column,)

    def loss(self, output, batch):
        values = batch.columns[self.columns[0]]
        return (output.embedding.mean() - values[~values.isnan()]).square().mean(), {}

    def set_margin_scale(self, margin_scale):
        pass


def arcface_and_intra():
    one = head()
    terms = {"arcface": (ClassCentres(one), 1.0), "intra": (Regulariser("intra", one), 0.5)}
    return one, WeightedSum(terms)


def test_a_sum_is_the_sum_with_its_weights():
    output, given = batch()
    one, objective = arcface_and_intra()
    loss, metrics = objective.loss(output, given)
    arcface, _ = ClassCentres(one).loss(output, given)
    intra, _ = Regulariser("intra", one).loss(output, given)
    torch.testing.assert_close(loss, arcface + 0.5 * intra)
    assert metrics == {"arcface/loss": arcface, "intra/loss": intra}
    assert not any(value.requires_grad for value in metrics.values())


def test_shared_centres_are_one_parameter():
    one, objective = arcface_and_intra()
    assert [id(parameter) for parameter in objective.parameters()] == [id(one.centres)]
    assert list(objective.state_dict()) == ["terms.arcface.head.centres"]


def test_a_copy_shares_its_own_centres():
    output, given = batch()
    one, objective = arcface_and_intra()
    other = copy.deepcopy(objective)
    loss, _ = other.loss(output, given)
    loss.backward()
    assert one.centres.grad is None
    assert other.terms["intra"].head is other.terms["arcface"].head


def test_metrics_carry_the_name_of_their_term():
    output, given = batch()
    terms = {
        "triplet": (BetweenSamples(pairs.Triplet(mining="hard")), 1.0),
        "centre": (Regulariser(CentreLoss(CLASSES, DIM)), 0.01),
    }
    _, metrics = WeightedSum(terms).loss(output, given)
    assert metrics.keys() == {
        *("triplet/loss", "triplet/triplets", "triplet/active_triplets", "centre/loss")
    }


def test_the_margin_scale_reaches_every_term():
    one, objective = arcface_and_intra()
    outer = WeightedSum({"inner": (objective, 2.0)})
    outer.set_margin_scale(0.0)
    output, given = batch()
    loss, metrics = outer.loss(output, given)
    assert metrics["inner/arcface/loss"] == one.loss(output.embedding, given.labels, 0.0)
    assert loss == 2 * metrics["inner/loss"]


def test_columns_are_those_of_all_terms():
    terms = {
        "age": (FromColumn("age"), 1.0),
        "again": (FromColumn("age"), 1.0),
        "quality": (FromColumn("quality"), 1.0),
    }
    assert WeightedSum(terms).columns == ("age", "quality")
    assert arcface_and_intra()[1].columns == ()


def test_an_objective_reads_the_columns_of_the_batch():
    output, given = batch(3)
    ages = torch.tensor([1.0, math.nan, 3.0])
    loss, _ = FromColumn("age").loss(output, type(given)(given.images, given.labels, {"age": ages}))
    assert loss.isfinite()


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({}, "no terms"),
        ({"a": (FromColumn("age"), -1.0)}, "-1.0"),
        ({"a": (FromColumn("age"), math.nan)}, "nan"),
        ({"a": (pairs.Circle(), 1.0)}, "Circle"),
    ],
)
def test_what_is_no_sum_is_refused(terms, message):
    with pytest.raises(ArcwiseError, match=message):
        WeightedSum(terms)
