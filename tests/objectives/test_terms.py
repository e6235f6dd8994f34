"""Every objective is the loss that it wraps, and reaches what that loss moves."""

from __future__ import annotations

import pytest
import torch

from arcwise import pairs
from arcwise.errors import ArcwiseError
from arcwise.heads import CentreHead, CentreSGD, LinearHead
from arcwise.margins import ArcFace
from arcwise.objectives import Batch, BetweenSamples, ClassCentres, EncoderOutput, Regulariser
from arcwise.regularisers import CentreLoss, inter, intra
from arcwise.softmax import Truncated

CLASSES, DIM = 5, 8


def batch(n=12):
    generator = torch.Generator().manual_seed(0)
    embedding = torch.randn(n, DIM, generator=generator).requires_grad_()
    labels = torch.randint(0, CLASSES, (n,), generator=generator)
    return EncoderOutput(embedding), Batch(torch.zeros(n, 3, 4, 4), labels)


def head(**more):
    torch.manual_seed(0)
    return CentreHead(CLASSES, DIM, margin=ArcFace(0.5), scale=16.0, **more)


def test_class_centres_are_the_head_s_loss():
    output, given = batch()
    one = head()
    loss, metrics = ClassCentres(one).loss(output, given)
    assert loss == one.loss(output.embedding, given.labels)
    assert metrics == {}
    loss.backward()
    assert one.centres.grad.abs().sum() > 0


def test_the_plain_softmax_is_one_too():
    output, given = batch()
    one = LinearHead(CLASSES, DIM)
    loss, _ = ClassCentres(one).loss(output, given)
    assert loss == one.loss(output.embedding, given.labels)


def test_margin_scale_weakens_the_margin():
    output, given = batch()
    objective = ClassCentres(head())
    full, _ = objective.loss(output, given)
    objective.set_margin_scale(0.25)
    quarter, _ = objective.loss(output, given)
    objective.set_margin_scale(0.0)
    none, _ = objective.loss(output, given)
    assert none < quarter < full
    assert quarter == head().loss(output.embedding, given.labels, 0.25)


def test_the_truncation_error_is_a_metric():
    output, given = batch()
    loss, metrics = ClassCentres(head(impl=Truncated(1e-3))).loss(output, given)
    assert loss.isfinite()
    assert 0 <= float(metrics["dropped"]) < 0.1
    assert not any(value.requires_grad for value in metrics.values())


@pytest.mark.parametrize(
    ("pair_loss", "names"),
    [
        (pairs.Triplet(mining="hard"), {"triplets", "active_triplets"}),
        (pairs.Triplet(mining="all"), {"triplets", "active_triplets"}),
        (pairs.Contrastive(), {"active_negatives"}),
        (pairs.Circle(), {"anchors"}),
        (pairs.SupervisedContrastive(), {"anchors"}),
    ],
)
def test_losses_between_samples(pair_loss, names):
    output, given = batch()
    loss, metrics = BetweenSamples(pair_loss).loss(output, given)
    assert loss == pair_loss.loss(output.embedding, given.labels)[0]
    assert metrics.keys() == names
    assert all(value.shape == () and not value.requires_grad for value in metrics.values())
    loss.backward()
    assert output.embedding.grad.abs().sum() > 0


def test_intra_and_inter_share_the_head_s_centres():
    output, given = batch()
    one = head()
    near, _ = Regulariser("intra", one).loss(output, given)
    apart, _ = Regulariser("inter", one).loss(output, given)
    assert near == intra(output.embedding, one.centres, given.labels)
    assert apart == inter(one.centres, given.labels)
    (near + apart).backward()
    assert one.centres.grad.abs().sum() > 0


def test_a_linear_head_s_weights_are_centres():
    output, given = batch()
    one = LinearHead(CLASSES, DIM)
    loss, _ = Regulariser("intra", one).loss(output, given)
    assert loss == intra(output.embedding, one.weight, given.labels)


def test_the_head_is_not_the_regulariser_s_to_save_or_train():
    objective = Regulariser("intra", head())
    assert list(objective.parameters()) == []
    assert objective.state_dict() == {}


def test_centre_loss_keeps_its_own_centres_and_moves_them():
    output, given = batch()
    objective = Regulariser(CentreLoss(CLASSES, DIM, alpha=0.5))
    objective.loss(output, given)
    assert objective.state_dict()["term.centres"].abs().sum() > 0
    assert list(objective.parameters()) == []


def test_the_fused_optimiser_refuses_a_regulariser_that_moves_its_centres():
    output, given = batch()
    one = head()
    optimiser = CentreSGD(one, lr=0.1)
    loss = (
        ClassCentres(one).loss(output, given)[0] + Regulariser("intra", one).loss(output, given)[0]
    )
    loss.backward()
    with pytest.raises(ArcwiseError, match="gradient"):
        optimiser.step()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Regulariser("intra"), "without a head"),
        (lambda: Regulariser("outer", head()), "'outer'"),
        (lambda: Regulariser("inter", head(subcentres=3)), "3 sub-centres"),
        (lambda: Regulariser(CentreLoss(CLASSES, DIM), head()), "centres of its own"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ArcwiseError, match=message):
        make()
