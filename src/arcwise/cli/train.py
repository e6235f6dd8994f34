"""`arcwise train`."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, get_args

import tyro
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tyro.conf import Positional

from arcwise import distributed
from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.screen import FEW, left_out
from arcwise.cli.stopping import status_of
from arcwise.data.formats.opening import open_manifest
from arcwise.errors import ArcwiseError, NonFiniteError
from arcwise.recipes import recipe as named
from arcwise.training import checkpoint
from arcwise.training.config import TrainConfig
from arcwise.training.diary import Report
from arcwise.training.losses import described
from arcwise.training.schedule import calmer, rate
from arcwise.verbs.reporting import NO_REPORT
from arcwise.verbs.run_folder import CHECKPOINTS, changes, saved
from arcwise.verbs.train import Announce, Parts, TrainResult, train

DEFAULT = "products"
OUT = Path("runs/run")
How = Literal["never", "always", "auto"]

EVERY = 30.0
"""Seconds after which a line is due."""


RESUME = "--resume"


def value_of(words: Sequence[str], option: str) -> str | None:
    """What the words give an option, the last time; None where they do not."""
    value = None
    for place, word in enumerate(words):
        if word == option and place + 1 < len(words):
            value = words[place + 1]
        elif word.startswith(f"{option}="):
            value = word.partition("=")[2]
    return value


def written_out(words: Sequence[str]) -> list[str]:
    """The words with the value of a `--resume` that has none."""
    found: list[str] = []
    for place, word in enumerate(words):
        found += [RESUME, "never"] if word == "--no-resume" else [word]
        if word == RESUME and [*words, ""][place + 1] not in get_args(How):
            found.append("always")
    return found


def begins_with(words: Sequence[str]) -> tuple[str, TrainConfig, TrainConfig | None]:
    """The recipe that the words name, the config that their fields change, and the saved one.

    A run that goes on has its own config for what the words do not name.

    Raises:
        ArcwiseError: it goes on from another recipe, or what it says of itself is damaged.
    """
    given = value_of(words, "--recipe")
    name = given or DEFAULT
    if value_of(written_out(words), RESUME) not in ("always", "auto"):
        return name, named(name), None
    out = Path(value_of(words, "--out") or OUT)
    known = saved(out)
    if known is None:
        return name, named(name), None
    begun = bool(checkpoint.saved(out / CHECKPOINTS))
    if given is None or given == known.recipe:
        return known.recipe or name, known.config, known.config if begun else None
    if begun and known.recipe:
        raise ArcwiseError(
            f"{out}: began with the recipe {known.recipe}, got --recipe {given}; leave it out, or "
            "give another --out"
        )
    return name, named(name), known.config if begun else None


def command_for(words: Sequence[str]) -> Callable[..., int]:
    """The command with the defaults of the recipe that the words name, or of the run resumed."""
    name, chosen, before = begins_with(words)

    def command(
        data: Positional[Path],
        config: Annotated[TrainConfig, tyro.conf.arg(name="")] = chosen,
        out: Path = OUT,
        recipe: str = name,
        resume: How = "never",
        naming: NamingOptions = USUAL,
    ) -> int:
        """Train an encoder on the identities you have; write a run folder with a model in it.

        Args:
            data: A data set in any form: a folder of folders, a table, an archive.
            config: The run, field by field.
            out: The run folder.
            recipe: What the fields below start from.
            resume: Go on with the run in --out from its last checkpoint: --resume alone, or
                --resume auto, which begins where there is none. A run keeps its fields; --steps
                may be more, and --lr, --clip and whatever does not touch what is learnt another.
            naming: How a table calls things.
        """
        words = ["arcwise", "train", str(data), "--out", str(out), RESUME, "auto"]
        words += naming.words()
        begins = resume != "never" and not checkpoint.saved(out / CHECKPOINTS)
        note = f"{out}: no checkpoint to go on from, so the run begins" if begins else ""
        try:
            with training_progress(before, note) as (announce, report):
                result = train(
                    open_manifest(data, **naming.options),
                    out,
                    config,
                    resume="auto" if resume == "auto" else resume == "always",
                    recipe=recipe,
                    announce=announce,
                    report=report,
                )
        except NonFiniteError as error:
            again = shlex.join([*words, "--lr", f"{calmer(config):g}"])
            raise NonFiniteError(f"{error}. For example: {again}") from None
        except KeyboardInterrupt as stop:
            if not checkpoint.saved(out / CHECKPOINTS):
                raise
            print(f"stopped; go on with: {shlex.join(words)}")
            return status_of(stop)
        return conclude(result, shlex.join(words)) if distributed.first() else 0

    return command


@contextmanager
def training_progress(
    before: TrainConfig | None = None, first: str = ""
) -> Iterator[tuple[Announce, Report]]:
    """A bar with the loss, the rate and the time left; a line an epoch and a validation.

    Where the output is no terminal, the bar is lines: the first, the last, and one whenever a
    tenth of the run or half a minute has passed.

    Args:
        before: what a resumed run had until now.
        first: to be said before anything else.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    more = (TextColumn("{task.fields[state]}"), TimeRemainingColumn())
    with Progress(
        *columns, *more, disable=not (sys.stdout.isatty() and distributed.first())
    ) as bar:
        task = bar.add_task("training", total=None, state="")
        log = Log()

        def announce(parts: Parts, config: TrainConfig) -> None:
            bar.update(task, total=config.steps)
            log.config = config
            if first:
                bar.console.print(first, soft_wrap=True, highlight=False)
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
                if bar.disable and (line := log.line(step, values)):
                    bar.console.print(line, soft_wrap=True, highlight=False)
            elif "no way on" in values:
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
        steps, now = self.config.steps, time.monotonic()
        tenths = 10 * step // steps
        if tenths == self._said and step != steps and now - self._when < EVERY:
            return ""
        self._said, self._when = tenths, now
        speed = values["images_per_second"]
        parts = [f"step {step:,} of {steps:,}: loss {values['loss']:.3f}"]
        if "lr" in values:
            parts.append(f"learning rate {values['lr']:.3g}")
        parts.append(f"{speed:,.0f} pictures/s")
        left = (steps - step) * self.config.batch / max(speed, 1e-9)
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
        if name == "steps":
            rates = (f"{one.lr * rate(one, step):.3g}" for one in (before, config))
            yield (
                f"the schedule is now that of a run of {new} steps: at this step the learning rate "
                f"goes from {' to '.join(rates)}"
            )


def conclude(result: TrainResult, again: str) -> int:
    """Say how the run ended, and what to do next: `again` resumes it."""
    outcome = result.outcome
    left_out("pictures could not be read and were not used", result.failures)
    if not outcome.finished or outcome.stopped_by:
        print(f"stopped after step {outcome.steps} of {result.config.steps}; go on with: {again}")
        return 128 + (outcome.stopped_by or signal.SIGINT)
    if outcome.began == outcome.steps:
        print(f"finished before: all {outcome.steps} steps are done; a larger --steps adds some")
    else:
        now = f"all, {outcome.steps - outcome.began} of them now in " if outcome.began else ""
        print(
            f"{outcome.steps} steps in {now}{outcome.seconds:.0f} s, "
            f"{outcome.images_per_second:,.0f} pictures/s, {outcome.waiting:.1%} of the time "
            "waiting for pictures"
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
