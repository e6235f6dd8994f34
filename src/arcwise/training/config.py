"""Everything that decides what a run does, in one frozen value."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from arcwise.data.augment import Augment
from arcwise.errors import ArcwiseError, suggestion
from arcwise.margins import Gradient
from arcwise.softmax import GradientPrecision as Products
from arcwise.softmax import ImplementationName as Softmax
from arcwise.training import losses
from arcwise.training.losses import Loss, Published

CentreStep = Literal["ordinary", "swept"]
Resize = Literal["stretch", "crop", "pad"]
Colour = Literal["rgb", "bgr"]
Sampling = Literal["shuffled", "windowed", "balanced"]
Optimiser = Literal["sgd", "adamw"]
Schedule = Literal["cosine", "step"]
Precision = Literal["auto", "fp32", "bf16"]
Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A complete training run. Recipes return one; the command line overrides single fields.

    Shares (of the steps) are between 0 and 1, so that a shorter run keeps the recipe's shape.
    """

    encoder: str = "small"
    """Name of the network; see `arcwise.encoders.NAMES`."""
    init: str = ""
    """A model folder or weights file (.safetensors, .pth) to start the encoder from."""
    dim: int = 256
    """D, the dimension of the embedding."""
    size: int = 96
    """Height and width of the network's input, in pixels."""
    view: int = 0
    """Height and width of a training view, 0 for `size`. Views that zoom in show things larger than
    they are met later; a smaller view makes up for it (arXiv 1906.06423), and trains faster."""
    resize: Resize = "crop"
    """How a picture of another shape becomes square."""
    colour: Colour = "rgb"
    """Order of the colour planes that the network sees."""
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    """Subtracted from each colour, in units of 0 to 255."""
    std: tuple[float, float, float] = (127.5, 127.5, 127.5)
    """Then divided by."""
    flip_average: bool = True
    """Whether an embedding is the mean over the picture and its mirror image."""

    loss: Loss = "arcface"
    """Which member of the margin family; "softmax" is the plain linear one."""
    margin: float | Published = 0.5
    """m in the loss's own unit, or "published" for the one that its paper has."""
    combined: tuple[float, float, float] = (1.0, 0.3, 0.2)
    """m1, m2 and m3 of the combined margin: a factor on the angle, radians, cosine units."""
    gradient: Gradient = "exact"
    """An angular margin's slope: its derivative, or 1."""
    hard_negatives: float = 1.0
    """t of SV-X-softmax, over any margin: other classes that beat the target count for more; 1 for
    no more than the rest."""
    interclass_filter: float = 0.0
    """Cosine above which another class is taken for the same identity under a second label, and
    left out; 0 leaves none out."""
    scale: float = 64.0
    """s, the inverse temperature; 0 finds it from the number of classes."""
    margin_from: float = 0.0
    """Share of the steps before the margin starts to grow."""
    margin_full: float = 0.0
    """Share of the steps after which it is whole."""
    subcentres: int = 1
    """K, centres of one class, of which the nearest counts."""
    classes_per_step: float = 1.0
    """Share of the classes that take part in a step, those of the batch always; under 1 it needs
    swept centres."""
    sampled_correction: bool = False
    """Whether the logits of sampled classes stand for those left out, too."""
    softmax: Softmax = "auto"
    """How the softmax over the classes is computed."""
    gradient_products: Products = "fp32"
    """Arithmetic of the streaming softmax's two gradient products; bf16 is faster where the
    processor has it, at a relative error of about 1e-3."""
    centre_step: CentreStep = "ordinary"
    """Who moves the centres: the optimiser, or a sweep over the classes that is SGD without their
    gradient in memory."""

    steps: int = 2000
    """Updates of the weights."""
    batch: int = 64
    """Pictures a step, over all processes."""
    sampling: Sampling = "shuffled"
    """Every picture once an epoch; the same, neighbours on disk at about the same time (for sets
    that do not fit the memory); or identities in turn."""
    pictures_per_identity: int = 4
    """K of balanced sampling: pictures of one identity in a batch."""
    rare_domains: float = 0.0
    """Share of a batch kept for pictures outside the most frequent `domain`, say studio ones."""
    augment: Augment = field(default_factory=Augment)
    canvas: float = 1.25
    """Size at which decoded pictures are kept, as a multiple of the view's."""

    optimiser: Optimiser = "sgd"
    lr: float = 0.1
    """Learning rate at its highest."""
    head_lr: float = 1.0
    """The class centres' learning rate, as a multiple of `lr`."""
    momentum: float = 0.9
    """Of SGD."""
    nesterov: bool = True
    """Whether SGD looks ahead."""
    weight_decay: float = 5e-4
    """On matrices and kernels; not on biases and normalisation."""
    schedule: Schedule = "cosine"
    milestones: tuple[float, ...] = ()
    """Shares of the steps at which the step schedule divides the rate by ten."""
    warmup: float = 0.05
    """Share of the steps over which the rate rises from near zero."""
    clip: float = 0.0
    """Largest norm of the gradient over encoder and head; 0 does not clip. Swept centres have no
    gradient to clip."""
    average: float = 0.0
    """Decay of the running average of the weights that is evaluated and kept; 0 keeps the last."""

    precision: Precision = "auto"
    """Arithmetic inside the encoder; "auto" takes bf16 where the processor has it."""
    device: Device = "auto"
    workers: int = 2
    """Processes that read pictures; 0 reads in the training process."""
    keep_gb: float = 4.0
    """Memory for decoded pictures; a set that does not fit is decoded again each epoch."""

    holdout: float = 0.2
    """Share of the identities not trained on: half choose the checkpoint, half set thresholds."""
    validate_every: int = 500
    """Steps between validations on held-out identities."""
    checkpoint_every: int = 500
    """Steps between checkpoints."""
    log_every: int = 20
    """Steps between rows of metrics.jsonl."""
    tensorboard: bool = False
    """Whether to write TensorBoard events too (pip install 'arcwise[logs]')."""
    seed: int = 0
    """Every random choice comes from here."""

    def __post_init__(self) -> None:
        _check(self)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for config.json."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        values["augment"] = {f.name: getattr(self.augment, f.name) for f in fields(Augment)}
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """The config that `as_dict` gave; an unknown field is an error with a suggestion."""
        values = dict(json.loads(json.dumps(values)))
        _no_unknown(values, [f.name for f in fields(cls)])
        augment = values.pop("augment", {})
        _no_unknown(augment, [f.name for f in fields(Augment)])
        for name in ("mean", "std", "milestones", "combined"):
            if name in values:
                values[name] = tuple(values[name])
        return cls(augment=Augment(**augment), **values)

    def replace(self, **changes: Any) -> TrainConfig:
        """This config with some fields changed; unknown names are errors with a suggestion."""
        _no_unknown(changes, [f.name for f in fields(self)])
        return replace(self, **changes)


def _no_unknown(values: dict[str, Any], known: list[str]) -> None:
    for name in values:
        if name not in known:
            hint = suggestion(name, known) or f"known: {', '.join(known)}"
            raise ArcwiseError(f"training config: unknown field {name!r}; {hint}")


_WORDS = {int: "a whole number", float: "a finite number", bool: "true or false", str: "a text"}
_LEAST = {
    "dim": 2, "size": 16, "view": 0, "steps": 1, "batch": 2, "pictures_per_identity": 1,
    "workers": 0, "validate_every": 1, "checkpoint_every": 1, "log_every": 1, "seed": 0,
    "canvas": 1, "scale": 0, "clip": 0, "keep_gb": 0, "weight_decay": 0,
    "hard_negatives": 1, "subcentres": 1, "interclass_filter": 0,
}  # fmt: skip
_SHARES = (
    "rare_domains", "margin_from", "margin_full", "warmup", "holdout", "momentum", "average",
)  # fmt: skip


_OF_CENTRES = (
    "hard_negatives", "interclass_filter", "subcentres", "classes_per_step", "sampled_correction",
    "softmax", "gradient_products", "centre_step",
)  # fmt: skip
_NO_ANGLE = ("softmax", "normsoftmax", "cosface")
_DEFAULTS = {one.name: one.default for one in fields(TrainConfig)}


def _check(config: TrainConfig) -> None:
    def expect(good: bool, name: str, expected: str) -> None:
        if not good:
            raise ArcwiseError(
                f"training config: {name}={getattr(config, name)!r}; expected {expected}"
            )

    for name, kind in get_type_hints(TrainConfig).items():
        value = getattr(config, name)
        if get_origin(kind) is Literal:
            expect(value in get_args(kind), name, f"one of {', '.join(get_args(kind))}")
        elif kind in _WORDS:
            expect(_is(value, kind), name, _WORDS[kind])
    for name, least in _LEAST.items():
        expect(getattr(config, name) >= least, name, f"at least {least}")
    for name in _SHARES:
        expect(0 <= getattr(config, name) < 1, name, "0 or more, under 1")
    for name in ("lr", "head_lr"):
        expect(getattr(config, name) > 0, name, "over 0")
    shares = all(_is(one, float) and 0 < one < 1 for one in config.milestones)
    expect(shares, "milestones", "shares of the steps, between 0 and 1")
    full = config.margin_full
    expect(config.margin_from <= full, "margin_from", f"at most margin_full={full}")
    if config.sampling == "balanced":
        each = config.pictures_per_identity
        expect(config.batch % each == 0, "batch", f"a multiple of pictures_per_identity={each}")
        expect(not config.rare_domains, "rare_domains", "0 where sampling=balanced fills the batch")
    _check_loss(config, expect)


def _check_loss(config: TrainConfig, expect: Callable[[bool, str, str], None]) -> None:
    """Numbers of the loss that fit it; a head that can do what is asked of it."""
    if config.margin != "published":
        expect(_is(config.margin, float), "margin", "a finite number or published")
        expect(config.margin >= 0, "margin", "at least 0, or published")
    three = len(config.combined) == 3 and all(_is(one, float) for one in config.combined)
    expect(three, "combined", "three numbers: a factor on the angle, radians, cosine units")
    expect(config.interclass_filter <= 1, "interclass_filter", "a cosine from 0 to 1")
    expect(0 < config.classes_per_step <= 1, "classes_per_step", "over 0, at most 1")
    if config.loss != "combined":
        words = f"{_DEFAULTS['combined']} with loss={config.loss}, or loss=combined"
        expect(tuple(config.combined) == _DEFAULTS["combined"], "combined", words)
    if config.loss in _NO_ANGLE:
        expect(config.gradient == "exact", "gradient", f"exact with loss={config.loss}: no angle")
    every, swept = config.classes_per_step == 1, config.centre_step == "swept"
    if config.loss == "softmax":
        for name in _OF_CENTRES:
            plain = _DEFAULTS[name]
            words = f"{plain} for loss=softmax, whose head is linear and has no centres"
            expect(getattr(config, name) == plain, name, words)
        return
    losses.margin(config)
    streams = config.softmax in ("auto", "streaming")
    expect(streams or config.gradient_products == "fp32", "gradient_products",
           f"fp32 with softmax={config.softmax}, or softmax=streaming")  # fmt: skip
    expect(every or swept, "classes_per_step",
           "1 with centre_step=ordinary, whose decay and momentum move every class; or "
           "centre_step=swept")  # fmt: skip
    expect(not (every and config.sampled_correction), "sampled_correction",
           "false where classes_per_step=1 leaves no class out")  # fmt: skip
    if swept:
        for name, wanted, why in (
            ("clip", 0, "as the sweep leaves no gradient to clip"),
            ("optimiser", "sgd", "as the sweep is SGD"),
        ):
            good = getattr(config, name) == wanted
            words = f"{wanted} with centre_step=swept, {why}; or centre_step=ordinary"
            expect(good, name, words)
        expect(config.softmax != "dense", "softmax",
               "auto or streaming with centre_step=swept; or centre_step=ordinary")  # fmt: skip


def _is(value: object, kind: type) -> bool:
    if kind is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and math.isfinite(value)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
