"""The weights of a published network, whose architecture is one of ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from arcwise import encoders, runtime
from arcwise.bundle import Bundle
from arcwise.encoders.backbone import BackboneEncoder
from arcwise.errors import ArcwiseError
from arcwise.runtime.engines import TorchEngine
from arcwise.training.start_weights import read_weights, start
from arcwise.verbs.import_onnx import ImportedNetwork
from arcwise.verbs.stated_preparation import StatedPreparation

_TRIAL = 509  # a dimension that no other side of a tensor has


def published_network(source: Path, name: str, stated: StatedPreparation) -> ImportedNetwork:
    """Return an architecture of ours with published weights.

    A backbone gets no projection: its pooled features are the embedding. The dimension of others
    is that of the weights.

    Args:
        source: a .safetensors file, or a .pth file with a state dict in it.
        name: the architecture.
        stated: how images are prepared for it.

    Raises:
        ArcwiseError: the weights are of another architecture or size, or not whole.
    """
    size = stated.size or stated.usual_size
    if size is None:
        raise ArcwiseError(f"{source}: weights do not say the size of the images; say --size")
    preparation = replace(stated.preparation, height=size[0], width=size[1])
    trial = _trial(name, size)
    if isinstance(trial, BackboneEncoder):
        dim, arguments = trial.head.width, {"projection": "none"}
    else:
        dim, arguments = _dim(trial, source), {}
    encoder = encoders.create(name, dim=dim, size=size, arguments=arguments, weights=source.name)
    report = start(encoder, source)
    facts = (str(report), f"{name}: takes images of {size[0]} x {size[1]}")

    def write(folder: Path, **about: Any) -> Bundle:
        return runtime.save(folder, encoder, preparation, **about)

    return ImportedNetwork(TorchEngine(encoder.eval()), preparation, facts, write)


def _trial(name: str, size: tuple[int, int]) -> nn.Module:
    """Return an architecture without weights, whose embedding has `_TRIAL` dimensions."""
    with torch.device("meta"):
        try:
            arguments = {"projection": "linear"}
            return encoders.create(name, dim=_TRIAL, size=size, arguments=arguments)
        except ArcwiseError:  # no backbone with a head on it
            return encoders.create(name, dim=_TRIAL, size=size)


def _dim(trial: nn.Module, source: Path) -> int:
    """Return the dimension of the embedding in weights of the trial's architecture."""
    try:
        _, state = read_weights(source)
    except ArcwiseError as problem:
        raise ArcwiseError(f"{source}: {problem}") from None
    state = encoders.in_our_names(trial, state)
    for name, one in trial.state_dict().items():
        if _TRIAL not in one.shape:
            continue
        axis = list(one.shape).index(_TRIAL)
        for key, tensor in state.items():
            if f".{key}".endswith(f".{name}") and tensor.ndim == one.ndim:
                return tensor.shape[axis]
    raise ArcwiseError(
        f"{source}: no tensor in it is called like one of the embedding of {type(trial).__name__}; "
        "give weights of the same --encoder"
    )
