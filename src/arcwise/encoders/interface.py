"""What an encoder takes and returns, and the precision in which its last layers run."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from arcwise.errors import ArcwiseError


@dataclass(frozen=True)
class EncoderOutput:
    """What an encoder returns for a batch.

    Attributes:
        embedding: (N, D), not normalised.
        quality: (N,), for an encoder that estimates one, None for others.
    """

    embedding: Tensor
    quality: Tensor | None = None


def encoder_output(result: Tensor | tuple[Tensor, Tensor] | EncoderOutput) -> EncoderOutput:
    """Return the output of an encoder's call: of an embedding, or of an embedding and a quality.

    Raises:
        ArcwiseError: the encoder returned something else.
    """
    if isinstance(result, EncoderOutput):
        return result
    if isinstance(result, Tensor):
        return EncoderOutput(result)
    if isinstance(result, tuple) and len(result) == 2:
        return EncoderOutput(*result)
    raise ArcwiseError(
        f"the encoder returned a {type(result).__name__}; expected embeddings (N, D), or a pair of "
        "embeddings (N, D) and qualities (N,)"
    )


def layers_of(encoder: nn.Module) -> list[nn.Module]:
    """Return the encoder's parts from the image to the embedding; the last one is its head."""
    layers: Any = encoder.layers
    return list(layers)


def check_batch(images: Tensor, *, size: tuple[int, int] | None, training: bool) -> None:
    """Raise ArcwiseError unless the encoder can take the batch. Only shapes are read: no sync.

    Args:
        images: (N, 3, H, W).
        size: (H, W) the encoder was made for; None when it takes any.
        training: whether batch statistics will be computed, which needs two images.

    Raises:
        ArcwiseError: the shape is wrong, or there is one image only in training.
    """
    shape = tuple(images.shape)
    if len(shape) != 4 or shape[1] != 3 or (size is not None and shape[2:] != size):
        expected = "(N, 3, H, W)" if size is None else f"(N, 3, {size[0]}, {size[1]})"
        raise ArcwiseError(
            f"the encoder got images of shape {shape} and takes {expected}: prepare them to that "
            "size, or create the encoder with size=(height, width) of yours",
        )
    if training and shape[0] < 2:
        raise ArcwiseError(
            "a training batch of one image has no batch statistics: give at least two (drop "
            "the last incomplete batch), or call .eval() to embed",
        )


def full_precision(tensor: Tensor) -> AbstractContextManager[object]:
    """Return a context in which autocast is off for the tensor's device.

    It does nothing where autocast is off already, so that an exporter never sees it.
    """
    kind = tensor.device.type
    if kind == "meta" or not torch.is_autocast_enabled(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)
