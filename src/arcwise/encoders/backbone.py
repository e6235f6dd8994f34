"""A backbone with an embedding head on it: the form of every encoder that starts from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn

from arcwise.encoders.embedding_head import EmbeddingHead, Features
from arcwise.encoders.interface import check_batch


class Backbone(Protocol):
    """What a `BackboneEncoder` needs of a network, which is an `nn.Module` too.

    Attributes:
        channels: C of its features.
        layers: its parts from the image on, each with the parameters of its own; what is frozen
            or trained slowly is counted in them.
    """

    channels: int
    layers: Sequence[nn.Module]

    def __call__(self, images: Tensor) -> Features:
        """Return the features of (N, 3, H, W) images."""
        ...


class BackboneEncoder(nn.Module):
    """(N, 3, H, W) -> (N, D), not normalised.

    Args:
        backbone: from images to features; a `Backbone`.
        dim: D.
        size: (H, W) of the images.
        pooling: of `EmbeddingHead`.
        projection: of `EmbeddingHead`.
    """

    def __init__(
        self,
        backbone: nn.Module,
        *,
        dim: int,
        size: tuple[int, int],
        pooling: str,
        projection: str,
    ) -> None:
        super().__init__()
        self.dim, self.size = dim, size
        self.backbone = backbone
        self.head = EmbeddingHead(backbone.channels, dim, pooling, projection)  # type: ignore[arg-type]

    @property
    def layers(self) -> list[nn.Module]:
        """The parts from the image to the embedding; the last one is the head."""
        return [*self.backbone.layers, self.head]  # type: ignore[misc]

    def pooled(self, images: Tensor) -> Tensor:
        """Return (N, F) float32: what the projection sees of (N, 3, H, W) prepared images."""
        check_batch(images, size=None, training=self.training)
        return self.head.pool(self.backbone(images))

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, D) embeddings of (N, 3, H, W) prepared images."""
        return self.head(self.pooled(images))
