"""The page about an evaluation: what came out, how sure that is, and what it looks like."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from arcwise.report import Section, write_report
from arcwise.verbs.evaluate_report.calibration import calibration
from arcwise.verbs.evaluate_report.curves import curves
from arcwise.verbs.evaluate_report.groups import groups
from arcwise.verbs.evaluate_report.hardest import hardest
from arcwise.verbs.evaluate_report.measured import definitions, measured_on, protocols, rows_are
from arcwise.verbs.evaluate_report.strips import searches
from arcwise.verbs.evaluate_report.tables import differences, headline, measures

if TYPE_CHECKING:
    from arcwise.protocols.result import Evaluation

__all__ = ["hardest", "measured_on", "write_evaluation_report"]


def write_evaluation_report(path: Path, result: Evaluation) -> Path:
    """Write the numbers, what they were measured on, the curves, and the errors as pictures."""
    sections: list[Section] = [
        headline(result),
        measured_on(result),
        measures(result),
        *differences(result),
        *curves(result),
        *calibration(result),
        *groups(result),
        *searches(result),
        *hardest(result),
        protocols(result),
        definitions(result),
    ]
    models = " and ".join(result.models)
    people = "" if result.people is None else f" of {result.people:,} identities"
    measured = f"Measured on {len(result.manifest):,} {rows_are(result)}{people}."
    summary = f"{result.sentence} {measured} {_seen_before(result)}"
    return write_report(path, f"{models} on {result.about.data}", sections, summary.strip())


def _seen_before(result: Evaluation) -> str:
    """Return whether the model knew these identities, in a sentence."""
    if result.people is None:
        return "Whose these are is not known: people a model was made with may be among them."
    if result.about.used:
        return f"These identities were {result.about.used}."
    if result.path is None:
        return "What made the vectors is not known."
    if result.beside:
        return "None of the models was made with any of them."
    return "The model was not made with any of them."
