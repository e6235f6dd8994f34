"""EfficientNet-Lite: pretrained networks of plain operations that any phone, or CPU, runs.

Tan, Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks (ICML 2019), in
its Lite form: no squeeze-and-excitation, ReLU6 instead of swish, and stem and last layer of the
same width in every size. The padding is TensorFlow's "SAME", with which the published weights were
trained. Those take images scaled to -1 … 1: (x - 127) / 128.

Names are ours; `published` translates those of the two published state dicts, of
`efficientnet_lite_pytorch` and of timm (`tf_efficientnet_lite0`).
"""

from __future__ import annotations

import math
import re

from torch import Tensor, nn
from torch.nn import functional as F

from arcwise.encoders.backbone import BackboneEncoder
from arcwise.encoders.embedding_head import Features

# (width, depth) multipliers and the size they were trained at.
SCALES = {
    "efficientnet_lite0": (1.0, 1.0, 224),
    "efficientnet_lite1": (1.0, 1.1, 240),
    "efficientnet_lite2": (1.1, 1.2, 260),
    "efficientnet_lite3": (1.2, 1.4, 280),
    "efficientnet_lite4": (1.4, 1.8, 300),
}

# Table 1 of the paper: expansion, channels, repeats, stride of the first, kernel.
TABLE = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
STEM, LAST = 32, 1280
_MOMENTUM, _EPSILON = 0.01, 1e-3  # of batch normalisation, as published


class SameConv(nn.Conv2d):
    """A convolution padded so that the output has ceil(H / stride) rows; odd padding goes last."""

    def forward(self, input: Tensor) -> Tensor:
        """Return (N, C_out, ceil(H / stride), ceil(W / stride))."""
        x, (kernel, _), (stride, _) = input, self.kernel_size, self.stride
        rows, columns = (
            max((math.ceil(side / stride) - 1) * stride + kernel - side, 0) for side in x.shape[2:]
        )
        if rows == columns and rows % 2 == 0:
            return F.conv2d(x, self.weight, None, stride, rows // 2, 1, self.groups)
        x = F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2))
        return F.conv2d(x, self.weight, None, stride, 0, 1, self.groups)


def _conv(
    channels_in: int,
    channels_out: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    linear: bool = False,
) -> nn.Sequential:
    """Return a convolution, batch normalisation and, unless linear, ReLU6."""
    layers: list[nn.Module] = [
        SameConv(channels_in, channels_out, kernel, stride, groups=groups, bias=False),
        nn.BatchNorm2d(channels_out, eps=_EPSILON, momentum=_MOMENTUM),
    ]
    return nn.Sequential(*layers, *([] if linear else [nn.ReLU6(inplace=True)]))


class Block(nn.Module):
    """Expand, depthwise, project; the shortcut only where the shape stays (MobileNetV2)."""

    def __init__(
        self, channels_in: int, channels_out: int, expansion: int, stride: int, kernel: int
    ) -> None:
        super().__init__()
        inner = channels_in * expansion
        self.expand = _conv(channels_in, inner) if expansion > 1 else nn.Identity()
        self.depthwise = _conv(inner, inner, kernel, stride, groups=inner)
        self.project = _conv(inner, channels_out, linear=True)
        self.shortcut = stride == 1 and channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C_out, ceil(H / stride), ceil(W / stride))."""
        out = self.project(self.depthwise(self.expand(x)))
        return x + out if self.shortcut else out


class EfficientNetLite(nn.Module):
    """(N, 3, H, W) -> `Features` of 1,280 channels at H/32 × W/32 positions.

    Args:
        name: a key of `SCALES`.
    """

    channels = LAST

    def __init__(self, name: str) -> None:
        super().__init__()
        width, _, _ = SCALES[name]
        self.stem = _conv(3, STEM, 3, stride=2)
        blocks: list[nn.Module] = []
        channels = STEM
        rows = zip(TABLE, _repeats(name), strict=True)
        for (expansion, planes, _, stride, kernel), repeats in rows:
            wide = _rounded(planes * width)
            for number in range(repeats):
                first = stride if number == 0 else 1
                blocks.append(Block(channels, wide, expansion, first, kernel))
                channels = wide
        self.blocks = nn.ModuleList(blocks)
        self.last = _conv(channels, LAST)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    @property
    def layers(self) -> list[nn.Module]:
        """Stem, blocks, last convolution."""
        return [self.stem, *self.blocks, self.last]

    def forward(self, images: Tensor) -> Features:
        """Return the features of (N, 3, H, W) images."""
        x = images
        for layer in self.layers:
            x = layer(x)
        return Features(x.flatten(2))


def _repeats(name: str) -> list[int]:
    """Return how many blocks each row of the table has; the first and the last are never deeper."""
    _, depth, _ = SCALES[name]
    inner = [math.ceil(repeats * depth) for _, _, repeats, *_ in TABLE[1:-1]]
    return [TABLE[0][2], *inner, TABLE[-1][2]]


def _rounded(channels: float) -> int:
    """Return a multiple of 8 that is not more than a tenth smaller."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def build(
    name: str,
    *,
    dim: int,
    size: tuple[int, int],
    pooling: str = "mean",
    projection: str = "bn-linear-bn",
) -> BackboneEncoder:
    """Return the EfficientNet-Lite of that name with an embedding head."""
    return BackboneEncoder(
        EfficientNetLite(name), dim=dim, size=size, pooling=pooling, projection=projection
    )


_PACKAGE = {
    "_conv_stem": "stem.0", "_bn0": "stem.1", "_conv_head": "last.0", "_bn1": "last.1",
    "_expand_conv": "expand.0", "_depthwise_conv": "depthwise.0", "_project_conv": "project.0",
}  # fmt: skip
_PACKAGE_NORMS = {"_bn0": "expand.1", "_bn1": "depthwise.1", "_bn2": "project.1"}
_TIMM = {"conv_stem": "stem.0", "bn1": "stem.1", "conv_head": "last.0", "bn2": "last.1"}
_TIMM_BLOCK = {
    "conv_pw": "expand.0", "bn1": "expand.1", "conv_dw": "depthwise.0", "bn2": "depthwise.1",
    "conv_pwl": "project.0", "bn3": "project.1",
}  # fmt: skip
_TIMM_FIRST_BLOCK = {
    "conv_dw": "depthwise.0", "bn1": "depthwise.1", "conv_pw": "project.0", "bn2": "project.1",
}  # fmt: skip


def published(name: str, key: str) -> str:
    """Return our name of a tensor in a published state dict; the key itself where there is none.

    Args:
        name: a key of `SCALES`.
        key: as `efficientnet_lite_pytorch` or timm name it.
    """
    if match := re.fullmatch(r"_blocks\.(\d+)\.(_\w+)\.(\w+)", key):
        block, part, tensor = match.groups()
        part = _PACKAGE_NORMS.get(part) or _PACKAGE.get(part, part)
        return f"backbone.blocks.{block}.{part}.{tensor}"
    if match := re.fullmatch(r"blocks\.(\d+)\.(\d+)\.(\w+)\.(\w+)", key):
        stage, block, part, tensor = match.groups()
        names = _TIMM_BLOCK if stage != "0" else _TIMM_FIRST_BLOCK
        place = sum(_repeats(name)[: int(stage)]) + int(block)
        return f"backbone.blocks.{place}.{names.get(part, part)}.{tensor}"
    part, _, tensor = key.partition(".")
    ours = _PACKAGE.get(part) or _TIMM.get(part)
    return f"backbone.{ours}.{tensor}" if ours else key
