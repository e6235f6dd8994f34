"""MobileFaceNet: about a million parameters for faces on a phone.

Chen, Liu, Gao, Han, MobileFaceNets: Efficient CNNs for Accurate Real-Time Face Verification on
Mobile Devices (CCBR 2018), Table 1. Its idea: a global *depthwise* convolution instead of average
pooling, because the corner of a feature map sees less of the face than its centre.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from arcwise.encoders.interface import check_batch, full_precision

# Table 1, "bottleneck" rows: expansion t, channels c, repeats n, stride s of the first.
TABLE = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))


def _conv(
    channels_in: int,
    channels_out: int,
    kernel: int | tuple[int, int] = 1,
    *,
    stride: int = 1,
    padding: int = 0,
    depthwise: bool = False,
    linear: bool = False,
) -> nn.Sequential:
    """Return a convolution, batch normalisation and, unless linear, a PReLU."""
    groups = channels_in if depthwise else 1
    layers: list[nn.Module] = [
        nn.Conv2d(channels_in, channels_out, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(channels_out),
    ]
    if not linear:
        layers.append(nn.PReLU(channels_out))
    return nn.Sequential(*layers)


class Bottleneck(nn.Module):
    """Expand, depthwise 3 x 3, project; the shortcut only where the shape stays (MobileNetV2)."""

    def __init__(self, channels_in: int, channels_out: int, expansion: int, stride: int) -> None:
        super().__init__()
        inner = channels_in * expansion
        self.expand = _conv(channels_in, inner)
        self.depthwise = _conv(inner, inner, 3, stride=stride, padding=1, depthwise=True)
        self.project = _conv(inner, channels_out, linear=True)
        self.shortcut = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C_out, H / stride, W / stride)."""
        out = self.project(self.depthwise(self.expand(x)))
        return x + out if self.shortcut else out


class MobileFaceNet(nn.Module):
    """(N, 3, H, W) -> (N, D), not normalised; the stages are the rows of Table 1.

    Args:
        dim: D; 128 in the paper.
        size: (H, W); 112 x 112 in the paper. The global convolution is as large as what remains.
    """

    def __init__(self, *, dim: int = 128, size: tuple[int, int] = (112, 112)) -> None:
        super().__init__()
        self.dim, self.size = dim, size
        stages = [
            _conv(3, 64, 3, stride=2, padding=1),
            _conv(64, 64, 3, padding=1, depthwise=True),
        ]
        channels = 64
        for expansion, width, repeats, stride in TABLE:
            row: list[nn.Module] = [Bottleneck(channels, width, expansion, stride)]
            row += [Bottleneck(width, width, expansion, 1) for _ in range(repeats - 1)]
            stages.append(nn.Sequential(*row))
            channels = width
        height, width_left = (-(-side // 16) for side in size)  # four halvings, each rounding up
        stages.append(_conv(channels, 512))
        stages.append(_conv(512, 512, (height, width_left), depthwise=True, linear=True))
        self.stages = nn.ModuleList(stages)
        self.embedding = _conv(512, dim, linear=True)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):  # 0.25: the slope a PReLU starts with
                nn.init.kaiming_normal_(module.weight, a=0.25)

    @property
    def layers(self) -> list[nn.Module]:
        """The rows of Table 1, then the last convolution."""
        return [*self.stages, self.embedding]

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, D) embeddings of (N, 3, H, W) prepared images."""
        check_batch(images, size=self.size, training=self.training)
        x = images
        for stage in self.stages:
            x = stage(x)
        with full_precision(x):
            return torch.flatten(self.embedding(x.float()), 1)


def build(name: str, *, dim: int, size: tuple[int, int]) -> MobileFaceNet:
    """Return the MobileFaceNet; there is one."""
    assert name == "mobilefacenet"
    return MobileFaceNet(dim=dim, size=size)
