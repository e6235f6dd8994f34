"""dlib's face network: 29 convolutions, 5.6 million weights, embeddings of 128 dimensions.

Davis King, dlib (examples/dnn_face_recognition_ex.cpp, `anet_type`): a ResNet-34 (He et al., CVPR
2016) with fewer layers and half as many filters. Where a published ResNet pads, dlib does not: what
steps by two has no padding, and where the two sides of a sum differ in shape, the smaller one is
padded with zeros below, to the right, and in the last channels. Batch normalisation is frozen in
the published weights: a scale and a shift of each channel.

It takes RGB images of 150 x 150, (x - mean) / 256. It was trained so that two images of one person
are nearer than 0.6, as the Euclidean distance of embeddings whose length is free.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from arcwise.encoders.backbone import BackboneEncoder
from arcwise.encoders.dlib_file import blocks
from arcwise.encoders.embedding_head import Features
from arcwise.errors import ArcwiseError

FILTERS = 32
LEAST_SIDE, USUAL_SIDE = 103, 150
"""Pixels: of an image smaller than the first nothing is left before the last block."""


class Affine(nn.Module):
    """x * weight + bias, one of each for a channel.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H, W)."""
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class Stem(nn.Module):
    """From the image to C channels at about a quarter of its sides.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 7, stride=2)
        self.affine = Affine(channels)

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, C, H', W')."""
        return F.max_pool2d(F.relu(self.affine(self.conv(images))), 3, stride=2)


class DlibBlock(nn.Module):
    """Two convolutions, added to their input or to its averages over 2 x 2.

    Args:
        channels_in: of the input.
        channels: C, of the output.
        halves: whether the sides are halved.
    """

    def __init__(self, channels_in: int, channels: int, halves: bool) -> None:
        super().__init__()
        self.halves = halves
        stride, padding = (2, 0) if halves else (1, 1)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding)
        self.affine1 = Affine(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.affine2 = Affine(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H', W')."""
        out = self.affine2(self.conv2(F.relu(self.affine1(self.conv1(x)))))
        if not self.halves:
            return F.relu(out + x)
        shortcut = F.avg_pool2d(x, 2)
        shape = [max(sides) for sides in zip(out.shape[1:], shortcut.shape[1:], strict=True)]
        return F.relu(_padded(out, shape) + _padded(shortcut, shape))


class DlibResNet(nn.Module):
    """(N, 3, H, W) -> `Features` of 8 x `filters` channels; of an image of 150 x 150, 2 x 2.

    Args:
        filters: of the first convolution; the others have up to eight times as many.
    """

    def __init__(self, filters: int = FILTERS) -> None:
        super().__init__()
        self.stem = Stem(filters)
        parts: list[nn.Module] = []
        channels = wide = filters
        for halves in blocks():
            wide = min(2 * wide, 8 * filters) if halves else wide
            parts.append(DlibBlock(channels, wide, halves))
            channels = wide
        self.blocks = nn.ModuleList(parts)
        self.channels = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    @property
    def layers(self) -> list[nn.Module]:
        """Stem and blocks."""
        return [self.stem, *self.blocks]

    def forward(self, images: Tensor) -> Features:
        """Return the features of (N, 3, H, W) images."""
        if min(images.shape[2:]) < LEAST_SIDE:  # crops in training may be smaller than its size
            raise ArcwiseError(
                f"dlib_resnet takes images of {LEAST_SIDE} x {LEAST_SIDE} and more, got "
                f"{images.shape[2]} x {images.shape[3]}"
            )
        x = images
        for layer in self.layers:
            x = layer(x)
        return Features(x.flatten(2))


def build(
    name: str,
    *,
    dim: int,
    size: tuple[int, int],
    pooling: str = "mean",
    projection: str = "linear",
) -> BackboneEncoder:
    """Return dlib's face network with an embedding head; its own is `mean` and `linear`."""
    if min(size) < LEAST_SIDE:
        raise ArcwiseError(
            f"{name} takes images of {LEAST_SIDE} x {LEAST_SIDE} and more, got size={size}"
        )
    return BackboneEncoder(DlibResNet(), dim=dim, size=size, pooling=pooling, projection=projection)


def nearest_size(name: str, size: int) -> int:
    """Return the size itself, or the published one where it is too small."""
    return size if size >= LEAST_SIDE else USUAL_SIDE


def _padded(x: Tensor, shape: list[int]) -> Tensor:
    """Return x with zeros behind, as (N, *shape)."""
    channels, rows, columns = (wide - own for wide, own in zip(shape, x.shape[1:], strict=True))
    return F.pad(x, (0, columns, 0, rows, 0, channels)) if channels or rows or columns else x
