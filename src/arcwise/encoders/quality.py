"""Any encoder, with a learned quality for every image (QAN, Liu et al., arXiv 1704.03373).

The quality is read off the image by a few convolutions of its own: off the mean and the deviation
of their features over the image, the latter being what blur takes away. The paper reads it off
features in the middle of its network, which not every encoder has in one place. It learns from the
loss of whole sets (`objectives.SetTriplet`) alone, without labels of quality.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from arcwise.encoders.interface import EncoderOutput, encoder_output, full_precision, layers_of

ARGUMENT = "quality"
"""The argument of `encoders.create`, and of a spec, that asks for one."""

LEAST = 1e-4
"""The lowest quality: a set whose images are all bad still has weights that can be divided by."""

_WIDTHS = (16, 32, 64)  # channels; each convolution halves the image


class QualityBranch(nn.Module):
    """(N, 3, H, W) -> (N,) from `LEAST` to 1; one half for every image at the start."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in _WIDTHS:
            layers += [
                nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
            channels = width
        self.features = nn.Sequential(*layers)
        self.score = nn.Linear(2 * channels, 1)
        if not self.score.weight.is_meta:
            nn.init.zeros_(self.score.weight)
            nn.init.zeros_(self.score.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return (N,) float32 qualities of (N, 3, H, W) prepared images."""
        features = self.features(images)
        with full_precision(features):
            features = features.float()
            mean = features.mean((2, 3))
            # A square root has no derivative at 0, where every position is alike.
            deviation = (features.square().mean((2, 3)) - mean.square()).clamp_min(0).add(1e-6)
            score = self.score(torch.cat([mean, deviation.sqrt()], dim=1)).squeeze(1)
            return LEAST + (1 - LEAST) * score.sigmoid()


class QualityEncoder(nn.Module):
    """(N, 3, H, W) -> (N, D), not normalised, and (N,) qualities.

    Args:
        encoder: of `encoders.create`, without a quality.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.quality = QualityBranch()

    @property
    def layers(self) -> list[nn.Module]:
        """The encoder's parts; the quality is part of the last one, and trained with it."""
        *below, head = layers_of(self.encoder)
        return [*below, nn.ModuleList([head, self.quality])]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return (N, D) embeddings and (N,) qualities of (N, 3, H, W) prepared images."""
        output: EncoderOutput = encoder_output(self.encoder(images))
        return output.embedding, self.quality(images)


def without_quality(encoder: nn.Module) -> nn.Module:
    """Return the part of an encoder that makes the embedding; of one without a quality, itself."""
    return encoder.encoder if isinstance(encoder, QualityEncoder) else encoder


def has_quality(architecture: Any) -> bool:
    """Return whether an architecture, as a model folder has it, estimates a quality."""
    return bool(architecture.get("arguments", {}).get(ARGUMENT, False))
