"""What every encoder asks of a batch, and the precision in which its last layers run."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from arcwise.errors import ArcwiseError


def check_batch(pictures: Tensor, *, size: tuple[int, int] | None, training: bool) -> None:
    """Nothing, if the encoder can take the batch. Reads shapes only, so no device is waited for.

    Args:
        pictures: (N, 3, H, W).
        size: (H, W) the encoder was made for; None when it takes any.
        training: whether batch statistics will be computed, which needs two pictures.

    Raises:
        ArcwiseError: the shape is wrong, or one picture is to be trained on alone.
    """
    shape = tuple(pictures.shape)
    if len(shape) != 4 or shape[1] != 3 or (size is not None and shape[2:] != size):
        wanted = "(N, 3, H, W)" if size is None else f"(N, 3, {size[0]}, {size[1]})"
        raise ArcwiseError(
            f"the encoder got pictures of shape {shape} and takes {wanted}: prepare them to that "
            "size, or create the encoder with size=(height, width) of yours",
        )
    if training and shape[0] < 2:
        raise ArcwiseError(
            "a training batch of one picture has no batch statistics: give at least two (drop "
            "the last incomplete batch), or call .eval() to embed",
        )


def full_precision(tensor: Tensor) -> AbstractContextManager[object]:
    """A block in which autocast is off for the tensor's device.

    Entered only when autocast is on: an exporter then never sees the block.
    """
    kind = tensor.device.type
    if kind == "meta" or not torch.is_autocast_enabled(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)
