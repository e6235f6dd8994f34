"""Small: about a million parameters that a laptop's CPU trains in minutes.

Plain 3 x 3 convolutions only: with `channels_last` memory and bfloat16 autocast they run on a
CPU's matrix units, where the depthwise convolutions of phone networks do not. The means and the
maxima of the last three stages over the image are concatenated and normalised, so that colour and
texture (early, many positions) as well as shape (late) reach the embedding. What follows is a
fixed projection, not a learned one: with few training identities, a learned layer drops the
directions in which those do not differ, although new identities may differ in them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from arcwise.encoders.interface import check_batch, full_precision
from arcwise.errors import ArcwiseError

_WIDTHS = (32, 64, 128, 160)  # channels of the stages; every stage halves the image
_BLOCKS = (0, 1, 1, 1)  # residual blocks in each
_POOLED = 3  # how many of the last stages the embedding sees


def _conv(channels_in: int, channels_out: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
    ]


class Residual(nn.Module):
    """Two convolutions added to the identity; it starts as the identity (last scale zero)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        last = nn.BatchNorm2d(channels)
        nn.init.zeros_(last.weight)
        self.branch = nn.Sequential(
            *_conv(channels, channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            last,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H, W), never negative."""
        return F.relu(x + self.branch(x))


class Small(nn.Module):
    """(N, 3, H, W) -> (N, D), not normalised.

    Args:
        dim: D, at most 704, the number of features it is projected from.
        size: (H, W) of the images; recorded, not required.

    Raises:
        ArcwiseError: dim is larger.
    """

    projection: Tensor

    def __init__(self, *, dim: int = 512, size: tuple[int, int] = (112, 112)) -> None:
        super().__init__()
        pooled = 2 * sum(_WIDTHS[-_POOLED:])
        if dim > pooled:
            raise ArcwiseError(f"the small encoder has {pooled} features: give dim <= {pooled}")
        self.dim, self.size = dim, size
        self.stages = nn.ModuleList()
        channels = 3
        for width, blocks in zip(_WIDTHS, _BLOCKS, strict=True):
            stage = [*_conv(channels, width, stride=2), nn.ReLU(inplace=True)]
            stage += [Residual(width) for _ in range(blocks)]
            self.stages.append(nn.Sequential(*stage))
            channels = width
        self.norm = nn.BatchNorm1d(pooled)
        projection = torch.empty(dim, pooled)
        if not projection.is_meta:  # a meta tensor has only a shape
            nn.init.orthogonal_(projection)
        self.register_buffer("projection", projection)
        self.embedding = nn.BatchNorm1d(dim, affine=False)

    @property
    def layers(self) -> list[nn.Module]:
        """The stages, then what follows the pooling."""
        return [*self.stages, nn.ModuleList([self.norm, self.embedding])]

    def pooled(self, images: Tensor) -> Tensor:
        """Return (N, 704): means and maxima of the last stages over the image, in float32."""
        features, x = [], images
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number >= len(_WIDTHS) - _POOLED:
                # Not `amax`: its gradient takes a CPU eight times as long.
                largest = F.adaptive_max_pool2d(x, 1).flatten(1)
                features += [x.mean((2, 3), dtype=torch.float32), largest.float()]
        return torch.cat(features, dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, D) embeddings of (N, 3, H, W) prepared images."""
        check_batch(images, size=None, training=self.training)
        x = self.pooled(images)
        with full_precision(x):
            return self.embedding(F.linear(self.norm(x), self.projection))


def build(name: str, *, dim: int, size: tuple[int, int]) -> Small:
    """Return the small encoder; there is one."""
    assert name == "small"
    return Small(dim=dim, size=size)
