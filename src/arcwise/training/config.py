"""Everything that decides what a run does, in one frozen value."""

from __future__ import annotations

import difflib
import json
import math
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

from arcwise.data.augment import Augment
from arcwise.errors import ArcwiseError

Loss = Literal["arcface", "cosface", "normsoftmax", "softmax"]
Gradient = Literal["exact", "detached"]
Resize = Literal["stretch", "crop", "pad"]
Colour = Literal["rgb", "bgr"]
Sampling = Literal["shuffled", "balanced"]
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
    """Which softmax; "softmax" is the plain linear one."""
    margin: float = 0.5
    """m: radians for arcface, cosine units for cosface."""
    gradient: Gradient = "exact"
    """ArcFace's slope: its derivative, or 1."""
    scale: float = 64.0
    """s, the inverse temperature; 0 finds it from the number of classes."""
    margin_from: float = 0.0
    """Share of the steps before the margin starts to grow."""
    margin_full: float = 0.0
    """Share of the steps after which it is whole."""

    steps: int = 2000
    """Updates of the weights."""
    batch: int = 64
    """Pictures a step, over all processes."""
    sampling: Sampling = "shuffled"
    """Every picture once an epoch, or identities in turn."""
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
    """Largest norm of the gradient over encoder and head; 0 does not clip."""
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
        for name in ("mean", "std", "milestones"):
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
            close = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
            raise ArcwiseError(f"training config: unknown field {name!r}{hint}")


_WORDS = {int: "a whole number", float: "a finite number", bool: "true or false", str: "a text"}
_LEAST = {
    "dim": 2, "size": 16, "view": 0, "steps": 1, "batch": 2, "pictures_per_identity": 1,
    "workers": 0, "validate_every": 1, "checkpoint_every": 1, "log_every": 1, "seed": 0,
    "canvas": 1, "scale": 0, "clip": 0, "keep_gb": 0, "weight_decay": 0, "margin": 0,
}  # fmt: skip
_SHARES = (
    "rare_domains", "margin_from", "margin_full", "warmup", "holdout", "momentum", "average",
)  # fmt: skip


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


def _is(value: object, kind: type) -> bool:
    if kind is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and math.isfinite(value)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
