"""From a config to the parts of a run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from arcwise import encoders
from arcwise.bundle import read_bundle
from arcwise.data.manifest import Manifest
from arcwise.encoders import lora
from arcwise.encoders.quality import without_quality
from arcwise.errors import ArcwiseError
from arcwise.heads import All, CentreHead, CentreSGD, Dominant, LinearHead, Sampled, scale_for
from arcwise.heads.selection import Selection
from arcwise.images import Preparation
from arcwise.images.landmarks import Template
from arcwise.margins import Filtered, Margin, SupportVector
from arcwise.objectives import (
    BetweenSamples,
    ClassCentres,
    LengthRegression,
    Objective,
    Regulariser,
    SemiSiamese,
    SetTriplet,
    WeightedSum,
    standardisation,
)
from arcwise.regularisers import CentreLoss
from arcwise.softmax import Implementation, Streaming
from arcwise.training import finetuning, start_weights, weight_sources
from arcwise.training.config import EncoderConfig, RunConfig, TrainConfig
from arcwise.training.loss_terms import BETWEEN_SAMPLES, OF_CENTRES, OF_SETS
from arcwise.training.losses import (
    CentresConfig,
    LinearConfig,
    ObjectiveConfig,
    SemiSiameseConfig,
)

PLANES = ("colour", "mean", "std")
OF_WEIGHTS = (*PLANES, "alignment")
"""What the weights that a network starts from decide of its images, where nothing else does."""


def preparation(config: EncoderConfig) -> Preparation:
    """Return how an image becomes the encoder's input, in training as in the model folder."""
    return Preparation(
        height=config.size,
        width=config.size,
        resize=config.resize,
        flip_tta=config.flip_tta,
        **{name: value for name in PLANES if (value := getattr(config, name)) is not None},
    )


def alignment(config: EncoderConfig) -> Template | None:
    """Return the template that faces are turned onto, as the model folder says it."""
    return None if config.alignment == "none" else config.alignment


def as_the_weights_say(config: EncoderConfig) -> EncoderConfig:
    """Return the config with colours, mean, std and alignment of the weights that it starts from.

    Those that are given stay. Without weights, or where they do not say, they stay open.

    Raises:
        ArcwiseError: the weights cannot be had.
    """
    if not config.init:
        return config
    try:
        source = weight_sources.resolve(config.init, config.name)
    except ArcwiseError as problem:
        raise ArcwiseError(f"--init {problem}") from None
    if source.preparation is None:
        return config
    stated: dict[str, Any] = {name: getattr(source.preparation, name) for name in PLANES}
    stated["alignment"] = source.alignment or "none"
    left_open = {name: one for name, one in stated.items() if getattr(config, name) is None}
    return replace(config, **left_open)


def as_the_network_takes(config: EncoderConfig) -> tuple[EncoderConfig, tuple[str, ...]]:
    """Return the config with a size and a training crop that its network takes.

    An imported network sees whole images of its own size. For others the size becomes the nearest
    one, and a crop that the network does not take becomes the size. Whether it takes a crop shows
    when it is given one.

    Returns:
        The config, and a sentence on each number that is another.

    Raises:
        ArcwiseError: there is no such network.
    """
    if config.name == "onnx" and config.init:
        size = int(_imported(config)["size"][0])
        own = replace(config, size=size, train_crop=0)
        note = f"an imported network sees images of its own size, {size} pixels, in training too"
        return own, (note,) if own != config else ()
    notes = []
    size = encoders.nearest_size(config.name, config.size)
    if size != config.size:
        notes.append(f"{config.name} takes no images of {config.size} pixels: --size is {size}")
    fitting = replace(config, size=size)
    if config.train_crop not in (0, size) and not _takes(fitting, config.train_crop):
        notes.append(
            f"{config.name} takes no crops of {config.train_crop} pixels: training sees images of "
            f"{size}"
        )
        fitting = replace(fitting, train_crop=0)
    return fitting, tuple(notes)


def _takes(config: EncoderConfig, side: int) -> bool:
    """Return whether the network computes images of another size than its own."""
    network = _create(config).eval()
    try:
        with torch.no_grad():
            network(torch.zeros(2, 3, side, side))
    except (ArcwiseError, RuntimeError, AssertionError, ValueError):
        return False
    return True


def encoder(config: EncoderConfig, device: torch.device) -> nn.Module:
    """Return the network on its device, new or started from given weights."""
    network = _create(config)
    if config.init:
        _start(network, config)
    if config.lora_rank:
        lora.add_adapters(network, config.lora_rank)
    # Kernels with the channels last are what processors multiply fastest.
    return network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _create(config: EncoderConfig) -> nn.Module:
    given = {"pooling": config.pooling, "projection": config.projection}
    arguments: dict[str, Any] = {name: value for name, value in given.items() if value}
    if config.quality:
        arguments["quality"] = True
    if config.name == "onnx" and config.init:  # what is known of the file, besides its bytes
        arguments = _imported(config).get("arguments", {}) | arguments
    return encoders.create(
        config.name,
        dim=config.dim,
        size=(config.size, config.size),
        arguments=arguments,
    )


def _imported(config: EncoderConfig) -> Mapping[str, Any]:
    """Return what the model folder in `init` says of an imported network.

    Raises:
        ArcwiseError: it is no model folder, or of another network.
    """
    folder = weight_sources.model_folder(Path(config.init))
    architecture = {} if folder is None else read_bundle(folder).architecture
    if architecture.get("name") != "onnx":
        raise ArcwiseError(
            f"--init {config.init}: no model folder that `arcwise import` made of an ONNX file; an "
            "encoder onnx starts from one"
        )
    return architecture


def start_note(config: EncoderConfig) -> str:
    """Return what `encoder` will take from the weights that the config names, in a sentence.

    Raises:
        ArcwiseError: they do not fit.
    """
    return _start(_create(config), config)


def _start(network: nn.Module, config: EncoderConfig) -> str:
    """Give the network the weights that the config names; return what was taken, in a sentence."""
    try:
        source = weight_sources.resolve(config.init, config.name)
        network.spec = replace(network.spec, weights=source.description)  # type: ignore[arg-type, type-var]
        if source.path is None:
            without_quality(network).backbone.load_pretrained()  # type: ignore[operator, union-attr]
            return f"--init {config.init}: {source.description}"
        return f"--init {start_weights.start(network, source.path)}"
    except ArcwiseError as problem:
        raise ArcwiseError(f"--init {problem}") from None


def settled_objective(config: TrainConfig, classes: int) -> ObjectiveConfig:
    """Return the objective of a run or a stage, with the scale that its classes and steps settle.

    Args:
        config: the run or the stage.
        classes: C of its images.
    """
    objective = config.objective
    if not isinstance(objective, CentresConfig) or objective.scale:
        return objective
    return replace(objective, scale=scale_for(classes, times_seen(config, classes)))


def times_seen(config: TrainConfig, classes: int) -> float:
    """Return how many samples of a class a run or a stage has, on average."""
    return config.run.steps * config.data.batch / classes


def objective(
    config: TrainConfig,
    classes: int,
    sizes: torch.Tensor | None = None,
    encoder: nn.Module | None = None,
    images: Manifest | None = None,
) -> Objective:
    """Return what the steps minimise: one loss, or the weighted sum of several.

    Args:
        config: the run or the stage.
        classes: C.
        sizes: (C,) images of every class, for margins that follow it.
        encoder: the network that is trained, for losses with a slow copy of it.
        images: what is trained on, for losses whose lengths tell a column of it.
    """
    settled, dim = settled_objective(config, classes), config.encoder.dim
    if isinstance(settled, SemiSiameseConfig):
        assert encoder is not None
        return SemiSiamese(
            encoder, dim, margin=settled.margin, scale=settled.scale, queue=settled.queue,
            decay=settled.encoder_decay,
        )  # fmt: skip
    parts: dict[str, tuple[Objective, float]] = {}
    owner: CentreHead | LinearHead | None = None
    if isinstance(settled, CentresConfig | LinearConfig):
        owner = head(settled, classes, dim, sizes)
        name, *_ = settled.loss.split("+")
        parts[name] = ClassCentres(owner), 1.0
    for name, term in settled.terms().items():
        if name in BETWEEN_SAMPLES:
            across = "domain" if getattr(term, "across_domains", False) else ""
            made: Objective = BetweenSamples(term, across=across)
        elif name in OF_SETS:
            made = SetTriplet(term, config.data.images_per_set)
        elif name in OF_CENTRES:
            made = Regulariser(name, owner)  # type: ignore[arg-type]
        elif name == "length":
            assert images is not None
            made = LengthRegression(term.column, *standardisation(term.column, images))
        else:
            made = Regulariser(CentreLoss(classes, dim, alpha=term.alpha))
        parts[name] = made, term.weight
    if len(parts) == 1:
        ((only, _),) = parts.values()
        return only
    return WeightedSum(parts)


def head(
    config: CentresConfig | LinearConfig,
    classes: int,
    dim: int,
    sizes: torch.Tensor | None = None,
) -> CentreHead | LinearHead:
    """Return the class centres and the loss over them."""
    if isinstance(config, LinearConfig):
        return LinearHead(classes, dim)
    part = config.sample_rate
    selection: Selection = All()
    if config.negatives == "dominant":
        selection = Dominant(
            classes,
            active=None if part == 1 else max(round(part * classes), 2),
            candidates=config.candidates,
            queue=config.dominant_queue,
            refresh=config.queue_refresh,
            ceiling=config.interclass_filter or 1.0,
        )
    elif part < 1:
        selection = Sampled(part, config.logq_correction)
    return CentreHead(
        classes,
        dim,
        margin=margin(config),
        scale=config.scale,
        selection=selection,
        subcentres=config.subcentres,
        impl=softmax(config),
        sizes=sizes,
    )


def margin(config: CentresConfig) -> Margin:
    """Return what the target pays, and what the other classes count for."""
    found: Margin = config.margin
    if config.sv_t > 1:
        found = SupportVector(found, config.sv_t, config.sv_form)
    if config.interclass_filter:
        found = Filtered(found, config.interclass_filter, "exclude")
    return found


def softmax(config: CentresConfig) -> Implementation:
    """Return how the softmax over the classes is computed."""
    return Streaming(gradients="bf16") if config.gradient_products == "bf16" else config.softmax


def centre_optimiser(config: TrainConfig, objective: Objective) -> CentreSGD | None:
    """Return the fused optimiser of the class centres, the same SGD that `optimiser` would be."""
    centres = config.objective
    if not isinstance(centres, CentresConfig) or centres.centre_optimiser == "ordinary":
        return None
    assert isinstance(objective, nn.Module)
    head = next(one for one in objective.modules() if isinstance(one, CentreHead))
    chosen = CentreSGD(
        head,
        config.optim.lr,
        config.optim.momentum,
        config.optim.weight_decay,
        nesterov=config.optim.nesterov and config.optim.momentum > 0,
    )
    chosen.param_groups[0]["lr_multiple"] = config.optim.head_lr
    return chosen


def optimiser(
    config: TrainConfig, encoder: nn.Module, objective: Objective, centres: CentreSGD | None
) -> torch.optim.Optimizer:
    """Return the optimiser of matrices and kernels (decayed), vectors (not), and the objective.

    The parameters of the objective have a rate of their own; without the class centres, where the
    fused optimiser `centres` moves them.
    """
    settings = config.optim
    assert isinstance(objective, nn.Module)
    fused = {id(p) for group in (centres.param_groups if centres else ()) for p in group["params"]}
    others = [p for p in objective.parameters() if id(p) not in fused and p.requires_grad]
    groups = finetuning.parameter_groups(encoder, settings)
    if others:
        groups.append({"params": others, "lr_multiple": settings.head_lr})
    if settings.name == "adamw":
        return torch.optim.AdamW(groups, settings.lr, weight_decay=settings.weight_decay)
    return torch.optim.SGD(
        groups,
        settings.lr,
        momentum=settings.momentum,
        nesterov=settings.nesterov and settings.momentum > 0,
        weight_decay=settings.weight_decay,
    )


def device(config: RunConfig) -> torch.device:
    """Return where to compute; asking for a GPU that is not there is an error, not a fallback."""
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ArcwiseError(
            "--run.device cuda: torch sees no GPU; `arcwise doctor` says what there is"
        )
    chosen = config.device
    if chosen == "auto":
        chosen = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(chosen)


def precision(config: RunConfig, device: torch.device) -> str:
    """Return fp32 or bf16: what "auto" means on this machine."""
    if config.precision != "auto":
        return config.precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    can = torch.cpu.get_capabilities()
    return "bf16" if can.get("avx512_bf16") or can.get("amx_bf16") else "fp32"


def autocast(config: RunConfig, device: torch.device) -> AbstractContextManager[object]:
    """Return the arithmetic inside the encoder; losses stay in float32 whatever it is."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision(config, device) == "bf16")
