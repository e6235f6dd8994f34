"""`arcwise evaluate`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table
from tyro.conf import Positional, UseAppendAction

from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.screen import left_out, progress
from arcwise.evaluation import Rate
from arcwise.verbs.evaluate import evaluate
from arcwise.verbs.evaluated import Evaluation
from arcwise.verbs.protocols.rows import ALL
from arcwise.verbs.reporting import NO_REPORT


def command(
    model: Positional[str],
    data: Positional[Path],
    beside: UseAppendAction[tuple[str, ...]] = (),
    pairs: Path | None = None,
    by: UseAppendAction[tuple[str, ...]] = (),
    out: Path | None = None,
    preparation: Path | None = None,
    cache: bool = True,
    seed: int = 0,
    naming: NamingOptions = USUAL,
) -> int:
    """Measure a model on identities it was not trained on, in every protocol that fits the data.

    Args:
        model: A model folder; a bare .onnx with --preparation; or - for vectors that are in the
            data already.
        data: A folder of folders, a CSV or Parquet table, or a zip.
        beside: Another model to measure on the same pictures; as often as you like.
        pairs: A CSV of a, b, same, perhaps fold, and columns to group by: pairs to verify.
        by: A column to group pairs by besides domain and age, perhaps with bins, as in
            age_gap:5,15; as often as you like.
        out: Folder for results.json, results.csv and report.html; by default one named like the
            data, in "evaluation" beside the model.
        preparation: For a bare .onnx, a JSON file of height, width, resize, colour, mean, std and
            flip: how a picture is prepared.
        cache: Keep embeddings for the next time, in the user's cache folder.
        seed: Of the choice of galleries and of the intervals.
        naming: How a table calls things.
    """
    manifest = naming.open(data)
    folder = out or Path(model).parent / "evaluation" / named(manifest.name, pairs)
    with progress("embedding") as move:
        result = evaluate(
            model,
            manifest,
            beside=beside,
            pairs=pairs,
            by=by,
            out=folder,
            preparation=preparation,
            cached=cache,
            seed=seed,
            progress=move,
        )
    left_out("pictures could not be read and were not measured", result.about.failures)
    left_out("files are not pictures", result.about.ignored)
    show(result)
    print(f"results: {folder / 'results.json'}, results.csv")
    print(f"report: {result.report}" if result.report else NO_REPORT)
    return 0


def named(data: str, pairs: Path | None) -> str:
    """The name of a folder for the results on these data."""
    return data if pairs is None else f"{data}-{pairs.stem}"


def show(result: Evaluation) -> None:
    """Print what was measured on what, the table, and what could not be measured and why."""
    about, several = result.about, len(result.models) > 1
    taken = "" if about.rows == ALL else f", {about.rows}"
    print(
        f"{' beside '.join(result.models)} on {len(result.manifest)} {rows(result)} of "
        f"{len(result.manifest.classes)} identities of {about.data}{taken}; "
        f"{about.left_out} identities left out because "
        f"{'a model' if several else 'the model'} was made with them"
    )
    if about.used:
        print(f"mind: these identities were {about.used}")
    for note in about.notes:
        print(f"mind: {note}")
    if about.reused:
        print(f"{about.reused} embeddings were there from before, in the cache")
    Console().print(table(result))
    for protocol in result.protocols:
        if not protocol.measured:
            print(f"not measured: {protocol.name}: {protocol.why}")
    for breakdown in result.breakdowns:
        for group, why in breakdown.unmeasured.items():
            print(f"not measured: {breakdown.column} {group}: {why}")
    unresolved = [m.name for m in result.measures if not m.rate.resolved and not m.column]
    if unresolved:
        print(f"too few pairs or queries for: {', '.join(unresolved)}")


def rows(result: Evaluation) -> str:
    """What the rows of the data set are."""
    return "pictures" if result.manifest.has_images else "vectors"


def table(result: Evaluation) -> Table:
    """A row a number that is resolved, a section a protocol, a column a model."""
    models = list(result.models.values())
    if len(models) == 1:
        shown = Table("measure", "value", "95 % interval")
    else:
        shown = Table("measure", *(one.model for one in models))
    of = [{(m.column, m.group, m.name): m.rate for m in one.measures} for one in models]
    last = ""
    for measure in result.measures:
        key = (measure.column, measure.group, measure.name)
        rates = [found[key] for found in of if key in found]
        if len(rates) < len(models) or not all(rate.resolved for rate in rates):
            continue
        if last not in ("", measure.protocol):
            shown.add_section()
        last = measure.protocol
        name = f"{measure.column} {measure.group}: " if measure.column else ""
        spread = f" ± {measure.std:.1%}" if measure.std is not None and len(models) == 1 else ""
        if len(models) == 1:
            cells = [f"{rates[0]:.1%}{spread}", interval(rates[0])]
        else:
            cells = [f"{rate:.1%} ({interval(rate)})" for rate in rates]
        shown.add_row(f"{name}{measure.name}", *cells)
    return shown


def interval(rate: Rate) -> str:
    """Both ends, in per cent."""
    return f"{rate.low:.1%} – {rate.high:.1%}"
