"""`arcwise evaluate`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from tyro.conf import Positional, UseAppendAction

from arcwise.cli.as_json import print_json
from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.screen import left_out, progress, trained_on
from arcwise.evaluation import Rate
from arcwise.protocols.result import Evaluation, Measure
from arcwise.protocols.rows import ALL
from arcwise.verbs.evaluate import evaluate
from arcwise.verbs.evaluated_files import as_dict, default_folder
from arcwise.verbs.measurable import open_to_measure
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
    other_identities: bool = False,
    json: bool = False,
    naming: NamingOptions = USUAL,
) -> int:
    """Measure a model on identities it was not trained on, in every protocol that fits the data.

    Args:
        model: A model folder; a bare .onnx with --preparation; or - for vectors that are in the
            data already.
        data: A data set in any form: a folder, a table, an archive, a .bin pack, IJB.
        beside: Another model to measure on the same pictures; as often as you like.
        pairs: Pairs to verify, instead of those that the data list: a CSV of a, b, same, perhaps
            fold, and columns to group by; or a .txt as LFW's.
        by: A column to group pairs by besides domain and age, perhaps with bins, as in
            age_gap:5,15; as often as you like.
        out: Folder for results.json, results.csv and report.html; by default one named like the
            data, in "evaluation" beside the model.
        preparation: For a bare .onnx, a JSON file of height, width, resize, colour, mean, std and
            flip: how a picture is prepared.
        cache: Keep embeddings for the next time, in the user's cache folder.
        seed: Of the choice of galleries and of the intervals.
        other_identities: The identities are others than in training, though they may be called
            alike (0, 1, …); only those of images that were trained on are left out.
        json: Print what is in results.json, instead of the table.
        naming: How a table calls things.
    """
    manifest = open_to_measure(data, pairs=pairs is not None, **naming.options)
    folder = out or default_folder(model, manifest.name, pairs)
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
            other_identities=other_identities,
            progress=move,
        )
    if json:
        print_json(as_dict(result))
        return 0
    left_out("pictures could not be read and were not measured", result.about.failures)
    left_out("files are not pictures", result.about.ignored)
    show(result)
    print(f"results: {folder / 'results.json'}, results.csv")
    print(f"report: {result.report}" if result.report else NO_REPORT)
    return 0


def show(result: Evaluation) -> None:
    """Print what was measured on what, the table, and what could not be measured and why."""
    about = result.about
    taken = "" if about.rows == ALL else f", {about.rows}"
    people = "" if result.people is None else f"{result.people} identities of "
    print(
        f"{' beside '.join(result.models)} on {len(result.manifest)} {rows(result)} of "
        f"{people}{about.data}{taken}"
    )
    if len(about.untold) < len(result.models) and result.people is not None:
        made = "a model" if len(result.models) > 1 else "the model"
        print(f"{about.left_out} identities left out because {made} was made with them")
    if about.trained_images is not None:
        print(trained_on(about.trained_images, measured=result.people is None))
    for name in about.untold:
        print(f"mind: {name} does not say what it was made with; it may know these identities")
    if about.used:
        print(f"mind: these identities were {about.used}")
    for note in about.notes:
        print(f"mind: {note}")
    if about.reused:
        total = len(result.manifest) * len(result.models)
        print(f"{about.reused} of {total} embeddings were in the cache")
    if result.sentence:
        print(result.sentence)
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
    several = len(models) > 1
    columns = [one.model for one in models] if several else ["value", "95 % interval"]
    shown = Table("measure", *columns)
    found = [{(m.column, m.group, m.name): m for m in one.measures} for one in models]
    last = ""
    for key in dict.fromkeys(key for one in found for key in one):
        measures = [one.get(key) for one in found]
        known = [m for m in measures if m is not None and m.rate.resolved]
        if not known:
            continue
        if last not in ("", known[0].protocol):
            shown.add_section()
        last = known[0].protocol
        cells = ["" if m is None or not m.rate.resolved else value(m) for m in measures]
        if several:
            cells = [
                f"{cell} ({interval(m.rate)})" if m is not None and cell else ""
                for cell, m in zip(cells, measures, strict=True)
            ]
        else:
            cells.append(interval(known[0].rate))
        column, group, name = key
        shown.add_row(f"{column} {group}: {name}" if column else name, *cells)
    if several:
        shown.add_section()
        for name, cells in differences(result):
            shown.add_row(name, "", *cells)
    return shown


def differences(result: Evaluation) -> list[tuple[str, list[str]]]:
    """What the other models have more than the first on the same pairs, a cell a model."""
    rows: dict[str, list[str]] = {}
    for other in result.beside:
        found = other.comparison
        for name, one in (("accuracy", found.accuracy), (f"TAR at FAR {found.far:g}", found.tar)):
            if one is not None and one.difference.resolved:
                gap = one.difference
                rows.setdefault(f"{name}, more than {result.model}", []).append(
                    f"{100 * gap:+.1f} ({100 * gap.low:+.1f} – {100 * gap.high:+.1f}) points"
                )
    return list(rows.items())


def value(measure: Measure) -> str:
    """A number in per cent, with its deviation over folds."""
    spread = "" if measure.std is None else f" ± {percent(measure.std)}"
    return f"{percent(measure.rate)}{spread}"


def interval(rate: Rate) -> str:
    """Both ends, in per cent."""
    return f"{percent(rate.low)} – {percent(rate.high)}"


def percent(rate: float) -> str:
    """A rate in per cent, with more digits where it is close to none or to all."""
    if rate in (0.0, 1.0):
        return f"{rate:.0%}"
    if rate < 0.01:
        return f"{np.format_float_positional(100 * rate, 2, fractional=False, trim='-')}%"
    return f"{rate:.1%}" if rate < 0.99 else f"{rate:.2%}" if rate < 0.999 else f"{rate:.4%}"
