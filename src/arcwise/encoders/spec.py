"""What an encoder is, in words that a model folder stores and `create` builds it from again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from arcwise.errors import ArcwiseError


@dataclass(frozen=True)
class EncoderSpec:
    """A network by name, and what it is made with.

    Attributes:
        name: one of `encoders.NAMES`, `timm:NAME`, or `torch:package.module:function`.
        dim: D, the dimension of the embedding.
        size: (H, W) of the images it is given.
        arguments: what the family takes besides, such as `pooling` and `projection`; JSON values.
        weights: where the weights that it started from came from; empty for random ones. It says
            nothing about what the encoder computes.
    """

    name: str
    dim: int
    size: tuple[int, int]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""

    def __post_init__(self) -> None:
        size = tuple(self.size)
        numbers = (self.dim, *size)
        if len(size) != 2 or any(type(one) is not int or one < 1 for one in numbers):
            raise ArcwiseError(
                f"an encoder with dim={self.dim} and size={size} cannot be: give dim >= 1 and "
                "size=(height, width) in pixels, both >= 1"
            )
        object.__setattr__(self, "size", size)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values; what is empty is left out, as in older model folders."""
        about: dict[str, Any] = {"name": self.name, "dim": self.dim, "size": list(self.size)}
        if self.arguments:
            about["arguments"] = dict(self.arguments)
        if self.weights:
            about["weights"] = self.weights
        return about

    @classmethod
    def from_dict(cls, about: Mapping[str, Any]) -> EncoderSpec:
        """Return the spec that `as_dict` gave."""
        return cls(
            about["name"],
            about["dim"],
            tuple(about["size"]),
            about.get("arguments", {}),
            about.get("weights", ""),
        )
