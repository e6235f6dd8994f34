"""Labels may stay on the CPU, where they are checked without waiting for a GPU."""

from __future__ import annotations

import pytest
import torch

from arcwise import pairs
from arcwise.objectives import Batch, BetweenSamples, EncoderOutput, Regulariser
from arcwise.regularisers import CentreLoss
from tests.objectives.test_terms import CLASSES, DIM, batch, head

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

MAKE = {
    "triplet": lambda: BetweenSamples(pairs.Triplet(mining="hard")),
    "all triplets": lambda: BetweenSamples(pairs.Triplet(mining="all")),
    "contrastive": lambda: BetweenSamples(pairs.Contrastive()),
    "circle": lambda: BetweenSamples(pairs.Circle()),
    "supervised": lambda: BetweenSamples(pairs.SupervisedContrastive()),
    "centre": lambda: Regulariser(CentreLoss(CLASSES, DIM)),
}


@pytest.mark.parametrize("labels_on", ["cpu", "cuda"])
@pytest.mark.parametrize("name", [*MAKE, "intra", "inter"])
def test_a_gpu_gives_the_loss_of_the_cpu(name, labels_on):
    output, given = batch()
    one = head()
    objective = MAKE[name]() if name in MAKE else Regulariser(name, one)
    expected, metrics = objective.loss(output, given)
    one.cuda()
    objective = MAKE[name]().cuda() if name in MAKE else objective
    embedding = output.embedding.detach().cuda().requires_grad_()
    moved = Batch(given.images.cuda(), given.labels.to(labels_on))
    loss, counts = objective.loss(EncoderOutput(embedding), moved)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert {key: value.item() for key, value in counts.items()} == {
        key: value.item() for key, value in metrics.items()
    }
    loss.backward()
    gradient = one.centres.grad if name == "inter" else embedding.grad
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0
