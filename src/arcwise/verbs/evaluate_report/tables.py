"""The numbers: the few a reader came for, all of them, and one model against another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arcwise.report import Difference, Number, Numbers, Section, Table
from arcwise.report.sections import Cell
from arcwise.verbs.protocols.plan import THRESHOLDS

if TYPE_CHECKING:
    from arcwise.evaluation.comparison import Comparison
    from arcwise.verbs.evaluated import Evaluation, Measure

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
    note = f"Left out, because there are too few cases: {', '.join(thin)}." if thin else ""
    return Table("Measures", header, rows, note)


def everywhere(result: Evaluation) -> list[Measure]:
    """Return what was measured on all data, but for the model's own thresholds."""
    return [m for m in result.measures if not m.column and m.protocol != THRESHOLDS]


def differences(result: Evaluation) -> list[Section]:
    """Return the other models against the first, on the same pairs."""
    rows: list[list[Cell]] = []
    tests: list[str] = []
    for other in result.beside:
        found: Comparison | None = other.comparison
        if found is None:
            continue
        name = other.evaluation.model
        for what, one in (("accuracy", found.accuracy), (f"TAR at FAR {found.far:g}", found.tar)):
            if one is not None and one.difference.resolved:
                gain = Difference(one.difference)
                rows.append([f"{what}: {name}", one.second, one.first, gain])
        if found.mcnemar is not None:
            tests.append(f"McNemar's test of the accuracy of {name}: {found.mcnemar}.")
    if not rows:
        return []
    header = ["measure", "this model", result.model, "difference in points"]
    note = (
        "Both on the same pairs, and the interval of the difference draws the same identities for "
        "both. One that holds 0 does not tell which is better."
    )
    return [Table(f"Against {result.model}", header, rows, " ".join([note, *tests]))]
