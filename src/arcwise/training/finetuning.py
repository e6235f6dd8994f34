"""Which parts of an encoder are trained, and how fast: starting from weights that exist."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from arcwise.encoders import lora
from arcwise.encoders.interface import layers_of
from arcwise.training.config import OptimConfig


def freeze(encoder: nn.Module, config: OptimConfig) -> None:
    """Let no gradient reach the layers that are not trained, and one reach the others.

    Of a network with low-rank adapters, these are trained in the place of its own weights.
    """
    for layer, trained in _layers(encoder, config):
        layer.requires_grad_(trained)
    lora.freeze_base(encoder)


def training_mode(encoder: nn.Module, config: OptimConfig) -> None:
    """Put the encoder into training mode, and what keeps its statistics into evaluation mode.

    A layer that is not trained computes as it does when it embeds: its statistics stay, and it
    drops nothing.
    """
    encoder.train()
    for layer, trained in _layers(encoder, config):
        if not trained:
            layer.eval()
    if config.batch_norm == "kept":
        for layer in layers_of(encoder)[:-1]:
            for module in layer.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()


def parameter_groups(encoder: nn.Module, config: OptimConfig) -> list[dict[str, Any]]:
    """Return the groups of an optimiser: matrices and kernels (decayed) and vectors (not).

    Layers with a learning rate of their own have groups of their own. `lr_multiple` is the factor
    of the learning rate.
    """
    rates = _rates(encoder, config)
    groups = []
    for rate in dict.fromkeys(rates.values()):
        weights = [p for p in encoder.parameters() if rates.get(id(p)) == rate and p.requires_grad]
        matrices = [p for p in weights if p.ndim > 1]
        vectors = [p for p in weights if p.ndim <= 1]
        groups += [
            {"params": matrices, "lr_multiple": rate},
            {"params": vectors, "lr_multiple": rate, "weight_decay": 0.0},
        ]
    return groups


def _rates(encoder: nn.Module, config: OptimConfig) -> dict[int, float]:
    """Return the factor of the learning rate by the id of a parameter."""
    rates = {id(p): 1.0 for p in encoder.parameters()}
    *below, _ = layers_of(encoder)
    for depth, layer in enumerate(reversed(below)):
        factor = config.backbone_lr * config.layer_decay**depth
        rates |= {id(p): factor for p in layer.parameters()}
    return rates


def _layers(encoder: nn.Module, config: OptimConfig) -> Iterator[tuple[nn.Module, bool]]:
    """Yield the layers below the embedding head, and whether they are trained."""
    *below, _ = layers_of(encoder)
    first = 0 if config.trained_layers < 0 else len(below) - config.trained_layers
    for number, layer in enumerate(below):
        yield layer, number >= first
