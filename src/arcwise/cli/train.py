"""`arcwise train`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import tyro
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tyro.conf import Positional

from arcwise import distributed
from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.screen import FEW, left_out
from arcwise.data.manifest import open_manifest
from arcwise.errors import ArcwiseError
from arcwise.recipes import recipe as named
from arcwise.training.config import TrainConfig
from arcwise.training.diary import Report
from arcwise.training.losses import described
from arcwise.verbs.reporting import NO_REPORT
from arcwise.verbs.train import Announce, Parts, TrainResult, train

DEFAULT = "products"


def recipe_in(words: Sequence[str]) -> tuple[str, bool]:
    """The name of the recipe that the words ask for, and whether they do."""
    name, given = DEFAULT, False
    for place, word in enumerate(words):
        if word == "--recipe" and place + 1 < len(words):
            name, given = words[place + 1], True
        elif word.startswith("--recipe="):
            name, given = word.partition("=")[2], True
    return name, given


def command_for(words: Sequence[str]) -> Callable[..., int]:
    """The command with the defaults of the recipe that the words name."""
    name, given = recipe_in(words)
    chosen = named(name)

    def command(
        data: Positional[Path],
        config: Annotated[TrainConfig, tyro.conf.arg(name="")] = chosen,
        out: Path = Path("runs/run"),
        recipe: str = name,
        resume: bool = False,
        naming: NamingOptions = USUAL,
    ) -> int:
        """Train an encoder on the identities you have; write a run folder with a model in it.

        Args:
            data: A data set in any form: a folder of folders, a table, an archive.
            config: The run, field by field.
            out: The run folder.
            recipe: What the fields below start from.
            resume: Go on with the run in --out from its last checkpoint.
            naming: How a table calls things.
        """
        if resume and (given or config != chosen):
            raise ArcwiseError(
                f"{out}: a resumed run keeps the config it began with; leave out all options but "
                "--out, --resume and those that name columns"
            )
        with training_progress() as (announce, report):
            result = train(
                open_manifest(data, **naming.options),
                out,
                config,
                resume=resume,
                announce=announce,
                report=report,
            )
        if not distributed.first():
            return 0
        again = ["arcwise", "train", str(data), "--out", str(out), "--resume"]
        return conclude(result, shlex.join(again + naming.words()))

    return command


@contextmanager
def training_progress() -> Iterator[tuple[Announce, Report]]:
    """A bar with the loss, the rate and the time left; a line an epoch and a validation."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    more = (TextColumn("{task.fields[state]}"), TimeRemainingColumn())
    with Progress(
        *columns, *more, disable=not (sys.stdout.isatty() and distributed.first())
    ) as bar:
        task = bar.add_task("training", total=None, state="")

        def announce(parts: Parts, config: TrainConfig) -> None:
            bar.update(task, total=config.steps)
            size = f"{len(parts.train)} pictures of {len(parts.train.classes)} identities"
            bar.console.print(f"training {config.encoder} with {config.loss} on {size}")
            trained = described(config, len(parts.train.classes))
            bar.console.print(f"loss: {trained}", soft_wrap=True, highlight=False)
            if parts.choose and parts.calibrate:
                bar.console.print(
                    f"held out: {len(parts.choose.classes)} identities choose the checkpoint, "
                    f"{len(parts.calibrate.classes)} set the thresholds"
                )
            for note in parts.train.notes:
                bar.console.print(f"mind: {note}", soft_wrap=True, highlight=False)
            left_out("files are not pictures", parts.train.ignored)

        def report(step: int, values: dict[str, float]) -> None:
            if "loss" in values:
                state = f"loss {values['loss']:.3f}  {values['images_per_second']:,.0f} pictures/s"
                bar.update(task, completed=step, state=state)
            elif "epoch" in values:
                bar.console.print(
                    f"epoch {values['epoch']:,.0f}: {values['images_per_second']:,.0f} pictures/s, "
                    f"{values['waiting']:.1%} of the time waiting for pictures",
                    highlight=False,
                )
            elif "recall_at_1" in values:
                bar.console.print(
                    f"step {step}: recall@1 {values['recall_at_1']:.3f}, TAR at FAR 1% "
                    f"{values['tar']:.3f} on held-out identities",
                    highlight=False,
                )

        yield announce, report


def conclude(result: TrainResult, again: str) -> int:
    """Say how the run ended, and what to do next: `again` resumes it."""
    outcome = result.outcome
    left_out("pictures could not be read and were not used", result.failures)
    if not outcome.finished:
        print(f"stopped after step {outcome.steps} of {result.config.steps}; go on with: {again}")
        return 130
    print(
        f"{outcome.steps} steps in {outcome.seconds:.0f} s, {outcome.images_per_second:,.0f} "
        f"pictures/s, {outcome.waiting:.1%} of the time waiting for pictures"
    )
    for threshold in result.thresholds:
        print(f"  {threshold}")
    few = result.thresholds[0].identities if result.thresholds else FEW
    if few < FEW:
        print(
            f"mind: the thresholds rest on {few} identities, too few to decide by; hold out more "
            "(--holdout), or bring more identities"
        )
    print(f"model: {result.model}")
    print(f"report: {result.report}" if result.report else NO_REPORT)
    return 0
