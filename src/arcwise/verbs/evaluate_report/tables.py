"""The numbers: the few a reader came for, all of them, and one model against another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arcwise.protocols.plan import THRESHOLDS
from arcwise.report import Difference, Number, Numbers, Section, Table
from arcwise.report.sections import Cell

if TYPE_CHECKING:
    from arcwise.protocols.result import Evaluation, Measure

HEADLINES = 4


def headline(result: Evaluation) -> Numbers:
    """Return the first resolved number of every protocol."""
    first: dict[str, Measure] = {}
    for measure in everywhere(result):
        if measure.rate.resolved:
            first.setdefault(measure.protocol, measure)
    items = [
        Number(measure.name, measure.rate, measure.protocol)
        for measure in list(first.values())[:HEADLINES]
    ]
    return Numbers("Results" if not result.beside else f"Results of {result.model}", items)


def measures(result: Evaluation) -> Table:
    """Return one row a measure and one column a model, without what is not resolved."""
    models = result.models
    found: dict[str, dict[str, Cell]] = {}
    thin: dict[str, None] = {}
    for name, one in models.items():
        for measure in everywhere(one):
            if measure.rate.resolved:
                found.setdefault(measure.name, {})[name] = measure.rate
            else:
                thin[measure.name] = None
    rows = [[what, *(row.get(name, "") for name in models)] for what, row in found.items()]
    header = ["measure", *(models if result.beside else ["value, 95 % interval"])]
    notes = [
        f"Standard deviation over the folds, {name}: {measure.std:.2%}."
        for name, one in models.items()
        for measure in everywhere(one)
        if measure.std is not None
    ]
    if thin:
        notes.append(f"Left out, because there are too few cases: {', '.join(thin)}.")
    return Table("Measures", header, rows, " ".join(notes))


def everywhere(result: Evaluation) -> list[Measure]:
    """Return what was measured on all data, but for the model's own thresholds."""
    return [m for m in result.measures if not m.column and m.protocol != THRESHOLDS]


def differences(result: Evaluation) -> list[Section]:
    """Return the other models against the first, on the same pairs."""
    rows: list[list[Cell]] = []
    notes: dict[str, None] = {}
    for other in result.beside:
        found, name = other.comparison, other.evaluation.model
        for what, one in (("accuracy", found.accuracy), (f"TAR at FAR {found.far:g}", found.tar)):
            if one is not None and one.difference.resolved:
                gain = Difference(one.difference)
                rows.append([f"{what}: {name}", one.second, one.first, gain])
        notes[f"On the same pairs: {other.pairs}."] = None
        if found.mcnemar is not None:
            notes[f"McNemar's test of the accuracy of {name}: {found.mcnemar}."] = None
    if not rows:
        return []
    header = ["measure", "this model", result.model, "difference in points"]
    notes[
        "The interval of a difference draws the same identities for both; one that holds 0 does "
        "not tell which is better."
    ] = None
    return [Table(f"Against {result.model}", header, rows, " ".join(notes))]
