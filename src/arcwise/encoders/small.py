"""Small: about a million parameters that a laptop's CPU trains in minutes.

Plain 3 x 3 convolutions only: with `channels_last` memory and bfloat16 autocast they run on a
CPU's matrix units, where the depthwise convolutions of phone networks do not. The last three
stages are averaged over the picture and concatenated, so that texture (early, many positions) and
shape (late) both reach the embedding; any picture size of 32 pixels or more will do.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from arcwise.encoders.batch import check_batch, full_precision

_WIDTHS = (32, 64, 128, 160)  # channels of the stages; every stage halves the picture
_BLOCKS = (0, 1, 1, 1)  # residual blocks in each
_POOLED = 3  # how many of the last stages the embedding sees


def _conv(channels_in: int, channels_out: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
    ]


class Residual(nn.Module):
    """Two convolutions beside the identity; it starts as the identity (last scale zero)."""

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
        """(N, C, H, W), never negative."""
        return F.relu(x + self.branch(x))


class Small(nn.Module):
    """(N, 3, H, W) -> (N, D), not normalised.

    Args:
        dim: D.
        size: (H, W) it is meant for; recorded, not required.
    """

    name = "small"

    def __init__(self, *, dim: int = 512, size: tuple[int, int] = (112, 112)) -> None:
        super().__init__()
        self.dim, self.size = dim, size
        self.stages = nn.ModuleList()
        channels = 3
        for width, blocks in zip(_WIDTHS, _BLOCKS, strict=True):
            stage = [*_conv(channels, width, stride=2), nn.ReLU(inplace=True)]
            stage += [Residual(width) for _ in range(blocks)]
            self.stages.append(nn.Sequential(*stage))
            channels = width
        pooled = sum(_WIDTHS[-_POOLED:])
        self.norm = nn.BatchNorm1d(pooled)
        self.fc = nn.Linear(pooled, dim, bias=False)
        self.embedding = nn.BatchNorm1d(dim, affine=False)

    def pooled(self, pictures: Tensor) -> Tensor:
        """(N, 352): the averages of the last stages over the picture, in float32."""
        averages, x = [], pictures
        for stage in self.stages:
            x = stage(x)
            averages.append(x.float().mean((2, 3)))
        return torch.cat(averages[-_POOLED:], dim=1)

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, D) embeddings of (N, 3, H, W) prepared pictures."""
        check_batch(pictures, size=None, training=self.training)
        x = self.pooled(pictures)
        with full_precision(x):
            return self.embedding(self.fc(self.norm(x)))


def build(name: str, *, dim: int, size: tuple[int, int]) -> Small:
    """The small encoder; there is one."""
    assert name == Small.name
    return Small(dim=dim, size=size)
