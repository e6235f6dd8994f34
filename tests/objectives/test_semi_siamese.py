"""Semi-siamese training: a step written out, the queue, and the slow encoder."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from arcwise.encoders.interface import encoder_output
from arcwise.errors import ArcwiseError
from arcwise.margins import CosFace, NormSoftmax
from arcwise.objectives import Batch, SemiSiamese

D, SIDE, SCALE = 5, 4, 8.0


def made(queue=8, decay=0.5, margin=None, seed=0):
    torch.manual_seed(seed)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, D))
    objective = SemiSiamese(
        encoder, D, margin=margin or NormSoftmax(), scale=SCALE, queue=queue, decay=decay
    )
    return encoder, objective


def batch(labels, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(len(labels), 3, SIDE, SIDE, generator=generator)
    return Batch(images, torch.tensor(labels))


def step(encoder, objective, given):
    output = encoder_output(encoder(given.images))
    return output.embedding, *objective.loss(output, given)


def test_the_loss_is_the_mean_of_both_directions_over_the_queue():
    encoder, objective = made(margin=CosFace(0.2))
    step(encoder, objective, batch([7, 8, 9, 7, 8, 9], 1))  # fills the queue with three
    queue, identities = objective.embeddings.clone(), objective.identities.clone()
    slow = {name: one.clone() for name, one in objective.slow.state_dict().items()}
    given = batch([1, 7, 1, 7], 2)
    embedding, loss, metrics = step(encoder, objective, given)
    weights = slow["1.weight"], slow["1.bias"]
    keys = functional.normalize(functional.linear(given.images.flatten(1), *weights)).double()
    others = queue[(identities >= 0) & (identities != 7)].double()  # 7 is in the batch
    assert len(others) == int(metrics["queue"]) == 2
    x = functional.normalize(embedding.detach().double())
    expected = 0.0
    for samples, own in (([0, 1], [2, 3]), ([2, 3], [0, 1])):
        logits = x[samples] @ torch.cat([keys[own], others]).T
        logits[[0, 1], [0, 1]] -= 0.2
        expected += float(functional.cross_entropy(SCALE * logits, torch.arange(2))) / 2
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    loss.backward()
    assert encoder[1].weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in objective.slow.parameters())


def test_the_queue_holds_each_identity_once_and_the_newest_stay():
    encoder, objective = made(queue=5)
    for number, labels in enumerate(([1, 2, 1, 2], [3, 2, 3, 2], [4, 5, 6, 4, 5, 6])):
        step(encoder, objective, batch(labels, number))
    assert objective.identities.tolist() == [4, 5, 6, 2, 3]
    assert torch.allclose(objective.embeddings.norm(dim=1), torch.ones(5))


def test_the_slow_encoder_follows():
    encoder, objective = made(decay=0.75)
    before = objective.slow[1].weight.clone()
    with torch.no_grad():
        encoder[1].weight.add_(1.0)
    step(encoder, objective, batch([0, 1, 0, 1]))
    assert torch.allclose(objective.slow[1].weight, before + 0.25)


def test_a_loss_that_is_not_finite_moves_nothing():
    encoder, objective = made()
    with torch.no_grad():
        encoder[1].bias.fill_(torch.nan)
    before = objective.slow[1].bias.clone()
    step(encoder, objective, batch([0, 1, 0, 1]))
    assert torch.equal(objective.slow[1].bias, before)


def test_identities_with_one_image_take_no_part():
    encoder, objective = made()
    step(encoder, objective, batch([0, 1, 0, 2, 1, -1, -1]))
    assert sorted(objective.identities[:2].tolist()) == [0, 1]
    with pytest.raises(ArcwiseError, match="got 1 identities with two images"):
        step(encoder, objective, batch([0, 0, 1]))
