"""The options of a run: a few everyday ones in groups, and every field of its config by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import tyro
from tyro.conf import OmitArgPrefixes

from arcwise.cli.naming import Naming
from arcwise.errors import ArcwiseError
from arcwise.recipes import PRODUCTS, best_for_products, recipe
from arcwise.training import checkpoint
from arcwise.training.config import (
    DataConfig,
    EncoderConfig,
    OptimConfig,
    RunConfig,
    TrainConfig,
)
from arcwise.training.config_file import ConfigFile, read_config
from arcwise.training.losses import MARGINS, ObjectiveConfig, places_of
from arcwise.training.section import merged
from arcwise.training.terms import BETWEEN_SAMPLES, REGULARISERS
from arcwise.verbs.run_folder import CHECKPOINTS, saved

OUT = Path("runs/run")
RESUME, HELP_ALL = "--resume", "--help-all"
How = Literal["never", "always", "auto"]

_LOSSES = (
    f"One of {', '.join(['softmax', *MARGINS, *BETWEEN_SAMPLES])}; or a sum of one of them and "
    f"others, such as arcface+triplet, or regularisers: {', '.join(REGULARISERS)}. A loss that is "
    "not the recipe's has the numbers of its paper."
).replace("_", "-")


@dataclass(frozen=True)
class Network:
    """The encoder and what it sees."""

    encoder: str
    """Name of the network: small, efficientnet_lite0, vit_small_14, iresnet50, timm:NAME, …"""
    dim: int
    """D, the dimension of the embedding."""
    size: int
    """Height and width of the network's input, in pixels."""
    init: str
    """Weights to start the encoder from: a model folder, a file, hf://…, or `installed`."""


@dataclass(frozen=True)
class Loss:
    """What is minimised."""

    loss: Annotated[str, tyro.conf.arg(help=_LOSSES)]
    margin: Annotated[float | None, tyro.conf.arg(metavar="FLOAT")]
    """m of the loss, in its own unit. A loss with several numbers has them by name, such as
    --objective.margin.l-m: see --loss NAME --help-all."""
    scale: Annotated[float | None, tyro.conf.arg(metavar="FLOAT")]
    """s, the inverse temperature; 0 finds it from the number of classes and how often each is
    seen."""


@dataclass(frozen=True)
class Training:
    """How long and how fast."""

    steps: int
    """Updates of the weights; 0 for as many as --epochs takes."""
    epochs: float
    """Passes over the images, in the place of --steps."""
    batch: int
    """Images a step."""
    lr: float
    """Learning rate at its highest."""
    seed: int
    """Seed of every random choice but the split."""


@dataclass(frozen=True)
class HeldOut:
    """Who is held out."""

    holdout: float
    """Share of the identities not trained on: half choose the checkpoint, half set thresholds."""
    split_seed: int
    """Seed of the choice of held-out identities."""


@dataclass(frozen=True)
class EverydayOptions:
    """The options that most runs need."""

    network: OmitArgPrefixes[Network]
    loss: OmitArgPrefixes[Loss]
    training: OmitArgPrefixes[Training]
    split: OmitArgPrefixes[HeldOut]


@dataclass(frozen=True)
class RunOptions(EverydayOptions):
    """Every option."""

    encoder: EncoderConfig
    objective: ObjectiveConfig
    data: DataConfig
    optim: OptimConfig
    run: RunConfig

    def config(self, chosen: TrainConfig) -> TrainConfig:
        """Return the config that was chosen, with what the options change.

        Raises:
            ArcwiseError: values that do not go together.
        """
        names = ("encoder", "objective", "data", "optim", "run")
        sections = {name: getattr(self, name) for name in names}
        before = everyday(chosen)
        for group in fields(EverydayOptions):
            for one in fields(getattr(self, group.name)):
                value = getattr(getattr(self, group.name), one.name)
                if value != getattr(before[group.name], one.name) and one.name != "loss":
                    name, _, rest = _full_name(chosen, one.name).partition(".")
                    sections[name] = merged(sections[name], _nested(rest, value), name)
        return chosen.replace(**sections)  # all at once: what goes together may be given together


def everyday(config: TrainConfig, options: type = EverydayOptions) -> dict[str, Any]:
    """Return the groups of some options with the values of a config."""
    return {
        name: group(**{one.name: _value(config, one.name) for one in fields(group)})
        for name, group in get_type_hints(options).items()
    }


def _full_name(config: TrainConfig, name: str) -> str:
    """The full name of the field that an everyday option stands for.

    Raises:
        ArcwiseError: the loss has no such number.
    """
    names = {
        "encoder": "encoder.name", "dim": "encoder.dim", "size": "encoder.size",
        "init": "encoder.init", "steps": "run.steps", "epochs": "run.epochs",
        "batch": "data.batch", "lr": "optim.lr", "seed": "run.seed",
        "holdout": "data.holdout", "split_seed": "run.split_seed",
    }  # fmt: skip
    return names.get(name) or _of_objective(config.objective, name)


def _of_objective(objective: ObjectiveConfig, name: str) -> str:
    """Where a loss has its margin, or its scale."""
    places = places_of(objective, name)
    if len(places) == 1:
        return f"objective.{places[0]}"
    there = ", ".join(f"--objective.{one}" for one in places).replace("_", "-")
    expected = there or f"another loss, as this one has no {name}"
    raise ArcwiseError(f"--{name}: {objective.loss} has no single one; expected {expected}")


def _value(config: TrainConfig, name: str) -> Any:
    if name == "loss":
        return config.objective.loss
    try:
        value: Any = config
        for part in _full_name(config, name).split("."):
            value = getattr(value, part)
        return value
    except ArcwiseError:
        return None


def _nested(full: str, value: Any) -> dict[str, Any]:
    for part in reversed(full.split(".")):
        value = {part: value}
    return value


def options_of(
    config: TrainConfig,
    words: Sequence[str],
    short: type = EverydayOptions,
) -> Any:
    """Return the options with the values of a config; a few of them where `--help` is asked.

    Args:
        config: what the options start from.
        words: of the command line.
        short: the few: a dataclass of groups.
    """
    if {"-h", "--help"} & set(words) and HELP_ALL not in words:
        return short(**everyday(config, short))
    groups = everyday(config)
    names = ("encoder", "objective", "data", "optim", "run")
    return RunOptions(**groups, **{name: getattr(config, name) for name in names})


def run_command(command: Callable[..., int], words: Sequence[str], name: str) -> int:
    """Parse the words and call a command that has `options` of a run, and maybe `naming`."""
    kind = type(inspect.signature(command).parameters["options"].default)
    command.__annotations__["options"] = Annotated[kind, tyro.conf.arg(name="")]
    command.__annotations__["config"] = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]
    if kind is not RunOptions:
        command.__annotations__["naming"] = tyro.conf.Suppress[Naming]
    return tyro.cli(
        command,
        prog=f"arcwise {name}",
        args=written_out(words),
        config=(tyro.conf.AvoidSubcommands,),
    )


def value_of(words: Sequence[str], option: str) -> str | None:
    """Return what the words give an option, the last time; None where they do not."""
    value = None
    for place, word in enumerate(words):
        if word == option and place + 1 < len(words):
            value = words[place + 1]
        elif word.startswith(f"{option}="):
            value = word.partition("=")[2]
    return value


def written_out(words: Sequence[str]) -> list[str]:
    """Return the words with the value of a `--resume` that has none, as tyro takes them."""
    found: list[str] = []
    for place, word in enumerate(words):
        if word == "--no-resume":
            found += [RESUME, "never"]
        elif word.partition("=")[0] == "--objective.loss":
            found.append(word.replace("--objective.loss", "--loss", 1))
        else:
            found.append("--help" if word == HELP_ALL else word)
        if word == RESUME and [*words, ""][place + 1] not in get_args(How):
            found.append("always")
    return found


@dataclass(frozen=True)
class RequestedConfig:
    """What a run begins with, before its single options.

    Attributes:
        recipe: the name of the recipe.
        config: the recipe's, or that of a run that goes on; with the config file and the loss.
        before: what a run that goes on had until now.
        why: it is this recipe, in words; empty where the words name it.
    """

    recipe: str
    config: TrainConfig
    before: TrainConfig | None = None
    why: str = ""


def chosen_by(words: Sequence[str]) -> RequestedConfig:
    """Return what the words begin with: they name a recipe, a config file, a loss, or a run.

    Raises:
        ArcwiseError: an unknown recipe or loss, a file that does not fit, or a run that goes on
            from another recipe.
    """
    words = written_out(words)
    file = value_of(words, "--config")
    content = read_config(Path(file)) if file else None
    chosen = _begin(words, content)
    config = content.over(chosen.config) if content else chosen.config
    loss = value_of(words, "--loss")
    return replace(chosen, config=config.with_loss(loss) if loss else config)


def _begin(words: Sequence[str], file: ConfigFile | None) -> RequestedConfig:
    given = value_of(words, "--recipe")
    name, why = given or (file.recipe if file else "") or PRODUCTS, ""
    if name == PRODUCTS:
        name, why = best_for_products(*_start(words, file))
    if value_of(words, RESUME) not in ("always", "auto"):
        return RequestedConfig(name, recipe(name), why=why)
    out = Path(value_of(words, "--out") or OUT)
    run = saved(out)
    if run is None:
        return RequestedConfig(name, recipe(name), why=why)
    begun = bool(checkpoint.saved(out / CHECKPOINTS))
    before = run.config if begun else None
    if given is None or run.recipe in (given, name):
        return RequestedConfig(run.recipe or name, run.config, before)
    if begun and run.recipe:
        raise ArcwiseError(
            f"{out}: began with the recipe {run.recipe}, got --recipe {given}; leave it out, or "
            "give another --out"
        )
    return RequestedConfig(name, recipe(name), before, why)


def _start(words: Sequence[str], file: ConfigFile | None) -> tuple[str, str]:
    """Return the network and the weights that the words or the file name; empty for none."""
    encoder = file.values.get("encoder") if file else None
    values = encoder if isinstance(encoder, Mapping) else {}
    name = value_of(words, "--encoder") or value_of(words, "--encoder.name")
    init = value_of(words, "--init") or value_of(words, "--encoder.init")
    return name or str(values.get("name", "")), init or str(values.get("init", ""))
