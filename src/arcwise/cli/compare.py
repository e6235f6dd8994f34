"""`arcwise compare`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from arcwise.cli.as_json import print_json
from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.positionals import Data
from arcwise.cli.run_options import chosen_by, options_of, run_command, value_of
from arcwise.cli.screen import progress
from arcwise.cli.stopping import status_of
from arcwise.errors import ArcwiseError
from arcwise.recipes import QUICK
from arcwise.verbs.compare import BUDGET, LOSSES, LossComparison, compare

OUT = Path("runs/compare")

HOLDOUT = 0.4
"""Share of the identities that are measured: more than a single training holds out."""

_OWN = ("--loss", "--margin", "--scale", "--seed")
"""Options of a run that a comparison has of its own, in the plural."""


def answer(words: Sequence[str]) -> int:
    """Run the command with the defaults of the recipe and the config file in its words."""
    for option in _OWN:
        if value_of(words, option) is not None:
            plural = "losses" if option == "--loss" else f"{option[2:]}s"
            raise ArcwiseError(f"{option}: a comparison has several; expected --{plural}")
    named = any(value_of(words, option) for option in ("--recipe", "--config"))
    begin = chosen_by(words if named else [*words, "--recipe", QUICK])
    shared = begin.config.replace(data={"holdout": HOLDOUT})
    defaults = options_of(shared, words)
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
        others. A comparison that was stopped goes on with the same command.

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
            with progress("training") as move:
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
        if json:
            print_json(as_dict(result))
            return 0
        show(result)
        return 0

    return run_command(command, words, "compare")
