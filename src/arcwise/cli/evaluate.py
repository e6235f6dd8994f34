"""`arcwise evaluate`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from tyro.conf import UseAppendAction

from arcwise.cli.as_json import print_json
from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.positionals import Data, ModelName
from arcwise.cli.screen import counted, left_out, progress, trained_on
from arcwise.evaluation import Rate
from arcwise.protocols.result import EvaluationResult, Metric
from arcwise.protocols.template_set import ALL_ROWS
from arcwise.verbs.evaluate import evaluate, open_to_measure
from arcwise.verbs.evaluate_files import as_dict, default_folder
from arcwise.verbs.reporting import NO_REPORT


def command(
    model: ModelName,
    data: Data,
    baseline: UseAppendAction[tuple[str, ...]] = (),
    pairs: Path | None = None,
    group_by: UseAppendAction[tuple[str, ...]] = (),
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
        model: Model folder; a bare .onnx with --preparation; or - for vectors that are in the
            data already.
        data: Data set in any form: a folder, a table, an archive, a .bin pack, IJB.
        baseline: Another model to measure on the same images and to compare with; as often as you
            like.
        pairs: Pairs to verify, instead of those that the data list: a CSV of a, b, same, perhaps
            fold, and columns to group by; or a .txt as LFW's.
        group_by: Column to group pairs by besides domain and age, perhaps with bins, as in
            age_gap:5,15 or age:1,2; as often as you like. Gaps of age are cut at 5 and 15 years.
        out: Folder for results.json, results.csv and report.html; by default one named like the
            data, in "evaluation" next to the model.
        preparation: JSON file of height, width, resize, colour, mean, std and flip, for a bare
            .onnx: how an image is prepared.
        cache: Keep embeddings for the next time, in the user's cache folder.
        seed: Seed of the choice of galleries and of the intervals.
        other_identities: Identities are others than in training, though they may be called alike
            (0, 1, …); only those of images that were trained on are left out.
        json: Print what is in results.json, instead of the table.
        naming: Names of the columns and folders of a table.
    """
    manifest = open_to_measure(data, pairs=pairs is not None, **naming.options)
    folder = out or default_folder(model, manifest.name, pairs)
    with progress("embedding") as move:
        result = evaluate(
            model,
            manifest,
            baselines=baseline,
            pairs=pairs,
            group_by=group_by,
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
    left_out("images that could not be read and were not measured", result.about.failures)
    left_out("files that are not images", result.about.ignored)
    show(result)
    print(f"results: {folder / 'results.json'}, results.csv")
    print(f"report: {result.report}" if result.report else NO_REPORT)
    return 0


def show(result: EvaluationResult) -> None:
    """Print what was measured on what, the table, and what it does not have."""
    about, count = result.about, result.identity_count
    split = "" if about.rows == ALL_ROWS else f", {about.rows}"
    identities = "" if count is None else f"{count} identities of "
    kind = "images" if result.manifest.has_images else "vectors"
    of_sets = result.templates.template_of_row is not None
    pooled = f", pooled to {counted(len(result.templates.names), 'template')}" if of_sets else ""
    print(
        f"{' and '.join(result.models)} on {len(result.manifest)} {kind} of "
        f"{identities}{about.data}{split}{pooled}"
    )
    if len(about.undeclared) < len(result.models) and count is not None:
        made = "a model" if len(result.models) > 1 else "the model"
        print(f"{about.left_out} identities left out because {made} was made with them")
    if about.trained_images is not None:
        print(trained_on(about.trained_images, measured=count is None))
    for name in about.undeclared:
        print(f"warning: {name} does not say what it was made with; it may know these identities")
    if about.used_before:
        print(f"warning: these identities were {about.used_before}")
    for note in about.notes:
        print(f"warning: {note}")
    if about.reused:
        total = len(result.manifest) * len(result.models)
        print(f"{about.reused} of {total} embeddings were in the cache")
    if result.sentence:
        print(result.sentence)
    Console().print(table(result))
    _show_rest(result)


def _show_rest(result: EvaluationResult) -> None:
    """Print what no table has: the estimates, and what could not be measured and why."""
    if result.baselines and not differences(result):
        print("the difference between the models is not resolved: too few pairs")
    for name, one in result.models.items():
        if one.estimate is not None:
            print(f"{name}: {one.estimate}" if result.baselines else one.estimate)
    for protocol in result.protocols:
        if not protocol.measured:
            print(f"not measured: {protocol.name}: {protocol.why}")
    gaps = [] if result.by_age_gap is None else [result.by_age_gap]
    for breakdown in (*result.breakdowns, *gaps):
        for group, why in breakdown.unmeasured.items():
            print(f"not measured: {breakdown.column} {group}: {why}")
    unresolved = [m.name for m in result.metrics if not m.rate.resolved and not m.column]
    if unresolved:
        print(f"too few pairs or queries for: {', '.join(unresolved)}")


def table(result: EvaluationResult) -> Table:
    """Return a row a number that is resolved, a section a protocol, a column a model."""
    models = list(result.models.values())
    several = len(models) > 1
    columns = [one.model for one in models] if several else ["value", "95 % interval"]
    shown = Table("metric", *columns)
    of_models = [{(m.column, m.group, m.name): m for m in one.metrics} for one in models]
    protocol = ""
    for key in dict.fromkeys(key for one in of_models for key in one):
        metrics = [one.get(key) for one in of_models]
        resolved = [m for m in metrics if m is not None and m.rate.resolved]
        if not resolved:
            continue
        if protocol not in ("", resolved[0].protocol):
            shown.add_section()
        protocol = resolved[0].protocol
        cells = ["" if m is None or not m.rate.resolved else value(m) for m in metrics]
        if several:
            cells = [
                f"{cell} ({interval(m.rate)})" if m is not None and cell else ""
                for cell, m in zip(cells, metrics, strict=True)
            ]
        else:
            cells.append(interval(resolved[0].rate))
        column, group, name = key
        shown.add_row(f"{column} {group}: {name}" if column else name, *cells)
    if several:
        shown.add_section()
        for name, cells in differences(result):
            shown.add_row(name, "", *cells)
    return shown


def differences(result: EvaluationResult) -> list[tuple[str, list[str]]]:
    """Return what the other models have more than the first on the same pairs, a cell a model."""
    rows: dict[str, list[str]] = {}
    for other in result.baselines:
        comparison = other.comparison
        for name, one in (
            ("accuracy", comparison.accuracy),
            (f"TAR at FAR {comparison.far:g}", comparison.tar),
        ):
            if one is not None and one.difference.resolved:
                gap = one.difference
                rows.setdefault(f"{name}, more than {result.model}", []).append(
                    f"{100 * gap:+.1f} ({100 * gap.low:+.1f} – {100 * gap.high:+.1f}) points"
                )
    return list(rows.items())


def value(metric: Metric) -> str:
    """Return a number in per cent, with its deviation over folds."""
    spread = "" if metric.std is None else f" ± {percent(metric.std)}"
    return f"{percent(metric.rate)}{spread}"


def interval(rate: Rate) -> str:
    """Return both ends of the interval, in per cent."""
    return f"{percent(rate.low)} – {percent(rate.high)}"


def percent(rate: float) -> str:
    """Return a rate in per cent, with more digits where it is close to none or to all."""
    if rate in (0.0, 1.0):
        return f"{rate:.0%}"
    if rate < 0.01:
        return f"{np.format_float_positional(100 * rate, 2, fractional=False, trim='-')}%"
    return f"{rate:.1%}" if rate < 0.99 else f"{rate:.2%}" if rate < 0.999 else f"{rate:.4%}"
