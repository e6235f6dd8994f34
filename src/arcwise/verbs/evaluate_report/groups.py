"""How it goes in each group of pairs: by domain, by age, by any column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arcwise.evaluation import Rate
from arcwise.report import Plot, Section, Table, plots
from arcwise.report.sections import Cell

if TYPE_CHECKING:
    from arcwise.protocols.result import Evaluation

MOST = 30
"""Groups in a plot."""


def groups(result: Evaluation) -> list[Section]:
    """Return a plot and a table for every column that was broken down by."""
    return [
        section
        for breakdown in result.breakdowns
        for section in _column(result, breakdown.column, breakdown.definition)
    ]


def _column(result: Evaluation, column: str, definition: str) -> list[Section]:
    models = result.models
    found = {
        (name, m.group, m.name): m
        for name, one in models.items()
        for m in one.measures
        if m.column == column
    }
    names = list(dict.fromkeys(group for _, group, _ in found))
    kinds = list(dict.fromkeys(kind for _, _, kind in found))
    bare = {
        group: why
        for one in result.breakdowns
        if one.column == column
        for group, why in one.unmeasured.items()
    }
    if not names and not bare:
        return []
    rows: list[list[Cell]] = []
    for group in names:
        measured = [found.get((model, group, kind)) for kind in kinds for model in models]
        counts = next(one.counts for one in measured if one is not None)
        rates = ["" if one is None else one.rate for one in measured]
        rows.append([group, *rates, *counts.values()])
    header = [f"{kind}, {model}" if len(models) > 1 else kind for kind in kinds for model in models]
    sections: list[Section] = []
    if kinds:
        dots: dict[str, dict[str, Rate | None]] = {
            group: {
                model: one.rate if (one := found.get((model, group, kinds[0]))) else None
                for model in models
            }
            for group in [*names, *bare][:MOST]
        }
        sections.append(Plot(f"By {column}", plots.groups(dots, kinds[0]), f"{definition}."))
    others = "".join(f" Nothing to measure in {group}: {why}." for group, why in bare.items())
    header = [column, *header, "mated pairs", "impostor pairs"]
    table = Table(f"Groups of {column}", header, rows, f"{definition}.{others}")
    return [*sections, table]
