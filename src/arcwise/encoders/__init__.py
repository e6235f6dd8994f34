"""Encoders: images in, embeddings out. `(N, 3, H, W) float -> (N, D) float`, not normalised.

The length of an embedding carries information (quality, confidence). It is kept, and the losses
and measures of angles remove it. One file per family; `create` imports the family, and torch with
it, when it makes one of its encoders. An encoder that estimates a quality returns a pair,
`(N, D)` and `(N,)`; `interface.encoder_output` makes one type of both.

Legend of shapes: N samples, D dimensions, H and W height and width in pixels.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from arcwise.errors import ArcwiseError, suggestion

if TYPE_CHECKING:
    from torch import nn

_FAMILIES = {
    "small": "small",
    "mobilefacenet": "mobilefacenet",
    "iresnet18": "iresnet",
    "iresnet34": "iresnet",
    "iresnet50": "iresnet",
    "iresnet100": "iresnet",
    "iresnet200": "iresnet",
}

NAMES: tuple[str, ...] = tuple(_FAMILIES)
"""Every name that `create` knows."""


def create(name: str, *, dim: int = 512, size: tuple[int, int] = (112, 112)) -> nn.Module:
    """Return a new encoder, initialised from torch's global generator, in training mode.

    Args:
        name: one of `NAMES`.
        dim: D, the size of an embedding.
        size: (H, W) of the images it will be given.

    Returns:
        A module from (N, 3, H, W) to (N, D), not normalised, with the attributes
        `.name`, `.dim` and `.size` that a model folder stores to build it again.

    Raises:
        ArcwiseError: the name is unknown (close matches are suggested), or a size is not positive.
    """
    if name not in _FAMILIES:
        hint = suggestion(str(name), NAMES) or "choose one of these"
        raise ArcwiseError(f"no encoder is called {name!r}; {hint} (known: {', '.join(NAMES)})")
    if dim < 1 or len(size) != 2 or min(size) < 1:
        raise ArcwiseError(
            f"an encoder with dim={dim} and size={tuple(size)} cannot be: give dim >= 1 and "
            "size=(height, width) in pixels, both >= 1",
        )
    family = import_module(f"{__name__}.{_FAMILIES[name]}")
    return family.build(name, dim=dim, size=(int(size[0]), int(size[1])))


def architecture(encoder: nn.Module) -> dict[str, Any]:
    """Return what `create` needs to make the same architecture: name, dim and size, for JSON."""
    fields: Any = encoder
    return {"name": fields.name, "dim": fields.dim, "size": list(fields.size)}
