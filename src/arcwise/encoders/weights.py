"""State dict to numpy and back, the form in which weights are stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from arcwise.encoders import create, python_backbone
from arcwise.encoders.spec import EncoderSpec
from arcwise.errors import ArcwiseError


def to_numpy(encoder: nn.Module) -> dict[str, np.ndarray]:
    """Return copies of every parameter and buffer, by state-dict key, in C order."""
    return {
        key: np.array(value.detach().cpu().numpy(), order="C", copy=True)
        for key, value in encoder.state_dict().items()
    }


def load_numpy(encoder: nn.Module, state: Mapping[str, np.ndarray]) -> None:
    """Copy the arrays into the encoder; every key and shape must fit.

    Raises:
        ArcwiseError: a key is missing, left over, or of another shape; some are named.
    """
    own = encoder.state_dict()
    missing = sorted(own.keys() - state.keys())
    extra = sorted(state.keys() - own.keys())
    shapes = [
        f"{key} {state[key].shape} instead of {tuple(own[key].shape)}"
        for key in own.keys() & state.keys()
        if tuple(own[key].shape) != state[key].shape
    ]
    problems = [
        f"{len(keys)} {what} ({', '.join(keys[:3])}{', …' if len(keys) > 3 else ''})"
        for what, keys in (
            ("missing", missing),
            ("too many", extra),
            ("of another shape", sorted(shapes)),
        )
        if keys
    ]
    if problems:
        raise ArcwiseError(
            f"these weights do not fit {encoder_name(encoder)}, of whose {len(own)} tensors "
            f"{len(own) - len(missing) - len(shapes)} fit: {'; '.join(problems)}. Expected whole "
            "weights of an encoder of this name, dim and size",
        )
    copies = {key: torch.from_numpy(np.array(state[key])) for key in own}
    encoder.load_state_dict(copies, assign=any(value.is_meta for value in own.values()))


def encoder_name(encoder: nn.Module) -> str:
    """Return the name that `create` takes for an encoder; of others, that of the class."""
    spec = getattr(encoder, "spec", None)
    return spec.name if isinstance(spec, EncoderSpec) else type(encoder).__name__


def rebuild(architecture: Mapping[str, Any], state: Mapping[str, np.ndarray]) -> nn.Module:
    """Return the encoder of that architecture with these weights, on the CPU, in training mode.

    Args:
        architecture: `encoders.architecture(encoder)`.
        state: as `to_numpy` returns it.

    Raises:
        ArcwiseError: the name is unknown or names code that is not trusted, or the weights do not
            fit.
    """
    spec = EncoderSpec.from_dict(architecture)
    if spec.name.startswith(python_backbone.PREFIX):
        python_backbone.check_trust(spec.name)
    with torch.device("meta"):  # no random start: nothing to compute, the generator stays put
        encoder = create(
            spec.name, dim=spec.dim, size=spec.size, arguments=spec.arguments, weights=spec.weights
        )
    load_numpy(encoder, state)
    return encoder
