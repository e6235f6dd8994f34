"""Encoders: images in, embeddings out. `(N, 3, H, W) float -> (N, D) float`, not normalised.

The length of an embedding carries information (quality, confidence). It is kept, and the losses
and measures of angles remove it. One file per family; `create` imports the family, and torch with
it, when it makes one of its encoders. An encoder that estimates a quality returns a pair,
`(N, D)` and `(N,)`; `interface.encoder_output` makes one type of both.

Legend of shapes: N samples, D dimensions, H and W height and width in pixels.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from arcwise.encoders.spec import EncoderSpec
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
    "dlib_resnet": "dlib_resnet",
    **{f"efficientnet_lite{number}": "efficientnet_lite" for number in range(5)},
    **{
        f"vit_{width}_{patch}{registers}": "vit"
        for width in ("small", "base")
        for patch in (14, 16)
        for registers in ("", "_reg4")
    },
    "onnx": "onnx_graph",
}

NAMES: tuple[str, ...] = tuple(name for name in _FAMILIES if name != "onnx")
"""The names of our own networks, besides `timm:NAME` and `torch:package.module:function`; `onnx`
needs the file that was imported."""

_EVERY = ("name", "dim", "size")  # what every family is built from
_PREFIXES = {"timm:": "timm_backbone", "torch:": "python_backbone"}


def create(
    name: str,
    *,
    dim: int = 512,
    size: tuple[int, int] = (112, 112),
    arguments: Mapping[str, Any] | None = None,
    weights: str = "",
) -> nn.Module:
    """Return a new encoder, initialised from torch's global generator, in training mode.

    Args:
        name: one of `NAMES`, `timm:NAME`, or `torch:package.module:function`, whose code is run.
        dim: D, the size of an embedding.
        size: (H, W) of the images it will be given.
        arguments: what the family takes besides, such as `pooling` and `projection`; and for every
            network that is trained `quality`, whether it estimates the quality of each image too.
        weights: where weights that will be loaded into it come from, for the model folder.

    Returns:
        A module from (N, 3, H, W) to (N, D), not normalised (and (N,) qualities), with the
        `EncoderSpec` that a model folder stores as `.spec`, and `.layers`, its parts from the image
        to the embedding.

    Raises:
        ArcwiseError: the name or an argument is unknown (close matches are suggested), or a size
            is not positive.
    """
    given = dict(arguments or {})
    if given.pop("quality", False):
        return _with_quality(create(name, dim=dim, size=size, arguments=given, weights=weights))
    family = _family(name)
    recorded = family.recorded() if hasattr(family, "recorded") else {}
    spec = EncoderSpec(name, dim, size, {**recorded, **given}, weights)
    parameters = inspect.signature(family.build).parameters
    own = [one for one in parameters if one not in _EVERY]
    any_other = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    for argument in spec.arguments:
        if argument not in own and not any_other:
            hint = suggestion(argument, own) or f"it takes {', '.join(own) or 'none'}"
            raise ArcwiseError(f"{name} takes no argument {argument!r}; {hint}")
    encoder = family.build(name, dim=spec.dim, size=spec.size, **spec.arguments)
    encoder.spec = spec
    return encoder


def _with_quality(encoder: nn.Module) -> nn.Module:
    """Return the encoder with a quality of each image."""
    from arcwise.encoders.quality import QualityEncoder

    spec: Any = encoder.spec
    if spec.name == "onnx":
        raise ArcwiseError(
            "an imported ONNX network is kept as its file has it: it learns no quality; expected "
            "an encoder that is trained"
        )
    whole = QualityEncoder(encoder)
    whole.spec = replace(spec, arguments={**spec.arguments, "quality": True})
    return whole


def nearest_size(name: str, size: int) -> int:
    """Return the side of square images that is nearest to this one, of those an encoder takes.

    Raises:
        ArcwiseError: the name is unknown.
    """
    family = _family(name)
    return family.nearest_size(name, size) if hasattr(family, "nearest_size") else size


def _family(name: str) -> ModuleType:
    """Return the file that makes the encoders of this name.

    Raises:
        ArcwiseError: the name is unknown.
    """
    kind = next((file for start, file in _PREFIXES.items() if str(name).startswith(start)), None)
    if kind is None and name not in _FAMILIES:
        hint = suggestion(str(name), NAMES) or "choose one of these"
        names = ", ".join((*NAMES, "timm:NAME", "torch:package.module:function"))
        raise ArcwiseError(f"no encoder is called {name!r}; {hint} (known: {names})")
    return import_module(f"{__name__}.{kind or _FAMILIES[name]}")


def architecture(encoder: nn.Module) -> dict[str, Any]:
    """Return what `create` needs to make the same architecture, for JSON."""
    spec: Any = encoder.spec
    return spec.as_dict()


def in_our_names(encoder: nn.Module, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state dict with the tensors of published weights under our names."""
    spec: Any = encoder.spec
    backbone: Any = getattr(encoder, "backbone", None)
    if hasattr(backbone, "published"):  # whose names are another library's
        own = encoder.state_dict()
        names = {key: key if key in own else backbone.published(key) for key in state}
        return {names[key]: value for key, value in state.items()}
    family = _family(spec.name)
    if not hasattr(family, "published"):
        return dict(state)
    return {family.published(spec.name, key): value for key, value in state.items()}


def completed(encoder: nn.Module, state: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a state dict in our names with what its published layout leaves out, and notes on it.

    Raises:
        ArcwiseError: it is of a network that differs in more than its names.
    """
    spec: Any = encoder.spec
    family = _family(spec.name)
    return family.completed(encoder, state) if hasattr(family, "completed") else (dict(state), [])
