"""A run folder: what it says of its run, and whether a run may begin or go on there."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple

from arcwise import distributed
from arcwise.bundle import LengthReading
from arcwise.data.domain_pairs import DEEP, domain_pairs
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, ImageError
from arcwise.evaluation import Threshold
from arcwise.files import LOCK, atomic_write
from arcwise.sets import QualitySpread
from arcwise.training import build, checkpoint
from arcwise.training.config import TrainConfig
from arcwise.training.config_file import OLDER, is_older
from arcwise.training.loop import LoopResult
from arcwise.training.losses import CentresConfig
from arcwise.training.section import flat
from arcwise.training.start_centres import run_of_kept_centres
from arcwise.version import __version__

CONFIG, CHECKPOINTS = "config.json", "checkpoints"
MODEL, LAST = "model", "last"

Resume = bool | Literal["auto"]

MAY_CHANGE = (
    "run.steps", "optim.lr", "optim.max_grad_norm", "run.precision", "run.device", "data.workers",
    "data.cache_gb", "run.validate_every", "run.checkpoint_every", "run.log_every",
    "run.tensorboard",
)  # fmt: skip
"""What a resumed run may have other than the one that began: how far, how fast, and by what means;
not what is learnt from what."""


class Saved(NamedTuple):
    """What config.json says."""

    config: TrainConfig
    recipe: str
    data: Mapping[str, Any]
    changes: list[Any]


class Parts(NamedTuple):
    """Manifests without a common identity; None where nobody was held out.

    Attributes:
        train: what is trained on.
        validation: what chooses the checkpoint.
        calibration: what sets the thresholds.
    """

    train: Manifest
    validation: Manifest | None
    calibration: Manifest | None


@dataclass(frozen=True)
class TrainResult:
    """A run that ended.

    Attributes:
        folder: the run folder.
        config: what it did.
        parts: what was trained on, what chose the checkpoint, what set the thresholds.
        loop: how the loop ended.
        thresholds: measured on the calibration identities; empty without them.
        failures: images that could not be read, held-out ones included.
        length: what the lengths of the model's embeddings tell; None where it was not trained to
            tell anything, or nobody is held out.
        quality: of the images that set the thresholds; None for a model that estimates none, and
            where nobody is held out.
        report: the page about the run; None for a run that did not finish, and where matplotlib
            or jinja2 are missing.
    """

    folder: Path
    config: TrainConfig
    parts: Parts
    loop: LoopResult
    thresholds: tuple[Threshold, ...]
    failures: tuple[ImageError, ...]
    length: LengthReading | None = None
    quality: QualitySpread | None = None
    report: Path | None = None

    @property
    def model(self) -> Path:
        """The model folder: the best checkpoint by the held-out identities, or the last."""
        return self.folder / MODEL


@dataclass(frozen=True)
class Start:
    """How a run begins.

    Attributes:
        config: with what "auto" means here.
        resume: whether from a checkpoint.
        recipe: what the config was made from, as the folder says; empty where it does not.
        changes: what earlier starts and this one changed, for config.json: the step, and by field
            what it was and what it is now.
        writes: whether config.json has to be written.
        notes: what the network changed in the config, a sentence each.
    """

    config: TrainConfig
    resume: bool = False
    writes: bool = True
    recipe: str = ""
    changes: list[Any] = field(default_factory=list)
    notes: tuple[str, ...] = ()


def start(out: Path, config: TrainConfig, manifest: Manifest, resume: Resume) -> Start:
    """How a run of this config begins in a folder.

    Raises:
        ArcwiseError: it cannot: there is a run, or none, or one of other data or another config.
    """
    if resume not in (True, False, "auto"):
        raise ArcwiseError(f"resume is {resume!r}; expected True, False or 'auto'")
    there = checkpoint.saved(out / CHECKPOINTS)
    if resume is True or (resume and there):
        return _resumed(out, config, manifest)
    if distributed.first():
        _refuse_what_is_there(out, again=bool(resume))
    classes = len(manifest.classes)
    if classes < 2:
        raise ArcwiseError(
            f"{manifest.name}: got {classes} identity; expected at least 2 to tell apart"
        )
    for number in range(max(len(config.stages), 1)):
        objective = config.stage(number).objective
        if isinstance(objective, CentresConfig) and objective.centres_start == "kept":
            run_of_kept_centres(config.encoder.init)
    precision = build.precision(config.run, build.device(config.run))
    encoder, notes = build.as_the_network_takes(build.as_the_weights_say(config.encoder))
    deep = [number for number, one in enumerate(config.stages) if one.identities == "deep"]
    if deep and not domain_pairs(manifest).deep:
        note = f"no identity has {DEEP} images or more: stage {deep[0] + 1} trains on all of them"
        notes = (*notes, note)
    return Start(config.replace(encoder=encoder, run={"precision": precision}), notes=notes)


def _refuse_what_is_there(out: Path, again: bool) -> None:
    """Refuse a folder where no run may begin.

    Args:
        out: the folder.
        again: whether a run that has no checkpoint may be lost.

    Raises:
        ArcwiseError: there is a run, or something else.
    """
    # Without a row or a checkpoint it is a run that stopped before its first step.
    rows = out / "metrics.jsonl"
    begun = (rows.exists() and rows.stat().st_size) or (out / CHECKPOINTS).exists()
    if begun and not again:
        raise ArcwiseError(
            f"{out}: there is a run already; go on with it (--resume auto), or give another --out"
        )
    if (out / LAST).exists():
        raise ArcwiseError(
            f"{out}: holds a run that has ended, without a checkpoint to go on from; give another "
            "--out"
        )
    others = [one for one in out.iterdir() if one.name != LOCK] if out.is_dir() else []
    if others and not (out / CONFIG).exists():
        raise ArcwiseError(
            f"{out}: holds something that is no run; --out is a new folder of the run's own"
        )


def _resumed(out: Path, config: TrainConfig, manifest: Manifest) -> Start:
    known = saved(out)
    if known is None:
        raise ArcwiseError(
            f"{out}: no run to resume (no {CONFIG}); train without --resume, or with --resume auto"
        )
    if known.data["fingerprint"] != manifest.fingerprint():
        raise ArcwiseError(
            f"{manifest.name}: not the data that {out} was trained on ({known.data['name']}, "
            f"{known.data['images']} images); give the same data, or start a new run"
        )
    if config.run.precision == "auto":  # as it was
        config = config.replace(run={"precision": known.config.run.precision})
    settled = known.config.encoder
    left_open = [name for name in build.OF_WEIGHTS if getattr(config.encoder, name) is None]
    config = config.replace(encoder={name: getattr(settled, name) for name in left_open})
    encoder, _ = build.as_the_network_takes(config.encoder)
    config = config.replace(encoder=encoder)
    found = changes(known.config, config)
    refused = [name for name in found if name not in MAY_CHANGE]
    if refused:
        name = refused[0]
        before, now = found[name]
        raise ArcwiseError(
            f"{out}: began with {name} {before}, got {now}; a resumed run keeps what it began "
            f"with but for {', '.join(MAY_CHANGE)}: leave it out, or give another --out"
        )
    if config.run.steps < known.config.run.steps:
        raise ArcwiseError(
            f"{out}: a run of {known.config.run.steps} steps, got --steps {config.run.steps}; "
            "expected as "
            "many or more"
        )
    made = list(known.changes)
    there = checkpoint.saved(out / CHECKPOINTS)
    if not there and distributed.first():
        _refuse_what_is_there(out, again=True)
    if found:
        step = checkpoint.step_of(there[-1]) if there else 0
        made.append({"step": step} | {name: list(both) for name, both in found.items()})
    config = config.replace(encoder={"init": known.config.encoder.init})
    return Start(config, bool(there), bool(found), known.recipe, made)


def changes(before: TrainConfig, now: TrainConfig) -> dict[str, tuple[Any, Any]]:
    """Return what differs between two configs, by the full name of the field: before, and now.

    The same file as `encoder.init`, however it is named, is the same.
    """
    old, new = flat(before.as_dict()), flat(now.as_dict())
    if os.path.realpath(before.encoder.init) == os.path.realpath(now.encoder.init):
        new["encoder.init"] = old["encoder.init"]
    pairs = {name: (old.get(name), new.get(name)) for name in {**old, **new}}
    return {name: both for name, both in pairs.items() if both[0] != both[1]}


def saved(out: Path) -> Saved | None:
    """What config.json says of the run in a folder; None where there is none.

    Raises:
        ArcwiseError: it is damaged.
    """
    path = out / CONFIG
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_bytes())
        older = is_older(content["config"])
        if not older:
            return Saved(
                TrainConfig.from_dict(content["config"]),
                str(content.get("recipe", "")),
                {key: content["data"][key] for key in ("fingerprint", "name", "images")},
                list(content.get("changes", [])),
            )
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ArcwiseError(
            f"{path}: damaged, not what a run writes; restore it, or train into another --out"
        ) from None
    raise ArcwiseError(
        f"{path}: {OLDER}; its model can be used, but the run cannot go on: train into another "
        "--out"
    )


def write(out: Path, start: Start, manifest: Manifest, loss: str, recipe: str) -> None:
    """Write config.json: the run as it is now, and what its later starts changed.

    Args:
        out: the run folder.
        start: how it begins.
        manifest: what it is trained on.
        loss: in words.
        recipe: what the config was made from, where it is known.
    """
    packages = ("torch", "numpy", "opencv-python-headless", "faiss-cpu")
    content = {
        "config": start.config.as_dict(),
        "recipe": start.recipe or recipe,
        "changes": start.changes,
        "loss": loss,
        "versions": {"arcwise": __version__, "python": platform.python_version()}
        | {name: version(name) for name in packages},
        "data": {
            "name": manifest.name,
            "images": len(manifest),
            "identities": len(manifest.classes),
            "fingerprint": manifest.fingerprint(),
        },
    }
    with atomic_write(out / CONFIG) as part:
        part.write_text(json.dumps(content, indent=2) + "\n")
