"""From the features of a backbone to an embedding: pooled over the image, then projected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from arcwise.encoders.interface import full_precision
from arcwise.errors import ArcwiseError

Pooling = Literal["mean", "gem", "mean+max", "cls", "cls+mean"]
Projection = Literal["orthogonal", "linear", "bn-linear-bn", "none"]

GEM_POWER = 3.0
"""p of generalised-mean pooling, fixed (Radenovic et al., arXiv 1711.02512, section 3.2)."""


class Features(NamedTuple):
    """What a backbone returns for a batch.

    Attributes:
        positions: (N, C, P), the features at P places of the image.
        token: (N, C), a summary that the backbone makes itself (the class token of a ViT); None
            for others.
    """

    positions: Tensor
    token: Tensor | None = None


class EmbeddingHead(nn.Module):
    """Pooling over the image and a projection to D dimensions.

    Args:
        channels: C of the backbone's features.
        dim: D.
        pooling: `mean`; `gem`, the generalised mean with p = 3; `mean+max`, both one after the
            other; `cls`, the backbone's own summary; or `cls+mean`.
        projection: `orthogonal`, fixed and random, between two batch normalisations of which the
            first learns a scale; `linear`; `bn-linear-bn`; or `none`.

    Raises:
        ArcwiseError: an unknown name, or dimensions that do not fit.
    """

    def __init__(self, channels: int, dim: int, pooling: str, projection: str) -> None:
        super().__init__()
        for what, value, known in (
            ("pooling", pooling, get_args(Pooling)),
            ("projection", projection, get_args(Projection)),
        ):
            if value not in known:
                raise ArcwiseError(f"{what} is {value!r}; expected one of {', '.join(known)}")
        self.pooling = pooling
        self.width = channels * (2 if "+" in pooling else 1)
        self.project = _projection(self.width, dim, projection)

    def pool(self, features: Features) -> Tensor:
        """Return (N, F) float32: F is C, or twice as much where two poolings are joined."""
        pooled = [_POOLINGS[name](features).float() for name in self.pooling.split("+")]
        return torch.cat(pooled, dim=1) if len(pooled) > 1 else pooled[0]

    def forward(self, pooled: Tensor) -> Tensor:
        """Return (N, D) float32 of (N, F) pooled features."""
        with full_precision(pooled):
            return self.project(pooled.float())


class FixedOrthogonal(nn.Module):
    """A linear map that is not trained: it loses no direction in which new identities may differ.

    With D <= F the rows are orthonormal; with D >= F the columns are, and angles stay as they are.

    Args:
        width: F, what it takes.
        dim: D, what it gives.
    """

    matrix: Tensor

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        matrix = torch.empty(dim, width)
        if not matrix.is_meta:  # a meta tensor has only a shape
            nn.init.orthogonal_(matrix)
        self.register_buffer("matrix", matrix)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, D)."""
        return F.linear(x, self.matrix)


def _projection(width: int, dim: int, projection: str) -> nn.Module:
    if projection == "none":
        if width != dim:
            raise ArcwiseError(
                f"without a projection an embedding has the {width} dimensions of the pooled "
                f"features, got dim={dim}: give dim={width}, or a projection"
            )
        return nn.Identity()
    if projection == "linear":
        return nn.Linear(width, dim, bias=False)
    middle = nn.Linear(width, dim, bias=False)
    if projection == "orthogonal":
        middle = FixedOrthogonal(width, dim)
    return nn.Sequential(nn.BatchNorm1d(width), middle, nn.BatchNorm1d(dim, affine=False))


def _token(features: Features) -> Tensor:
    """Return (N, C): the backbone's own summary."""
    if features.token is None:
        raise ArcwiseError("pooling is cls, and this backbone has no class token: give another")
    return features.token


def _gem(features: Features) -> Tensor:
    """Return (N, C): the generalised mean over the positions."""
    positions = features.positions.float().clamp(min=1e-6)
    return positions.pow(GEM_POWER).mean(2).pow(1 / GEM_POWER)


def _largest(features: Features) -> Tensor:
    """Return (N, C): the largest value over the positions."""
    # Not `amax`: its gradient takes a CPU eight times as long.
    return F.adaptive_max_pool1d(features.positions, 1).flatten(1)


_POOLINGS: dict[str, Callable[[Features], Tensor]] = {
    "mean": lambda features: features.positions.float().mean(2),
    "gem": _gem,
    "max": _largest,
    "cls": _token,
}
