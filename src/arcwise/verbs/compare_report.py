"""The page about a comparison of losses."""

from __future__ import annotations

from pathlib import Path

from arcwise.report import Facts, Number, Numbers, Plot, Section, Table, plots, write_report
from arcwise.report.sections import Cell, RateDifference
from arcwise.verbs.compare_result import METRICS, LossComparison


def write_compare_report(path: Path, result: LossComparison) -> Path:
    """Write which loss is best, how sure that is, and what every loss reached and cost."""
    table, deciding = result.table, result.table.deciding
    trained, chose, _ = result.split
    name = METRICS[deciding.metric] + (f" at FAR {table.far:g}" if deciding is table.tar else "")
    best = deciding.mean[result.choice]
    ranked = {one: deciding.mean[one] for one in ranking(result)}
    sections: list[Section] = [
        Numbers(
            f"The choice ({result.certainty})",
            [Number(result.losses[result.choice].variant.label, best, name)],
            f"It has {result.reason}.",
        ),
        Plot(name, plots.comparison(ranked, name),
             f"Mean over {table.seeds} seeds; the 95 % interval covers {table.interval_covers}."),
        losses(result),
        seeds(result),
    ]  # fmt: skip
    if result.tuned:
        sections.append(tuned(result))
    items: list[tuple[str, Cell]] = [
        ("identities trained on", trained),
        *([("identities that chose margins and scales", chose)] if chose else []),
        ("identities measured", table.identities),
        ("images measured", table.images),
        ("steps of each training", result.plan.steps),
        *((f"trained as {one.variant.label}", one.described) for one in result.losses.values()),
        *((f"{one.variant.label} is left out", one.failed)
          for one in result.losses.values() if one.failed),
    ]  # fmt: skip
    sections.append(Facts("What was compared", items, "The whole of it is in results.json."))
    summary = (
        f"{len(result.losses)} losses, {table.seeds} seeds each, on the same identities of "
        f"{result.data}."
    )
    return write_report(path, "Comparison of losses", sections, summary)


def ranking(result: LossComparison) -> list[str]:
    """Return the losses, the best one first."""
    deciding = result.table.deciding
    return sorted(deciding.mean, key=lambda one: -deciding.mean[one])


def losses(result: LossComparison) -> Table:
    """One row a loss, the best one first."""
    table, deciding = result.table, result.table.deciding
    rows: list[list[Cell]] = []
    for name in ranking(result):
        one, gap = result.losses[name], deciding.to_baseline.get(name)
        rows.append(
            [
                one.variant.label,
                *(metric.mean[name] for metric in (table.tar, table.recall_at_1, table.eer)),
                "baseline" if gap is None else RateDifference(gap.difference),
                "" if gap is None else f"{gap.corrected_p:.2g}",
                f"{one.seconds:.0f} s" if one.seconds else "",
                f"{one.memory / 1e6:.0f} MB" if one.memory else "",
            ]
        )
    header = ["loss", f"TAR at FAR {table.far:g}", "recall@1", "EER",
              f"difference to {table.baseline}, points", "p, corrected", "time",
              "peak memory"]  # fmt: skip
    note = (
        f"The difference is in {METRICS[deciding.metric]}. Its p-value is corrected by Holm's "
        f"method for {len(table.names) - 1} comparisons. Time and memory are of one training."
    )
    return Table("Losses", header, rows, note)


def seeds(result: LossComparison) -> Table:
    """One row a loss, one column a seed."""
    deciding = result.table.deciding
    rows: list[list[Cell]] = [
        [result.losses[name].variant.label, *(f"{one:.3f}" for one in values)]
        for name, values in deciding.values.items()
    ]
    header = ["loss", *(f"seed {seed}" for seed in range(result.table.seeds))]
    return Table(f"{METRICS[deciding.metric]} of every training", header, rows)


def tuned(result: LossComparison) -> Table:
    """One row a variant."""
    rows: list[list[Cell]] = [
        [one.variant.label, f"{one.tar:.3f}", "chosen" if one.chosen else ""]
        for one in result.tuned
    ]
    note = "On other identities than the losses are measured on."
    return Table("Margins and scales", ["loss", "TAR", ""], rows, note)
