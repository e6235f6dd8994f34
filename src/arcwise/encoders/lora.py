"""Low-rank adapters: a vision transformer is fine-tuned by few numbers, and its weights stay.

Hu et al., LoRA: Low-Rank Adaptation of Large Language Models (arXiv 2106.09685). Each linear map of
the attention, W x, becomes W x + B A x with A (r, C_in) and B (C_out, r); its factor α/r is 1. B is
zero at the start, so the start is the network itself.

The product B A is not formed in training, as `torch.nn.utils.parametrize` would do: the gradient of
a whole W would then be computed. The names of W and its bias in the state dict stay; `lora_a` and
`lora_b` are added.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from arcwise.encoders.vit import Attention
from arcwise.errors import ArcwiseError

ADAPTED = ("qkv", "proj")
"""The linear maps of an attention that have an adapter."""


class LowRankLinear(nn.Linear):
    """A linear map with an adapter (equation 3 of the paper).

    Args:
        linear: the map, whose weight and bias become this one's.
        rank: r.
    """

    def __init__(self, linear: nn.Linear, rank: int) -> None:
        super().__init__(linear.in_features, linear.out_features, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.lora_a = nn.Parameter(self.weight.new_empty(rank, self.in_features))
        self.lora_b = nn.Parameter(self.weight.new_zeros(self.out_features, rank))
        nn.init.normal_(self.lora_a, std=self.in_features**-0.5)  # A x is about as large as x

    def forward(self, input: Tensor) -> Tensor:
        """Return W x + b + B A x, (…, C_out) of (…, C_in)."""
        return super().forward(input) + F.linear(F.linear(input, self.lora_a), self.lora_b)

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """Return the linear map with W + B A for its weight."""
        plain = nn.Linear(self.in_features, self.out_features, device="meta")
        weight = self.weight + self.lora_b @ self.lora_a
        plain.weight = nn.Parameter(weight, self.weight.requires_grad)
        plain.bias = self.bias
        return plain


def add_adapters(encoder: nn.Module, rank: int) -> None:
    """Put adapters on the attention of an encoder, initialised from torch's global generator.

    What it computes is the same before and after. The weights below the embedding head are frozen.

    Args:
        encoder: a vision transformer with an embedding head.
        rank: r of every adapter.

    Raises:
        ArcwiseError: the encoder has no attention or has adapters, or the rank is out of range.
    """
    attentions = list(_attentions(encoder))
    if not attentions:
        spec: Any = encoder.spec
        raise ArcwiseError(
            f"low-rank adapters go on the attention of an encoder vit_…, and {spec.name} has none: "
            "choose such an encoder, or train the last layers"
        )
    if has_adapters(encoder):
        raise ArcwiseError("the encoder has low-rank adapters: merge them before adding others")
    channels = attentions[0].qkv.in_features
    if not 1 <= rank <= channels:
        raise ArcwiseError(f"the rank of adapters is {rank}, expected 1 to {channels}")
    for attention in attentions:
        for name in ADAPTED:
            setattr(attention, name, LowRankLinear(getattr(attention, name), rank))
    freeze_base(encoder)


def freeze_base(encoder: nn.Module) -> None:
    """Let no gradient reach what is below the embedding head, except adapters.

    An adapter that is frozen stays frozen, and an encoder without adapters stays as it is.
    """
    if not has_adapters(encoder):
        return
    layers: Any = encoder.layers
    for layer in layers[:-1]:
        for name, parameter in layer.named_parameters():
            if name.rpartition(".")[2] not in ("lora_a", "lora_b"):
                parameter.requires_grad_(False)


def merge(encoder: nn.Module) -> nn.Module:
    """Return a plain copy of the encoder, with every adapter added to its weight.

    Its state dict has the names of a network that never had adapters. An encoder without adapters
    is returned as it is, not copied.
    """
    if not has_adapters(encoder):
        return encoder
    plain = copy.deepcopy(encoder)
    for attention in _attentions(plain):
        for name in ADAPTED:
            setattr(attention, name, getattr(attention, name).merged())
    return plain


def has_adapters(encoder: nn.Module) -> bool:
    """Return whether the encoder has adapters."""
    return any(isinstance(module, LowRankLinear) for module in encoder.modules())


def _attentions(encoder: nn.Module) -> Iterator[Attention]:
    return (module for module in encoder.modules() if isinstance(module, Attention))
