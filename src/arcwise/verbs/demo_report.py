"""The page about the demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from arcwise import evaluation
from arcwise.report import (
    Number,
    Numbers,
    Picture,
    Pictures,
    Plot,
    Section,
    Strip,
    Table,
    plots,
    write_report,
)
from arcwise.training import metrics
from arcwise.verbs.evaluate_report import hardest, measured_on
from arcwise.verbs.evaluate_report.shown import picture

if TYPE_CHECKING:
    from arcwise.gallery import Hit
    from arcwise.verbs.demo import Demonstration

SHOWN = 8
"""Searches shown of each kind."""


def write_demo_report(path: Path, result: Demonstration) -> Path:
    """Write the comparison, the curves, the hardest pairs and the searches."""
    chosen = result.evaluations["arcface"]
    angles = {
        loss: evaluation.angles_from_embeddings(e.vectors, e.manifest.labels)
        for loss, e in result.evaluations.items()
    }
    sections: list[Section] = [
        Numbers("ArcFace on new products", headline(result)),
        compared(result),
        measured_on(chosen),
        Plot(
            "Same or not",
            plots.roc({loss: e.verification for loss, e in result.evaluations.items()}),
        ),
        Plot(
            "Finding a product among strangers",
            plots.detection({loss: e.open for loss, e in result.evaluations.items() if e.open}),
        ),
    ]
    for loss, run in result.runs.items():
        rows = metrics.read(run.folder / "metrics.jsonl")
        sections.append(Plot(f"Training with {loss}", plots.training(rows)))
    sections.append(Plot("Angles between pictures", plots.angles(angles)))
    sections += searches(result)
    sections += hardest(chosen)
    known = result.right[~result.stranger].mean()
    rejected = result.right[result.stranger].mean()
    summary = (
        f"Trained on {len(result.runs['arcface'].parts.train.classes)} rendered products, measured "
        f"on {len(chosen.manifest.classes)} others. From one studio picture each, {known:.0%} of "
        f"shop pictures of enrolled products were recognised and {rejected:.0%} of those of other "
        "products called unknown."
    )
    return write_report(path, "Arcwise demo", sections, summary)


def compared(result: Demonstration) -> Table:
    """One row a measure, one column a loss."""
    losses = list(result.evaluations)
    rows = [
        [name, *(rates[loss] for loss in losses)]
        for name, rates in result.compared().items()
        if len(rates) == len(losses)
    ]
    return Table("Two losses, one budget", ["measure", *losses], rows)


def headline(result: Demonstration) -> list[Number]:
    """Search, verification, and identification by ArcFace."""
    found = {name: rates["arcface"] for name, rates in result.compared().items()}
    wanted = ("recall@1", "TAR", "rank 1")
    return [Number(name, rate) for name, rate in found.items() if name.startswith(wanted)]


def searches(result: Demonstration) -> list[Section]:
    """Queries, framed as they were answered, with what was found; the right product framed too."""
    where = {}
    for row, image in enumerate(result.evaluations["arcface"].manifest.images):
        where[image] = row
    pictures = result.evaluations["arcface"].manifest

    def hit(found: Hit, truth: str) -> Picture:
        shown = picture(pictures, where[found.metadata["image"]])
        frame = "right" if found.identity == truth else "neutral"
        return Picture(shown.image, f"{found.identity} {found.similarity:.2f}", frame)

    sections: list[Section] = []
    for title, chosen in (
        ("Enrolled products", ~result.stranger),
        ("Products that are not enrolled", result.stranger),
        ("Wrong answers", ~result.right),
    ):
        rows = np.flatnonzero(chosen)
        strips = []
        for row in rows[np.linspace(0, len(rows) - 1, min(SHOWN, len(rows))).astype(int)]:
            answer, truth = result.found.answers[row], result.queries.identities[row]
            said = answer.decision.identity if answer.decision else None
            query = picture(result.queries, int(row))
            frame = "right" if result.right[row] else "wrong"
            asked = Picture(query.image, f"query: {truth}", frame)
            label = f"answer: {said or 'unknown'}"
            strips.append(Strip([asked, *(hit(h, truth) for h in answer.hits[:3])], label))
        if strips:
            point = result.found.point
            note = "" if point is None else f"Answered at {point.threshold:.4f}: {point}."
            sections.append(Pictures(title, strips, note))
    return sections
