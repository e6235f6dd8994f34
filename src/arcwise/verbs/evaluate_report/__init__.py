"""The page about an evaluation: what came out, how sure that is, and what it looks like."""

from __future__ import annotations

from pathlib import Path

from arcwise.protocols.result import EvaluationResult
from arcwise.report import Section, write_report
from arcwise.verbs.evaluate_report.curves import calibration, curves
from arcwise.verbs.evaluate_report.examples import hardest, searches
from arcwise.verbs.evaluate_report.tables import (
    definitions,
    differences,
    groups,
    headline,
    measured_on,
    metrics_table,
    protocols,
)

__all__ = ["hardest", "measured_on", "write_evaluation_report"]


def write_evaluation_report(path: Path, result: EvaluationResult) -> Path:
    """Write the numbers, what they were measured on, the curves, and the errors as images."""
    sections: list[Section] = [
        headline(result),
        measured_on(result),
        metrics_table(result),
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
    count = result.identity_count
    identities = "" if count is None else f" of {count:,} identities"
    rows = f"{len(result.manifest):,} {'images' if result.manifest.has_images else 'vectors'}"
    measured = f"Measured on {rows}{identities}."
    summary = f"{result.sentence} {measured} {_seen_before(result)}"
    return write_report(path, f"{models} on {result.about.data}", sections, summary.strip())


def _seen_before(result: EvaluationResult) -> str:
    """Return whether the model knew these identities, in a sentence."""
    if result.identity_count is None:
        return "Whose these are is not known: people a model was made with may be among them."
    if result.about.used_before:
        return f"These identities were {result.about.used_before}."
    if result.path is None:
        return "What made the vectors is not known."
    if result.baselines:
        return "None of the models was made with any of them."
    return "The model was not made with any of them."
