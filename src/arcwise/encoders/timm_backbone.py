"""Any model of the library timm as a backbone: `timm:NAME`, `NAME` as `timm.list_models()` has it.

What timm calls `forward_features` is used, with its last normalisation where that belongs to it.
Layers that only its classifier needs are taken out, so that every weight that is stored takes part
in an embedding. The version of timm is noted in the spec of the encoder.
"""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from arcwise.encoders.backbone import BackboneEncoder
from arcwise.encoders.embedding_head import Features
from arcwise.errors import ArcwiseError, in_one_line, suggestion
from arcwise.images.preparation import Preparation, Resize

PREFIX = "timm:"

_RESIZE: dict[str, Resize] = {"center": "crop", "squash": "stretch", "border": "pad"}


class TimmBackbone(nn.Module):
    """(N, 3, H, W) -> `Features` of a timm model, with its class token where it has one.

    Args:
        name: `timm:NAME`.
        size: (H, W) of the images; position embeddings are made for it.

    Raises:
        ArcwiseError: timm is not installed, or has no such model, or it takes no such size.
    """

    def __init__(self, name: str, size: tuple[int, int]) -> None:
        super().__init__()
        self.name, self.size = name, size
        self.model: Any = _model(name, size)
        self.prefix: int = getattr(self.model, "num_prefix_tokens", 0)  # type: ignore[assignment]
        self.class_token = self.prefix > 0 and getattr(self.model, "has_class_token", True)
        self.channels_last = getattr(self.model, "output_fmt", "NCHW") == "NHWC"
        classifier = _about(name).get("classifier") or ()
        self.unused = (classifier,) if isinstance(classifier, str) else tuple(classifier)
        self.channels = self._without_unused()

    @property
    def layers(self) -> list[nn.Module]:
        """The parts in which timm groups its parameters, from the image on.

        Vectors that are a group of their own, such as a last normalisation, join the one before.
        """
        if not hasattr(self.model, "group_matcher"):
            return [part for part in self.model.children() if any(True for _ in part.parameters())]
        weights = dict(self.model.named_parameters())
        groups: list[set[str]] = []
        matcher = self.model.group_matcher(coarse=False)
        grouped = _timm().models.group_parameters(self.model, matcher)
        for _, names in sorted(grouped.items()):
            if groups and all(weights[name].ndim <= 1 for name in names):
                groups[-1] |= set(names)
            else:
                groups.append(set(names))
        return [_part(self.model, names) for names in groups]

    def forward(self, images: Tensor) -> Features:
        """Return the features of (N, 3, H, W) images."""
        x = self.model.forward_features(images)
        if x.ndim == 3:
            token = x[:, 0] if self.class_token else None
            return Features(x[:, self.prefix :].transpose(1, 2), token)
        if self.channels_last:
            x = x.permute(0, 3, 1, 2)
        return Features(x.flatten(2))

    def published(self, key: str) -> str:
        """Return our name of a tensor in a state dict of this timm model."""
        if any(key.startswith(f"{part}.") for part in self.unused):
            return f"classifier.{key}"
        return f"backbone.model.{key}" if key in self.model.state_dict() else key

    def load_pretrained(self) -> None:
        """Take the weights that timm downloads, or has in its cache.

        Raises:
            ArcwiseError: there are none, or they cannot be had.
        """
        state = _model(self.name, self.size, pretrained=True).state_dict()
        self.model.load_state_dict({key: state[key] for key in self.model.state_dict()})

    def _without_unused(self) -> int:
        """Take out what the features do not depend on; return the number of channels.

        What they depend on shows in a gradient, computed with shapes alone.
        """
        tensors = dict(self.named_parameters())
        shapes = {name: torch.empty_like(one, device="meta") for name, one in tensors.items()}
        leaves = {name: one.requires_grad_() for name, one in shapes.items()}
        buffers = {name: one.to("meta") for name, one in self.named_buffers()}
        images = torch.empty(2, 3, *self.size, device="meta")
        self.eval()
        try:
            features: Features = functional_call(self, {**leaves, **buffers}, (images,))
        except Exception as problem:  # timm asserts, or an operation finds shapes that do not fit
            height, width = self.size
            raise ArcwiseError(
                f"{self.name} takes no images of {height} x {width}: {in_one_line(problem)}"
            ) from problem
        loss = features.positions.sum()
        (loss if features.token is None else loss + features.token.sum()).backward()
        self.train()
        unused = {name.removeprefix("model.") for name, one in leaves.items() if one.grad is None}
        self.unused += tuple(_take_out(self.model, unused))
        return features.positions.shape[1]


def build(
    name: str,
    *,
    dim: int,
    size: tuple[int, int],
    pooling: str = "mean",
    projection: str = "bn-linear-bn",
    timm: str = "",
) -> BackboneEncoder:
    """Return the timm model with an embedding head.

    Args:
        name: `timm:NAME`.
        dim: D.
        size: (H, W) of the images.
        pooling: of `EmbeddingHead`.
        projection: of `EmbeddingHead`.
        timm: the version of timm that it was first made with, for messages.

    Raises:
        ArcwiseError: as `TimmBackbone` does.
    """
    try:
        backbone = TimmBackbone(name, size)
    except ArcwiseError as problem:
        if timm in ("", _version()):
            raise
        raise ArcwiseError(f"{problem} (it was made with timm {timm})") from None
    return BackboneEncoder(backbone, dim=dim, size=size, pooling=pooling, projection=projection)


def recorded() -> dict[str, str]:
    """Return the arguments that a spec notes besides those that were given."""
    return {"timm": str(_timm().__version__)}


def preparation(name: str) -> Preparation:
    """Return how images are prepared for the pretrained weights of `timm:NAME`.

    timm scales an image a little larger before it cuts the centre out (`crop_pct`), which is not
    part of a `Preparation`.
    """
    config = _timm().data.resolve_data_config({}, pretrained_cfg=_about(name))
    _, height, width = config["input_size"]
    first, second, third = (255 * value for value in config["mean"])
    std = tuple(255 * value for value in config["std"])
    return Preparation(
        height, width, _RESIZE[config["crop_mode"]], "rgb", (first, second, third), std
    )


def pretrained(name: str) -> str:
    """Return where timm has the pretrained weights of `timm:NAME` from.

    Raises:
        ArcwiseError: it has none.
    """
    about = _about(name)
    origin = about.get("hf_hub_id") or about.get("url")
    if not origin:
        raise ArcwiseError(f"timm has no pretrained weights of {name}; leave --init out")
    if about.get("hf_hub_id"):
        origin = f"hf://{origin}"
    return f"{origin} (timm {_timm().__version__})"


def licence(name: str) -> str:
    """Return the licence of the pretrained weights, as far as timm knows it; else empty."""
    return str(_about(name).get("license") or "")


def _about(name: str) -> dict[str, Any]:
    """Return what timm knows of the pretrained weights."""
    try:
        about = _timm().get_pretrained_cfg(_plain(name))
    except RuntimeError as problem:  # a tag that the model has not
        raise ArcwiseError(f"{name}: {in_one_line(problem)}") from None
    return {} if about is None else about.to_dict()


def _model(name: str, size: tuple[int, int], pretrained: bool = False) -> nn.Module:
    """Return a timm model without classifier, on the CPU: not all can be made without memory.

    It draws from torch's global generator, except where the weights are to be replaced.
    """
    timm, plain = _timm(), _plain(name)
    sizes: dict[str, Any] = {}
    if _about(name).get("fixed_input_size"):
        sizes = {"img_size": size, "dynamic_img_size": True}
    later = torch.get_default_device().type == "meta" or pretrained
    try:
        with torch.device("cpu"), torch.random.fork_rng(devices=[], enabled=later):
            try:
                return timm.create_model(plain, pretrained=pretrained, num_classes=0, **sizes)
            except TypeError as problem:  # a keyword that its class has not
                if "dynamic_img_size" not in str(problem):
                    raise
                del sizes["dynamic_img_size"]
                return timm.create_model(plain, pretrained=pretrained, num_classes=0, **sizes)
    except Exception as problem:  # timm asserts, and its downloads fail in many ways
        action = "load the weights of" if pretrained else "make"
        raise ArcwiseError(
            f"timm {timm.__version__} cannot {action} {name} ({type(problem).__name__}: "
            f"{in_one_line(problem)})"
        ) from problem


def _plain(name: str) -> str:
    """Return the name without `timm:`, as timm knows it.

    Raises:
        ArcwiseError: there is none in this version.
    """
    timm, plain = _timm(), name.removeprefix(PREFIX)
    if re.fullmatch(r"\w+(\.\w+)?", plain) and timm.is_model(plain):
        return plain
    hint = suggestion(plain, timm.list_models()) or "timm.list_models() lists them"
    raise ArcwiseError(f"timm {timm.__version__} has no model {plain!r}; {hint}")


def _timm() -> Any:
    try:
        return import_module("timm")
    except (ImportError, RuntimeError) as problem:  # torchvision that does not fit torch
        absent = isinstance(problem, ModuleNotFoundError) and problem.name == "timm"
        reason = "is not installed" if absent else f"cannot be loaded ({in_one_line(problem)})"
        raise ArcwiseError(
            f"an encoder timm:NAME needs the library timm, which {reason}: pip install "
            "'arcwise[timm]', in an environment whose torchvision fits its torch"
        ) from None


def _version() -> str:
    try:
        return str(_timm().__version__)
    except ArcwiseError:
        return ""


def _part(module: nn.Module, names: set[str]) -> nn.Module:
    """Return a module of these parameters, with the submodules that consist of them as they are."""
    part = nn.Module()
    for name, child in module.named_children():
        own = {key for key, _ in child.named_parameters()}
        inside = {key for key in own if f"{name}.{key}" in names}
        if inside:
            part.add_module(name, child if inside == own else _part(child, inside))
    for name, parameter in module.named_parameters(recurse=False):
        if name in names:
            part.register_parameter(name, parameter)
    return part


def _take_out(module: nn.Module, names: set[str], path: str = "") -> list[str]:
    """Put an identity in place of submodules that consist of these parameters; return their names.

    A single parameter among others stays, and is not trained.
    """
    removed = []
    for name, child in list(module.named_children()):
        own = {f"{path}{name}.{key}" for key, _ in child.named_parameters()}
        if own and own <= names:
            setattr(module, name, nn.Identity())
            removed.append(f"{path}{name}")
        elif own & names:
            removed += _take_out(child, names, f"{path}{name}.")
    for name, parameter in module.named_parameters(recurse=False):
        if f"{path}{name}" in names:
            parameter.requires_grad_(False)
    return removed
