"""`arcwise compare`."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from rich.console import Console
from rich.table import Table
from tyro.conf import OmitArgPrefixes

from arcwise.cli.as_json import print_json
from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.positionals import Data
from arcwise.cli.run_options import (
    Network,
    chosen_by,
    options_of,
    run_command,
    value_of,
)
from arcwise.cli.screen import counted, progress
from arcwise.cli.stopping import status_of
from arcwise.errors import ArcwiseError
from arcwise.evaluation import Rate
from arcwise.recipes import QUICK
from arcwise.verbs.compare import BUDGET, LOSSES, compare
from arcwise.verbs.compare_result import METRICS, LossComparison, as_dict
from arcwise.verbs.reporting import NO_REPORT

OUT = Path("runs/compare")

HOLDOUT = 0.4
"""Share of the identities that are measured: more than a single training holds out."""

WIDE = 140
"""Characters that the table takes; what is written to a file or a program need not be narrower."""

FEW_MEASURED = 20
"""Identities under which only large differences are significant (docs/compare-intervals.md)."""

COMPARISON = (
    "--out", "--losses", "--baseline", "--margins", "--scales", "--seeds", "--budget", "--far",
    "--processes", "--json", "--no-json", "--steps", "--epochs", "--holdout",
)  # fmt: skip
"""Options that a comparison does not pass on to the training of its choice."""

_OWN = ("--loss", "--margin", "--scale", "--seed")
"""Options of a run that a comparison has of its own, in the plural."""


@dataclass(frozen=True)
class EachTraining:
    """How long each training is, and how fast."""

    steps: int
    """Updates of the weights, in the place of what --budget allows."""
    epochs: float
    """Passes over the images, in the place of --budget."""
    batch: int
    """Images a step."""
    lr: float
    """Learning rate at its highest."""


@dataclass(frozen=True)
class OtherIdentities:
    """Who is not trained on."""

    holdout: float
    """Share of the identities that are measured. Where --margins or --scales are tried, half of
    them choose among these, and the other half is measured."""
    split_seed: int
    """Seed of the choice of these identities."""


@dataclass(frozen=True)
class SharedOptions:
    """The options that the trainings of a comparison have in common, and most of them need."""

    network: OmitArgPrefixes[Network]
    training: OmitArgPrefixes[EachTraining]
    split: OmitArgPrefixes[OtherIdentities]


def answer(words: Sequence[str]) -> int:
    """Run the command with the defaults of the recipe and the config file in its words."""
    for option in _OWN:
        if value_of(words, option) is not None:
            plural = "losses" if option == "--loss" else f"{option[2:]}s"
            raise ArcwiseError(f"{option}: a comparison has several; expected --{plural}")
    named = any(value_of(words, option) for option in ("--recipe", "--config"))
    begin = chosen_by(words if named else [*words, "--recipe", QUICK])
    shared = begin.config.replace(data={"holdout": HOLDOUT})
    defaults = options_of(shared, words, SharedOptions)
    length = any(value_of(words, one) for one in ("--steps", "--epochs"))

    def command(
        source: Data,
        options: Any = defaults,
        out: Path = OUT,
        losses: tuple[str, ...] = LOSSES,
        baseline: str = "arcface",
        margins: tuple[float, ...] = (),
        scales: tuple[float, ...] = (),
        seeds: int = 5,
        budget: float = BUDGET,
        far: float = 1e-2,
        processes: int | None = None,
        recipe: str = begin.recipe,
        config: Path | None = None,
        json: bool = False,
        naming: NamingOptions = USUAL,
    ) -> int:
        """Train several losses on one budget, and say which one is best for your images.

        Every loss is trained with every seed, all on the same identities, and measured on the same
        others. A comparison that was stopped goes on with the same command. These are the everyday
        options; --help-all shows every one.

        Args:
            source: A data set in any form: a folder of folders, a table, an archive.
            options: What the trainings share, as in `arcwise train`.
            out: The folder of the comparison.
            losses: The losses, as --loss of `arcwise train` takes them.
            baseline: The loss that the others are compared with.
            margins: Margins that each loss is tried with. Half of the held-out identities choose
                among them, the other half is measured.
            scales: Scales that each loss is tried with, in the same way.
            seeds: Trainings of each loss.
            budget: Minutes of all trainings together; --steps or --epochs in its place say how long
                each one is.
            far: False-accept rate at which losses are compared.
            processes: Trainings at a time; by default one a core.
            recipe: What the options start from: products-quick, with which a small network learns
                something in minutes, or another recipe of `arcwise train`.
            config: A .yaml or .json file with fields of the config, over the recipe.
            json: Print one JSON document instead.
            naming: How a table names its columns.
        """
        again = shlex.join(["arcwise", "compare", *words])
        try:
            began = monotonic()
            with progress("training") as bar:

                def move(done: int, total: int, last: str) -> None:
                    bar(done, total, "training" if done else last)
                    if not sys.stderr.isatty():
                        minutes, seconds = divmod(round(monotonic() - began), 60)
                        line = f"{done} of {total}, {minutes}:{seconds:02d}: {last}"
                        print(line, file=sys.stderr, flush=True)

                result = compare(
                    naming.open(source),
                    out,
                    options.config(shared),
                    losses=losses,
                    baseline=baseline,
                    margins=margins,
                    scales=scales,
                    seeds=seeds,
                    budget=None if length else budget,
                    far=far,
                    processes=processes,
                    progress=move,
                )
        except KeyboardInterrupt as stop:
            print(f"stopped; go on with: {again}", file=sys.stderr)
            return status_of(stop)
        loss = result.losses[result.choice].variant.options
        run = [*loss, *training_words(words, str(source))]
        command = shlex.join(["arcwise", "train", str(source), *run])
        if json:
            print_json(as_dict(result) | {"command": command})
            return 0
        show(result)
        print(f"train it: {command}")
        if not named:
            print(
                f"It takes the recipe of `arcwise train`. Losses were compared with the small "
                f"network of {QUICK}: --recipe {QUICK} trains that one."
            )
        print(f"report: {result.report}" if result.report else NO_REPORT)
        return 0

    return run_command(command, words, "compare")


def show(result: LossComparison) -> None:
    """Print what was compared on what, the table, and the choice."""
    trained, chose, _ = result.split
    table, plan = result.table, result.plan
    for note in result.notes:
        print(f"warning: {note}")
    chosen_by = f", {chose} chose margins and scales" if chose else ""
    print(
        f"{len(result.losses)} losses, {counted(plan.seeds, 'seed')} each, "
        f"{plan.steps:,} steps: trained on {trained} identities{chosen_by}, measured on "
        f"{counted(table.images, 'image')} of {counted(table.identities, 'other identity')}"
    )
    for one in result.tuned:
        mark = "  <- chosen" if one.chosen else ""
        print(f"  {one.variant.label}: TAR {one.tar:.3f} on the identities that choose{mark}")
    Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE).print(
        losses_table(result)
    )
    print(
        f"mean over the seeds; in brackets the 95 % interval over {table.interval_covers}; p is "
        f"Holm's, for {counted(len(table.names) - 1, 'comparison')} with {plan.baseline}"
    )
    if table.identities < FEW_MEASURED:
        print(
            f"warning: {counted(table.identities, 'identity')} to measure with are few: only large "
            "differences are significant; bring more, or give a larger --holdout"
        )
    if not table.tar.resolved:
        print(
            f"warning: {table.identities} identities do not resolve FAR {table.far:g}; recall@1 "
            "decides"
        )
    for one in result.losses.values():
        if one.failed:
            print(f"warning: {one.variant.label} is left out: {one.failed}")
    print(f"choice: {result.choice}, {result.certainty}: {result.reason}")


def losses_table(result: LossComparison) -> Table:
    """Return a row a loss, the best one first."""
    table, deciding = result.table, result.table.deciding
    gap_name = f"{METRICS[deciding.metric]} - {table.baseline}, points"
    found = Table()
    found.add_column("loss", no_wrap=True)
    for header in (f"TAR@{table.far:g}", "recall@1", "EER", gap_name, "p", "time", "memory"):
        found.add_column(header, overflow="fold")
    for name in sorted(table.names, key=lambda one: -deciding.mean[one]):
        one = result.losses[name]
        gap = deciding.to_baseline.get(name)
        found.add_row(
            one.variant.label,
            *(_interval(metric.mean[name]) for metric in (table.tar, table.recall_at_1, table.eer)),
            "baseline" if gap is None else _points(gap.difference),
            "" if gap is None else f"{gap.corrected_p:.2g}",
            f"{one.seconds:.0f} s" if one.seconds else "",
            f"{one.memory / 1e6:.0f} MB" if one.memory else "",
        )
    return found


def _interval(rate: Rate) -> str:
    return f"{rate:.1%} ({rate.low:.1%} – {rate.high:.1%})"


def _points(difference: Rate) -> str:
    """Return a difference in percentage points: in per cent it would read as a relative one."""
    middle, low, high = (100 * end for end in (float(difference), difference.low, difference.high))
    return f"{middle:+.1f} ({low:+.1f} – {high:+.1f})"


def training_words(words: Sequence[str], source: str) -> list[str]:
    """Return those of the words of a comparison that `arcwise train` takes for its run.

    How long a training is, and how many identities are held out, is the comparison's own.
    """
    found: list[str] = []
    kept = False
    for word in words:
        if word.startswith("--"):
            kept = word.partition("=")[0] not in COMPARISON
        if kept and word != source:
            found.append(word)
    return found
