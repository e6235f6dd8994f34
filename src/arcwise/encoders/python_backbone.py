"""A user's own network as a backbone: `torch:package.module:function`.

The function returns an `nn.Module` that takes (N, 3, H, W) images and returns one of

- (N, C, H', W'), a map of features, as a convolutional network does;
- (N, P, C), features of P places, as a transformer does;
- (N, C), features that are pooled already;
- `Features`, which keeps a class token apart.

A model folder stores the name of the function, not its code. Rebuilding such a model runs the code
of that name on this machine, and whoever wrote the folder chose the name. It is done only for
modules that the user trusts. An exported model runs on ONNX Runtime without the code.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from arcwise.encoders.backbone import BackboneEncoder
from arcwise.encoders.embedding_head import Features
from arcwise.errors import ArcwiseError, in_one_line, suggestion

PREFIX = "torch:"
TRUSTED = "ARCWISE_TRUSTED_MODULES"
"""The environment variable with the modules, separated by commas, that a folder may name."""

_SHAPES = "(N, C, H, W), (N, P, C), (N, C), or arcwise.encoders.embedding_head.Features"
_named: set[str] = set()  # functions from which this process has made a new encoder


class PythonBackbone(nn.Module):
    """A user's module, its output brought to the form of every backbone.

    Args:
        module: from (N, 3, H, W) to one of the forms above. Where it has `layers`, a sequence of
            modules from the image on, they are what is frozen or trained slowly; else its
            children are.
        name: for messages.
        size: (H, W) of the images on which it is tried.

    Raises:
        ArcwiseError: it fails on two images, or returns something else.
    """

    def __init__(self, module: nn.Module, name: str, size: tuple[int, int]) -> None:
        super().__init__()
        self.module, self.name = module, name
        modes = {part: part.training for part in module.modules()}
        device = next((one.device for one in module.parameters()), torch.device("cpu"))
        try:
            with torch.no_grad(), device:
                features = self.eval()(torch.zeros(2, 3, *size))
        except ArcwiseError:
            raise
        except Exception as problem:  # a user's code raises whatever it raises
            raise ArcwiseError(
                f"{name}: its network fails on two images of {size[0]} x {size[1]} "
                f"({type(problem).__name__}: {in_one_line(problem)})"
            ) from problem
        for part, training in modes.items():
            part.training = training
        self.training = True
        self.channels = features.positions.shape[1]

    @property
    def layers(self) -> list[nn.Module]:
        """The parts that the module names, or else its children with parameters."""
        given: Any = getattr(self.module, "layers", None)
        if isinstance(given, Sequence | nn.ModuleList | nn.Sequential) and len(given):
            return list(given)
        parts = [one for one in self.module.children() if any(True for _ in one.parameters())]
        covered = {id(p) for part in parts for p in part.parameters()}
        whole = all(id(p) in covered for p in self.module.parameters())
        return parts if whole and parts else [self.module]

    def forward(self, images: Tensor) -> Features:
        """Return the features of (N, 3, H, W) images."""
        return _features(self.module(images), len(images), self.name)

    def published(self, key: str) -> str:
        """Return our name of a tensor in a state dict of the user's module."""
        return f"backbone.module.{key}" if key in self.module.state_dict() else key


def build(
    name: str,
    *,
    dim: int,
    size: tuple[int, int],
    pooling: str = "mean",
    projection: str = "bn-linear-bn",
    **arguments: Any,
) -> BackboneEncoder:
    """Return the user's network with an embedding head.

    Args:
        name: `torch:package.module:function`.
        dim: D.
        size: (H, W) of the images.
        pooling: of `EmbeddingHead`.
        projection: of `EmbeddingHead`.
        arguments: given to the function.

    Raises:
        ArcwiseError: there is no such function, it fails, or what it returns is no such network.
    """
    function = _function(name)
    _named.add(name)
    meta = torch.get_default_device().type == "meta"  # where code that reads a number would fail
    try:
        with torch.device("cpu"), torch.random.fork_rng(devices=[], enabled=meta):
            module = function(**arguments)
    except Exception as problem:  # a user's code raises whatever it raises
        raise ArcwiseError(
            f"{name} failed ({type(problem).__name__}: {in_one_line(problem)})"
        ) from problem
    if not isinstance(module, nn.Module):
        raise ArcwiseError(f"{name} returned a {type(module).__name__}; expected a torch.nn.Module")
    backbone = PythonBackbone(module, name, size)
    return BackboneEncoder(backbone, dim=dim, size=size, pooling=pooling, projection=projection)


def check_trust(name: str) -> None:
    """Refuse to rebuild a model of a function that the user has not named.

    Raises:
        ArcwiseError: the user has named neither the function in this process nor its module in
            the environment variable `TRUSTED`.
    """
    module = _parts(name)[0]
    trusted = [one.strip() for one in os.environ.get(TRUSTED, "").split(",")]
    inside = any(module == one or module.startswith(f"{one}.") for one in trusted if one)
    if name not in _named and not inside:
        raise ArcwiseError(
            f"the network of this model is {name}: loading it with torch runs the code of "
            f"{module}, which the model folder does not hold. If you have that module and trust "
            f"it, set {TRUSTED}={module}; a folder with encoder.onnx needs no code on ONNX Runtime"
        )


def _parts(name: str) -> tuple[str, str]:
    module, _, function = name.removeprefix(PREFIX).partition(":")
    if not all(word.isidentifier() for word in (*module.split("."), function)):
        raise ArcwiseError(f"{name!r} names no function; expected {PREFIX}package.module:function")
    return module, function


def _function(name: str) -> Callable[..., Any]:
    """Return the function; one that the module has only imported from elsewhere is refused."""
    path, function = _parts(name)
    try:
        module = import_module(path)
    except Exception as problem:  # what it imports, or does when imported, may fail in any way
        lacking = problem.name if isinstance(problem, ModuleNotFoundError) else None
        if lacking and f"{path}.".startswith(f"{lacking}."):
            raise ArcwiseError(
                f"{name}: there is no module {lacking}; install it, or put the folder that it is "
                "in on PYTHONPATH"
            ) from None
        raise ArcwiseError(
            f"{name}: importing {path} failed ({type(problem).__name__}: {in_one_line(problem)})"
        ) from problem
    value = getattr(module, function, None)
    if value is None:
        hint = suggestion(function, [one for one in vars(module) if one[0] != "_"]) or "see there"
        raise ArcwiseError(f"{name}: {path} has no {function!r}; {hint}")
    if not callable(value) or isinstance(value, nn.Module):
        raise ArcwiseError(
            f"{name} is a {type(value).__name__}; expected a function that returns a network"
        )
    origin = str(getattr(value, "__module__", ""))
    if origin.partition(".")[0] != path.partition(".")[0]:
        raise ArcwiseError(f"{name} is defined in {origin}; name a function of {path}")
    return value


def _features(output: Any, images: int, name: str) -> Features:
    if isinstance(output, Features):
        return output
    if not isinstance(output, Tensor):
        raise ArcwiseError(
            f"{name}: its network returned a {type(output).__name__}; expected {_SHAPES}"
        )
    shape = tuple(output.shape)
    if not 2 <= output.ndim <= 4 or shape[0] != images or not output.is_floating_point():
        raise ArcwiseError(
            f"{name}: its network returned {output.dtype} of shape {shape} for {images} images; "
            f"expected {_SHAPES}"
        )
    if output.ndim == 3:
        return Features(output.transpose(1, 2))
    return Features(output.unflatten(1, (shape[1], 1)) if output.ndim == 2 else output.flatten(2))
