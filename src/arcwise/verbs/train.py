"""Train: from pictures on disk to a run folder with a model that knows its own error rates."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import nn

import arcwise
from arcwise import distributed, evaluation, runtime
from arcwise.bundle import add_thresholds
from arcwise.data.manifest import Manifest, open_manifest
from arcwise.data.split import hold_out, identity_digest
from arcwise.errors import ArcwiseError, ImageError
from arcwise.evaluation import Threshold
from arcwise.training import build, loop
from arcwise.training.config import TrainConfig
from arcwise.training.diary import Report
from arcwise.training.losses import described
from arcwise.training.validation import Validation
from arcwise.verbs.reporting import can_report

MODEL = "model"
LAST = "last"


class Parts(NamedTuple):
    """Who does what: manifests without a common identity; None where nobody was held out."""

    train: Manifest
    choose: Manifest | None
    calibrate: Manifest | None


Announce = Callable[[Parts, TrainConfig], None]
"""Told who does what, and the resolved config, before the first step."""


@dataclass(frozen=True)
class TrainResult:
    """A run that ended.

    Attributes:
        folder: the run folder.
        config: what it did.
        parts: who was trained on, who chose the checkpoint, who set the thresholds.
        outcome: how the loop ended.
        thresholds: measured on the calibration identities; empty without them.
        failures: pictures that could not be read, held-out ones included.
        report: the page about the run; None for a run that did not finish, and where matplotlib
            or jinja2 are missing.
    """

    folder: Path
    config: TrainConfig
    parts: Parts
    outcome: loop.Outcome
    thresholds: tuple[Threshold, ...]
    failures: tuple[ImageError, ...]
    report: Path | None = None

    @property
    def model(self) -> Path:
        """The model folder: the best checkpoint by the held-out identities, or the last."""
        return self.folder / MODEL


def train(
    data: str | Path | Manifest,
    out: str | Path,
    config: TrainConfig,
    *,
    resume: bool = False,
    announce: Announce = lambda parts, config: None,
    report: Report = lambda step, values: None,
) -> TrainResult:
    """Train on a data set and write a run folder.

    Rows of a `split` other than "train" are left alone, where the data set has that column.

    Args:
        data: a folder of folders, a table, a zip, or a manifest.
        out: the run folder; a new one, or with `resume` the one to go on with.
        config: the run; with `resume` the saved one is used.
        resume: go on from the latest checkpoint.
        announce: told the parts and the resolved config before the first step.
        report: told the step and the values after every logged step, epoch and validation.

    Raises:
        ArcwiseError: a run that is already there, data that do not fit, or a loss that is not
            finite.
    """
    out = Path(out)
    manifest = training_rows(open_manifest(data))
    config = _resumed(out, manifest) if resume else _resolved(config, manifest, out)
    parts = divided(manifest, config)
    if distributed.first():
        announce(parts, config)
    preparation = build.preparation(config)
    seen = np.zeros(len(parts.train), np.int64)

    def keep(encoder: nn.Module, step: int, result: Validation | None, last: bool) -> None:
        names = [LAST] if last else [MODEL]
        if last and parts.choose is None:
            names.append(MODEL)  # nobody chose: the last one is the model
        for name in names:
            runtime.save(
                out / name,
                encoder,
                preparation,
                digests=_digests(parts),
                trained_images=seen[seen > 0],
                training=_summary(config, manifest, parts.train, step, result),
            )

    with distributed.started(build.device(config)):
        if distributed.rank() == 0 and not resume:
            _write_config(out, config, manifest, described(config, len(parts.train.classes)))
        outcome = loop.train(
            config,
            parts.train,
            parts.choose,
            out,
            preparation=preparation,
            keep=keep,
            report=report,
            resume=resume,
            seen=seen,
        )
    thresholds: tuple[Threshold, ...] = ()
    failures = outcome.failures
    done = outcome.finished and distributed.first()
    if done and parts.calibrate is not None:
        thresholds, unread = set_thresholds(out / MODEL, parts.calibrate, config.seed)
        failures += unread
    result = TrainResult(out, config, parts, outcome, thresholds, failures)
    if not (done and can_report()):
        return result
    from arcwise.verbs.train_report import write_train_report

    return replace(result, report=write_train_report(out / "report.html", result))


def set_thresholds(
    model: Path, pictures: Manifest, seed: int
) -> tuple[tuple[Threshold, ...], tuple[ImageError, ...]]:
    """Measure thresholds on pictures of identities not trained on, and put them into the bundle.

    Returns:
        The thresholds, and the pictures that could not be read.
    """
    embedded = runtime.embed_manifest(runtime.load(model, runtime="torch"), pictures)
    kept = pictures.select(embedded.rows)
    thresholds = evaluation.calibrate(embedded.vectors, kept.identities, seed=seed)
    searches = evaluation.calibrate_searches(embedded.vectors, kept.identities, seed=seed)
    measured_on = (
        f"all pairs of {len(kept)} pictures of {len(kept.classes)} held-out identities of "
        f"{pictures.name}"
    )
    digests = [identity_digest(identity) for identity in kept.classes]
    add_thresholds(
        model,
        thresholds,
        search_thresholds=[one for one in searches if one.resolved],
        measured_on=measured_on,
        digests=digests,
    )
    return thresholds, tuple(embedded.failures)


def training_rows(manifest: Manifest) -> Manifest:
    """The rows to train on; a data set of nothing but test pictures has none."""
    if not manifest.has_images:
        raise ArcwiseError(f"{manifest.name}: holds vectors; a model is trained on pictures")
    named = sorted({split for split in manifest.column("split") or () if split})
    if not named:
        return manifest
    if "train" not in named:
        raise ArcwiseError(
            f"{manifest.name}: its column split has {', '.join(named)} and no train; name the rows "
            "to train on, or leave the column out"
        )
    found = manifest.where("split", "train")
    others = ", ".join(repr(one) for one in named if one != "train")
    if not others:
        return found
    left = f"{len(manifest) - len(found):,} pictures of split {others} are left alone"
    return replace(found, notes=(*found.notes, left))


def _resolved(config: TrainConfig, manifest: Manifest, out: Path) -> TrainConfig:
    """The config with what "auto" means here, after a look at the place to write to."""
    # Without a row or a checkpoint it is a run that stopped before its first step.
    rows = out / "metrics.jsonl"
    begun = (rows.exists() and rows.stat().st_size) or (out / "checkpoints").exists()
    if distributed.first() and begun:
        raise ArcwiseError(
            f"{out}: there is a run already; go on with it (--resume), or give another --out"
        )
    if out.exists() and not out.is_dir():
        raise ArcwiseError(f"{out}: a file; --out is the folder of the run, a new one")
    foreign = out.is_dir() and any(out.iterdir()) and not (out / "config.json").exists()
    if distributed.first() and foreign:
        raise ArcwiseError(
            f"{out}: holds something that is no run; --out is a new folder of the run's own"
        )
    classes = len(manifest.classes)
    if classes < 2:
        raise ArcwiseError(
            f"{manifest.name}: got {classes} identity; expected at least 2 to tell apart"
        )
    return config.replace(precision=build.precision(config, build.device(config)))


def _resumed(out: Path, manifest: Manifest) -> TrainConfig:
    path = out / "config.json"
    if not path.is_file():
        raise ArcwiseError(f"{out}: no run to resume (no config.json); train without --resume")
    try:
        saved = json.loads(path.read_bytes())
        data, config = saved["data"], saved["config"]
        known, name, pictures = (data[key] for key in ("fingerprint", "name", "pictures"))
    except (ValueError, LookupError, TypeError):
        raise ArcwiseError(
            f"{path}: damaged, not what a run writes; restore it, or train into another --out"
        ) from None
    if known != manifest.fingerprint():
        raise ArcwiseError(
            f"{manifest.name}: not the data that {out} was trained on ({name}, {pictures} "
            "pictures); give the same data, or start a new run"
        )
    return TrainConfig.from_dict(config)


def _write_config(out: Path, config: TrainConfig, manifest: Manifest, loss: str) -> None:
    out.mkdir(parents=True, exist_ok=True)
    packages = ("torch", "numpy", "opencv-python-headless", "faiss-cpu")
    content = {
        "config": config.as_dict(),
        "loss": loss,
        "versions": {"arcwise": arcwise.__version__, "python": platform.python_version()}
        | {name: version(name) for name in packages},
        "data": {
            "name": manifest.name,
            "pictures": len(manifest),
            "identities": len(manifest.classes),
            "fingerprint": manifest.fingerprint(),
        },
    }
    beside = out / "config.json.part"
    beside.write_text(json.dumps(content, indent=2) + "\n")
    beside.replace(out / "config.json")


def divided(manifest: Manifest, config: TrainConfig) -> Parts:
    """Whom to train on, and who is held out."""
    if config.holdout == 0:
        return Parts(manifest, None, None)
    return Parts(*hold_out(manifest, config.holdout, config.seed))


def _digests(parts: Parts) -> dict[str, list[str]]:
    return {
        use: [identity_digest(identity) for identity in part.classes] if part else []
        for use, part in parts._asdict().items()
    }


def _summary(
    config: TrainConfig, manifest: Manifest, known: Manifest, step: int, result: Validation | None
) -> dict[str, Any]:
    """What model.json says about its making."""
    measured = {} if result is None else {"recall_at_1": result.recall_at_1, "tar": result.tar}
    return {
        "config": config.as_dict(),
        "loss": described(config, len(known.classes)),
        "data": manifest.name,
        "data_fingerprint": manifest.fingerprint(),
        "pictures": len(manifest),
        "identities": len(manifest.classes),
        "step": step,
        "validation": measured,
    }
