from __future__ import annotations

import pytest
import torch
from torch import nn

from arcwise.training.run import Ema


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def wander(module, step):
    """Other weights and other statistics, as after a step of training."""
    torch.manual_seed(100 + step)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter))
    module.train()(torch.randn(5, 3))


def slow_average(history, decay):
    """The running average of one number's history, the start first, in plain floats."""
    average = history[0]
    for step, value in enumerate(history[1:]):
        keep = min(decay, (1 + step) / (10 + step))
        average = keep * average + (1 - keep) * value
    return average


@pytest.mark.parametrize("decay", [0.15, 0.9])
def test_it_is_the_exponential_average_of_every_weight_and_statistic(decay):
    module = network()
    ema = Ema(module, decay)
    history = [{k: v.clone() for k, v in module.state_dict().items()}]
    for step in range(6):
        wander(module, step)
        ema.update(module, step)
        history.append({k: v.clone() for k, v in module.state_dict().items()})
    for name, kept in ema.module.state_dict().items():
        if kept.dtype.is_floating_point:
            expected = slow_average([one[name].double() for one in history], decay)
            torch.testing.assert_close(kept.double(), expected, rtol=1e-5, atol=1e-6)


def test_counters_are_those_of_the_network():
    module = network()
    ema = Ema(module, 0.9)
    for step in range(3):
        wander(module, step)
        ema.update(module, step)
    assert ema.module[1].num_batches_tracked == 3


def test_the_average_is_no_part_of_the_network():
    module = network()
    ema = Ema(module, 0.9)
    before = ema.module[0].weight.clone()
    wander(module, 0)
    assert torch.equal(ema.module[0].weight, before)


def test_the_average_is_ready_to_embed():
    ema = Ema(network(), 0.9)
    assert not ema.module.training
    assert not any(p.requires_grad for p in ema.module.parameters())
