"""Averaging fine-tuned weights with those they started from (Wortsman et al., arXiv 2109.01903).

What fine-tuning learnt of the training identities may have cost some of what the start knew of
everything else. Between the two lies a straight line of networks; the one that is best on held-out
identities is kept. The embedding head, which had no start worth keeping, stays as trained.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from arcwise.encoders.interface import layers_of
from arcwise.training.validation import Validation

SHARES = (0.3, 0.5, 0.6, 0.7, 0.8, 0.9)
"""α, the share of the fine-tuned weights; 1 is the fine-tuned network itself."""


class Averaged(NamedTuple):
    """The best network on the line: itself, its α, and how good it is."""

    encoder: nn.Module
    share: float
    validation: Validation


def start_state(encoder: nn.Module) -> dict[str, Tensor]:
    """Return copies, on the CPU, of the numbers of every layer below the embedding head."""
    numbers = _numbers(encoder)
    return {name: value.detach().cpu().clone() for name, value in numbers.items()}


@torch.no_grad()
def best_average(
    encoder: nn.Module,
    start: Mapping[str, Tensor],
    validate: Callable[[nn.Module], Validation],
) -> Averaged:
    """Return the best of the averages (1 - α) · start + α · encoder for α in `SHARES`.

    Args:
        encoder: fine-tuned; not changed.
        start: of `start_state`.
        validate: how good a network is on held-out identities.
    """
    averages: list[Averaged] = []
    for share in SHARES:
        average = copy.deepcopy(encoder)
        for name, value in _numbers(average).items():
            value.copy_(torch.lerp(start[name].to(value), value, share))
        averages.append(Averaged(average, share, validate(average)))
    return max(averages, key=lambda one: one.validation.score)


def _numbers(encoder: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and statistics below the embedding head, by state-dict name."""
    *below, _ = layers_of(encoder)
    inside = {
        id(value)
        for layer in below
        for value in (*layer.parameters(), *layer.buffers())
        if value.is_floating_point()
    }
    named = [*encoder.named_parameters(), *encoder.named_buffers()]
    return {name: value for name, value in named if id(value) in inside}
