"""IResNet: the residual network of the ArcFace line of work, in its published form.

Deng et al., ArcFace: Additive Angular Margin Loss for Deep Face Recognition (CVPR 2019), section
3.1: stride 1 in the stem because faces are small, the "improved residual unit" BN-Conv-BN-PReLU-
Conv-BN (Han et al. 2017), and the BN-Dropout-FC-BN embedding ("option E"). Names and shapes are
those of deepinsight/insightface `arcface_torch`, so that its published state dicts load strict.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from arcwise.encoders.interface import check_batch, full_precision

BLOCKS = {
    "iresnet18": (2, 2, 2, 2),
    "iresnet34": (3, 4, 6, 3),
    "iresnet50": (3, 4, 14, 3),
    "iresnet100": (3, 13, 30, 3),
    "iresnet200": (6, 26, 60, 6),
}


class ResidualUnit(nn.Module):
    """The improved residual unit: (N, C_in, H, W) -> (N, C_out, H / stride, W / stride)."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.prelu = nn.PReLU(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.downsample = None
        if stride != 1 or channels_in != channels_out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
                nn.BatchNorm2d(channels_out),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C_out, H / stride, W / stride): the sum of the branch and the shortcut."""
        out = self.conv1(self.bn1(x))
        out = self.conv2(self.prelu(self.bn2(out)))
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.bn3(out) + shortcut


def _layer(channels_in: int, channels_out: int, blocks: int) -> nn.Sequential:
    """Residual units of which the first halves the image."""
    rest = [ResidualUnit(channels_out, channels_out, stride=1) for _ in range(blocks - 1)]
    return nn.Sequential(ResidualUnit(channels_in, channels_out, stride=2), *rest)


class IResNet(nn.Module):
    """(N, 3, H, W) -> (N, D), not normalised.

    Args:
        name: a key of `BLOCKS`.
        dim: D.
        size: (H, W); 112 x 112 is the published one.
        dropout: probability of dropping a feature before the last linear layer.
    """

    def __init__(
        self, name: str, *, dim: int = 512, size: tuple[int, int] = (112, 112), dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.dim, self.size = dim, size
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU(64)
        first, second, third, fourth = BLOCKS[name]
        self.layer1 = _layer(64, 64, first)
        self.layer2 = _layer(64, 128, second)
        self.layer3 = _layer(128, 256, third)
        self.layer4 = _layer(256, 512, fourth)
        self.bn2 = nn.BatchNorm2d(512)
        self.dropout = nn.Dropout(dropout)
        height, width = (-(-side // 16) for side in size)  # four halvings, each rounding up
        self.fc = nn.Linear(512 * height * width, dim)
        self.features = nn.BatchNorm1d(dim)
        self.features.weight.requires_grad = False  # as published: it stays 1
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, 0.1)

    @property
    def layers(self) -> list[nn.Module]:
        """The stem, the residual units, and what follows them."""
        stem = nn.ModuleList([self.conv1, self.bn1, self.prelu])
        units = [*self.layer1, *self.layer2, *self.layer3, *self.layer4]
        return [stem, *units, nn.ModuleList([self.bn2, self.fc, self.features])]

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, D) embeddings of (N, 3, H, W) prepared images."""
        check_batch(images, size=self.size, training=self.training)
        x = self.prelu(self.bn1(self.conv1(images)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = self.dropout(torch.flatten(self.bn2(x), 1))
        with full_precision(x):  # as published: the embedding itself is never half precision
            return self.features(self.fc(x.float()))


def build(name: str, *, dim: int, size: tuple[int, int]) -> IResNet:
    """Return the IResNet of that name."""
    return IResNet(name, dim=dim, size=size)
