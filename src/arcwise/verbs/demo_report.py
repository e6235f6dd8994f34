"""The page about the demo."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from arcwise import evaluation
from arcwise.gallery import Hit
from arcwise.report import (
    CaptionedImage,
    ImageStrips,
    Number,
    Numbers,
    Plot,
    Section,
    Strip,
    Table,
    plots,
    write_report,
)
from arcwise.training import metrics
from arcwise.verbs.demo_result import DemoResult
from arcwise.verbs.evaluate_report import hardest, measured_on
from arcwise.verbs.evaluate_report.examples import image_of_row

SEARCHES_SHOWN = 8
"""Searches shown of each kind."""


def write_demo_report(path: Path, result: DemoResult) -> Path:
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
    sections.append(Plot("Angles between images", plots.angles(angles)))
    sections += searches(result)
    sections += hardest(chosen)
    recognised = result.right[~result.stranger].mean()
    rejected = result.right[result.stranger].mean()
    trained_on = len(result.runs["arcface"].parts.train.classes)
    summary = (
        f"Trained on {trained_on} rendered products, measured on {len(chosen.manifest.classes)} "
        f"others. From one studio image each, {recognised:.0%} of shop images of enrolled products "
        f"were recognised and {rejected:.0%} of those of other products called unknown."
    )
    return write_report(path, "Arcwise demo", sections, summary)


def compared(result: DemoResult) -> Table:
    """Return one row a metric, one column a loss."""
    losses = list(result.evaluations)
    rows = [
        [name, *(rates[loss] for loss in losses)]
        for name, rates in result.compared().items()
        if len(rates) == len(losses)
    ]
    return Table("Two losses, one budget", ["metric", *losses], rows)


def headline(result: DemoResult) -> list[Number]:
    """Return search, verification, and identification by ArcFace."""
    rates = {name: of_losses["arcface"] for name, of_losses in result.compared().items()}
    begins = ("recall@1", "TAR", "rank 1")
    return [Number(name, rate) for name, rate in rates.items() if name.startswith(begins)]


def searches(result: DemoResult) -> list[Section]:
    """Return queries framed as they were answered, with their hits; the right product is framed."""
    manifest = result.evaluations["arcface"].manifest
    row_of = {image: row for row, image in enumerate(manifest.images)}

    def picture_of(hit: Hit, product: str) -> CaptionedImage:
        pixels = image_of_row(manifest, row_of[hit.metadata["image"]]).image
        frame = "right" if hit.identity == product else "neutral"
        return CaptionedImage(pixels, f"{hit.identity} {hit.similarity:.2f}", frame)

    sections: list[Section] = []
    for title, chosen in (
        ("Enrolled products", ~result.stranger),
        ("Products that are not enrolled", result.stranger),
        ("Wrong answers", ~result.right),
    ):
        rows = np.flatnonzero(chosen)
        strips = []
        for row in rows[np.linspace(0, len(rows) - 1, min(SEARCHES_SHOWN, len(rows))).astype(int)]:
            answer, product = result.searched.answers[row], result.queries.identities[row]
            identity = answer.decision.identity if answer.decision else None
            pixels = image_of_row(result.queries, int(row)).image
            frame = "right" if result.right[row] else "wrong"
            query = CaptionedImage(pixels, f"query: {product}", frame)
            hits = [picture_of(hit, product) for hit in answer.hits[:3]]
            strips.append(Strip([query, *hits], f"answer: {identity or 'unknown'}"))
        if strips:
            point = result.searched.point
            note = "" if point is None else f"Answered at {point.criterion}: {point}."
            sections.append(ImageStrips(title, strips, note))
    return sections
