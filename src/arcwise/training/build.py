"""From a config to the parts of a run."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import torch
from torch import nn

from arcwise import encoders
from arcwise.errors import ArcwiseError
from arcwise.heads import All, CentreHead, CentreSGD, LinearHead, Sampled
from arcwise.images import Preparation
from arcwise.softmax import Implementation, Streaming
from arcwise.training import losses, start_weights
from arcwise.training.config import TrainConfig


def preparation(config: TrainConfig) -> Preparation:
    """How a picture becomes the encoder's input, in training as in the model folder."""
    return Preparation(
        height=config.size,
        width=config.size,
        resize=config.resize,
        colour=config.colour,
        mean=config.mean,
        std=config.std,
        flip_tta=config.flip_average,
    )


def encoder(config: TrainConfig, device: torch.device) -> nn.Module:
    """The network on its device, new or started from given weights."""
    network = encoders.create(config.encoder, dim=config.dim, size=(config.size, config.size))
    if config.init:
        start_weights.start(network, Path(config.init))
    # Kernels with the channels last are what processors multiply fastest.
    return network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def start_note(config: TrainConfig) -> str:
    """What `encoder` will take from the weights that the config names, in a sentence.

    Raises:
        ArcwiseError: they do not fit.
    """
    network = encoders.create(config.encoder, dim=config.dim, size=(config.size, config.size))
    return start_weights.start(network, Path(config.init))


def head(config: TrainConfig, classes: int) -> CentreHead | LinearHead:
    """The class centres and the loss over them."""
    if config.loss == "softmax":
        return LinearHead(classes, config.dim)
    part = config.classes_per_step
    return CentreHead(
        classes,
        config.dim,
        margin=losses.margin(config),
        scale=losses.scale(config, classes),
        selection=All() if part == 1 else Sampled(part, config.sampled_correction),
        subcentres=config.subcentres,
        impl=softmax(config),
    )


def softmax(config: TrainConfig) -> Implementation:
    """How the softmax over the classes is computed."""
    return Streaming(gradients="bf16") if config.gradient_products == "bf16" else config.softmax


def centre_optimiser(config: TrainConfig, head: nn.Module) -> CentreSGD | None:
    """The centres' own, where a sweep moves them: the same SGD that `optimiser` would be."""
    if config.centre_step == "ordinary":
        return None
    assert isinstance(head, CentreHead)  # the config has been checked
    chosen = CentreSGD(
        head,
        config.lr,
        config.momentum,
        config.weight_decay,
        nesterov=config.nesterov and config.momentum > 0,
    )
    chosen.param_groups[0]["multiple"] = config.head_lr
    return chosen


def optimiser(config: TrainConfig, encoder: nn.Module, head: nn.Module) -> torch.optim.Optimizer:
    """Over matrices and kernels (decayed), vectors (not), and the head at its own rate.

    Without the head, where `centre_optimiser` has it.
    """
    weights = [p for p in encoder.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in weights if p.ndim > 1], "multiple": 1.0},
        {"params": [p for p in weights if p.ndim <= 1], "multiple": 1.0, "weight_decay": 0.0},
    ]
    if config.centre_step == "ordinary":
        groups.append({"params": list(head.parameters()), "multiple": config.head_lr})
    if config.optimiser == "adamw":
        return torch.optim.AdamW(groups, config.lr, weight_decay=config.weight_decay)
    return torch.optim.SGD(
        groups,
        config.lr,
        momentum=config.momentum,
        nesterov=config.nesterov and config.momentum > 0,
        weight_decay=config.weight_decay,
    )


def device(config: TrainConfig) -> torch.device:
    """Where to compute; asking for a GPU that is not there is an error, not a fallback."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ArcwiseError("--device cuda: torch sees no GPU; `arcwise doctor` says what there is")
    chosen = config.device
    if chosen == "auto":
        chosen = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(chosen)


def precision(config: TrainConfig, device: torch.device) -> str:
    """fp32 or bf16: what "auto" means on this machine."""
    if config.precision != "auto":
        return config.precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    can = torch.cpu.get_capabilities()
    return "bf16" if can.get("avx512_bf16") or can.get("amx_bf16") else "fp32"


def autocast(config: TrainConfig, device: torch.device) -> AbstractContextManager[object]:
    """The arithmetic inside the encoder; losses stay in float32 whatever it is."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision(config, device) == "bf16")
