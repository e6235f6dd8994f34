"""Train: from pictures on disk to a run folder with a model that knows its own error rates."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from arcwise import distributed, evaluation, runtime
from arcwise.bundle import add_thresholds, read_bundle
from arcwise.data.digests import identity_digest
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.split import hold_out
from arcwise.errors import ArcwiseError, BundleError, ImageError
from arcwise.evaluation import Threshold
from arcwise.files import locked
from arcwise.training import build, loop
from arcwise.training.config import TrainConfig
from arcwise.training.diary import Report
from arcwise.training.losses import described
from arcwise.training.validation import Validation
from arcwise.verbs import run_folder
from arcwise.verbs.reporting import can_report
from arcwise.verbs.run_folder import LAST, MODEL, Resume


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
    resume: Resume = False,
    recipe: str = "",
    announce: Announce = lambda parts, config: None,
    report: Report = lambda step, values: None,
) -> TrainResult:
    """Train on a data set and write a run folder.

    Rows of a `split` other than "train" are left alone, where the data set has that column.

    Args:
        data: a folder of folders, a table, a zip, or a manifest.
        out: the run folder; a new one, or with `resume` the one to go on with.
        config: the run; with `resume` the saved one, in which what `verbs.run_folder.MAY_CHANGE`
            names may be another, and `steps` more.
        resume: go on from the latest checkpoint, or from the start where the run was stopped before
            its first; with "auto" begin where there is no run.
        recipe: the name of what the config was made from, for config.json.
        announce: told the parts and the resolved config before the first step.
        report: told the step and the values after every logged step, epoch and validation, and
            first, as "resumed", where a run goes on.

    Raises:
        ArcwiseError: a run that is already there, or under way; data or a config that do not fit; a
            disk that is full; or a loss that is not finite.
    """
    out = Path(out)
    manifest = training_rows(open_manifest(data))
    if out.exists() and not out.is_dir():
        raise ArcwiseError(f"{out}: a file; --out is the folder of the run, a new one")
    with locked(out, "a training") if distributed.first() else nullcontext():
        start = run_folder.start(out, config, manifest, resume)
        if start.config.init and not start.resume and distributed.first():
            note = build.start_note(start.config)
            manifest = replace(manifest, notes=(*manifest.notes, note))
        return _train(out, start, manifest, recipe, announce, report)


def _train(
    out: Path,
    start: run_folder.Start,
    manifest: Manifest,
    recipe: str,
    announce: Announce,
    report: Report,
) -> TrainResult:
    """`train` in a folder that is this process's alone."""
    config = start.config
    parts = divided(manifest, config)
    if distributed.first():
        announce(parts, config)
    preparation = build.preparation(config)
    seen = np.zeros(len(parts.train), np.int64)
    ended = start.resume and _ended(out, config)

    def keep(encoder: nn.Module, step: int, result: Validation | None, last: bool) -> None:
        if last and ended:
            return
        # The last one is written last: with it, the run has ended. Without anybody to choose, it
        # is the model.
        names = [*([MODEL] if parts.choose is None else []), LAST] if last else [MODEL]
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
        if start.writes and distributed.rank() == 0:
            loss = described(config, len(parts.train.classes))
            run_folder.write(out, start, manifest, loss, recipe)
        outcome = loop.train(
            config,
            parts.train,
            parts.choose,
            out,
            preparation=preparation,
            keep=keep,
            report=report,
            resume=start.resume,
            seen=seen,
        )
    thresholds: tuple[Threshold, ...] = ()
    failures = outcome.failures
    done = outcome.finished and not outcome.stopped_by and distributed.first()
    if done and parts.calibrate is not None:
        thresholds = read_bundle(out / MODEL).thresholds  # of a run that had ended, or a user's own
        if not thresholds:
            thresholds, unread = set_thresholds(out / MODEL, parts.calibrate, config.seed)
            failures += unread
    result = TrainResult(out, config, parts, outcome, thresholds, failures)
    page = out / "report.html"
    if not (done and can_report()):
        return result
    if ended and page.exists():
        return replace(result, report=page)
    from arcwise.verbs.train_report import write_train_report

    return replace(result, report=write_train_report(page, result))


def _ended(out: Path, config: TrainConfig) -> bool:
    """Whether a run was trained to its end before."""
    try:
        return read_bundle(out / LAST).training.get("step") == config.steps
    except BundleError:
        return False


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
