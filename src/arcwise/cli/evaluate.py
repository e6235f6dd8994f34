"""`arcwise evaluate`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from tyro.conf import Positional

from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.screen import left_out, progress
from arcwise.verbs.evaluate import Evaluation, evaluate
from arcwise.verbs.reporting import NO_REPORT


def command(
    model: Positional[Path],
    data: Positional[Path],
    out: Path | None = None,
    pairs: Path | None = None,
    seed: int = 0,
    naming: NamingOptions = USUAL,
) -> int:
    """Measure a model on identities it was not trained on.

    Args:
        model: A model folder.
        data: A folder of folders, a CSV or Parquet table, or a zip.
        out: Folder for results.json and report.html; by default "evaluation" beside the model.
        pairs: A CSV of a, b, same and perhaps fold: pairs to verify.
        seed: Of the choice of galleries and of the intervals.
        naming: How a table calls things.
    """
    folder = out or model.parent / "evaluation"
    with progress("embedding") as move:
        result = evaluate(
            model,
            naming.open(data),
            out=folder,
            pairs=pairs,
            seed=seed,
            progress=move,
        )
    left_out("pictures could not be read and were not measured", result.failures)
    left_out("files are not pictures", result.ignored)
    show(result)
    print(f"results: {folder / 'results.json'}")
    print(f"report: {result.report}" if result.report else NO_REPORT)
    return 0


def show(result: Evaluation) -> None:
    """Print the table, and what it was measured on."""
    print(
        f"{result.model} on {len(result.manifest)} pictures of {len(result.manifest.classes)} "
        f"identities of {result.data}; {result.left_out} identities left out because the model "
        "was made with them"
    )
    if result.used:
        print(f"mind: these identities were {result.used}")
    table = Table("measure", "value", "95 % interval")
    for name, rate in result.rates():
        table.add_row(name, f"{rate:.1%}", f"{rate.low:.1%} – {rate.high:.1%}")
    Console().print(table)
