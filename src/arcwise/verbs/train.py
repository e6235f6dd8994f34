"""Train: from images on disk to a run folder with a model that knows its own error rates."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from arcwise import distributed, evaluation, runtime
from arcwise.bundle import LengthReading, add_length, add_thresholds, read_bundle
from arcwise.data.digests import identity_digest
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.split import hold_out
from arcwise.data.training_columns import training_columns
from arcwise.encoders import lora
from arcwise.errors import ArcwiseError, BundleError
from arcwise.evaluation import Threshold
from arcwise.files import locked
from arcwise.objectives import standardisation
from arcwise.sets import QualitySpread
from arcwise.training import build, loop, weight_sources
from arcwise.training.config import TrainConfig
from arcwise.training.described_loss import described
from arcwise.training.run_logger import Report
from arcwise.training.stage_check import check_stages
from arcwise.training.validation import Validation
from arcwise.verbs import run_folder
from arcwise.verbs.length_estimate import lengths_of_rows
from arcwise.verbs.reporting import can_report
from arcwise.verbs.run_folder import LAST, MODEL, Parts, Resume, TrainResult

Announce = Callable[[Parts, TrainConfig, tuple[str, ...]], None]
"""Called before the first step, with the parts of the data, the resolved config, and sentences on
the start: what is taken from its weights, and what the network does not take of the config."""


def train(
    data: str | Path | Manifest,
    out: str | Path,
    config: TrainConfig,
    *,
    resume: Resume = False,
    recipe: str = "",
    page: bool = True,
    announce: Announce = lambda parts, config, start: None,
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
        page: whether to write report.html.
        announce: called before the first step.
        report: called with the step and the values after every logged step, epoch and validation,
            and first, as "resumed", where a run goes on.

    Raises:
        ArcwiseError: a run that is already there, or under way; data or a config that do not fit; a
            disk that is full; or a loss that is not finite.
    """
    out = Path(out)
    manifest = training_rows(open_manifest(data), config)
    if out.exists() and not out.is_dir():
        raise ArcwiseError(f"{out}: a file; --out is the folder of the run, a new one")
    if config.run.epochs:
        config = config.with_steps(len(divided(manifest, config).train))
    with locked(out, "a training") if distributed.first() else nullcontext():
        start = run_folder.start(out, config, manifest, resume)
        if start.config.encoder.init and not start.resume and distributed.first():
            note = build.start_note(start.config.encoder)
            start = replace(start, notes=(*start.notes, note))
        return _train(out, start, manifest, recipe, page, announce, report)


def _train(
    out: Path,
    start: run_folder.Start,
    manifest: Manifest,
    recipe: str,
    page: bool,
    announce: Announce,
    report: Report,
) -> TrainResult:
    """`train` in a folder that is this process's alone."""
    config = start.config
    parts = divided(manifest, config)
    preparation = build.preparation(config.encoder)
    seen = np.zeros(len(parts.train), np.int64)
    licence = _licence(config, out)
    ended = start.resume and ended_with(out, config)

    def on_best(encoder: nn.Module, step: int, result: Validation | None, last: bool) -> None:
        if last and ended:
            return
        # The last one is written last: with it, the run has ended. Without anybody to choose, it
        # is the model.
        names = [*([MODEL] if parts.validation is None else []), LAST] if last else [MODEL]
        for name in names:
            runtime.save(
                out / name,
                lora.merge(encoder),
                preparation,
                alignment=build.alignment(config.encoder),
                digests=_digests(parts),
                licence=licence,
                trained_images=seen[seen > 0],
                training=_summary(config, manifest, parts.train, step, result),
            )

    with distributed.started(build.device(config.run)):
        check_stages(config, parts.train, manifest)  # what is wrong is said before there is a run
        if distributed.first():
            announce(parts, config, start.notes)
        if start.writes and distributed.rank() == 0:
            loss = described(config, len(parts.train.classes))
            run_folder.write(out, start, manifest, loss, recipe)
        ended_at = loop.train(
            config,
            parts.train,
            parts.validation,
            out,
            preparation=preparation,
            on_best=on_best,
            report=report,
            resume=start.resume,
            seen=seen,
        )
    thresholds: tuple[Threshold, ...] = ()
    failures, quality = ended_at.failures, None
    final = config.stage(max(len(config.stages) - 1, 0))
    done = ended_at.finished and not ended_at.stopped_by and distributed.first()
    if done and parts.calibration is not None:
        thresholds = read_bundle(out / MODEL).thresholds  # of a run that had ended, or a user's own
        if not thresholds:
            embedded = runtime.embed_manifest(
                runtime.load(out / MODEL, runtime="torch"), parts.calibration
            )
            failures += tuple(embedded.failures)
            thresholds = set_thresholds(out / MODEL, parts.calibration, embedded, config.run.seed)
            if embedded.quality is not None:
                quality = QualitySpread.of(embedded.quality)
            if final.objective.length is not None:
                set_length(out / MODEL, parts, final.objective.length.column)
    length = read_bundle(out / MODEL).length if done else None
    result = TrainResult(out, config, parts, ended_at, thresholds, failures, length, quality)
    path = out / "report.html"
    if not (done and page and can_report()):
        return result
    if ended and path.exists():
        return replace(result, report=path)
    from arcwise.verbs.train_report import write_train_report  # matplotlib may not be there

    return replace(result, report=write_train_report(path, result))


def _licence(config: TrainConfig, out: Path) -> str:
    """Return what binds a model that started from weights with a licence, in words.

    A run that goes on may no longer have them: its model says it.
    """
    if not config.encoder.init:
        return ""
    try:
        licence = weight_sources.resolve(config.encoder.init, config.encoder.name).licence
    except ArcwiseError:
        there = [one for name in (MODEL, LAST) if (one := out / name).is_dir()]
        return read_bundle(there[0]).licence if there else ""
    start = "started from weights under "
    return f"{start}{licence}" if licence and not licence.startswith(start) else licence


def ended_with(out: Path, config: TrainConfig) -> bool:
    """Whether a run was trained to the end of a config, and its model is there."""
    try:
        return read_bundle(out / LAST).training.get("step") == config.run.steps
    except BundleError:
        return False


def set_thresholds(
    model: Path, images: Manifest, embedded: runtime.Embedded, seed: int
) -> tuple[Threshold, ...]:
    """Measure thresholds on images of identities not trained on, and put them into the bundle.

    Args:
        model: the folder.
        images: of these identities.
        embedded: by this model.
        seed: of the intervals.

    Returns:
        The thresholds.
    """
    kept = images.select(embedded.rows)
    thresholds = evaluation.calibrate(embedded.vectors, kept.identities, seed=seed)
    searches = evaluation.calibrate_searches(embedded.vectors, kept.identities, seed=seed)
    measured_on = (
        f"all pairs of {len(kept)} images of {len(kept.classes)} held-out identities of "
        f"{images.name}"
    )
    digests = [identity_digest(identity) for identity in kept.classes]
    add_thresholds(
        model,
        thresholds,
        search_thresholds=[one for one in searches if one.resolved],
        measured_on=measured_on,
        digests=digests,
    )
    return thresholds


def set_length(model: Path, parts: Parts, column: str) -> None:
    """Fit the line from lengths to a column on held-out images, and put it into the bundle.

    Args:
        model: the folder.
        parts: what was trained on, and images of other identities, of which those that cannot be
            read are passed over.
        column: its name.
    """
    held_out = parts.calibration
    assert held_out is not None
    values = training_columns(held_out, [column]).values[column]
    network = runtime.load(model, runtime="torch", check=False)
    rows = np.flatnonzero(~np.isnan(values))
    lengths = lengths_of_rows(network, held_out, rows.tolist())
    measured = ~np.isnan(lengths)
    rows = rows[measured]
    names = np.array(held_out.identities)[rows]
    if len(names) >= 3 and len(set(names)) > 1:
        line = LengthReading.fitted(
            column,
            lengths[measured],
            values[rows],
            *standardisation(column, parts.train),
            identities=names,
        )
        add_length(model, line)


def training_rows(manifest: Manifest, config: TrainConfig) -> Manifest:
    """Return the rows to train on: those of the split `train`, or of those that stages name.

    Raises:
        ArcwiseError: there are no images, or none of such a split.
    """
    if not manifest.has_images:
        raise ArcwiseError(f"{manifest.name}: holds vectors; a model is trained on images")
    column = manifest.column("split") or ()
    there = sorted({split for split in column if split})
    if not there:
        return manifest
    chosen = {split for stage in config.stages for split in stage.where.get("split", ("train",))}
    chosen = chosen or {"train"}
    if lacking := sorted(chosen - set(there)):
        raise ArcwiseError(
            f"{manifest.name}: its column split has {', '.join(there)} and no {lacking[0]}; name "
            "the rows to train on, or leave the column out"
        )
    rows = [row for row, split in enumerate(column) if split in chosen]
    others = ", ".join(repr(one) for one in there if one not in chosen)
    if not others and len(rows) == len(manifest):
        return manifest
    left = f"{len(manifest) - len(rows):,} images of split {others} are left alone"
    kept = manifest.select(rows)
    return replace(kept, notes=(*kept.notes, left)) if others else kept


def divided(manifest: Manifest, config: TrainConfig) -> Parts:
    """Whom to train on, and who is held out."""
    if config.data.holdout == 0:
        return Parts(manifest, None, None)
    return Parts(*hold_out(manifest, config.data.holdout, config.run.split_seed))


def _digests(parts: Parts) -> dict[str, list[str]]:
    """Digests of the identities, by what they were used for as model.json names it."""
    return {
        use: [identity_digest(identity) for identity in part.classes] if part else []
        for use, part in zip(("train", "choose", "calibrate"), parts, strict=True)
    }


def _summary(
    config: TrainConfig,
    manifest: Manifest,
    trained_on: Manifest,
    step: int,
    result: Validation | None,
) -> dict[str, Any]:
    """What model.json says about its making."""
    return {
        "config": config.as_dict(),
        "loss": described(config, len(trained_on.classes)),
        "data": manifest.name,
        "data_fingerprint": manifest.fingerprint(),
        "images": len(manifest),
        "identities": len(manifest.classes),
        "step": step,
        "validation": {} if result is None else result.as_dict(),
    }
