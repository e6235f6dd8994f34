"""The page about an evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from arcwise import evaluation
from arcwise.data.manifest import Manifest
from arcwise.images import decode
from arcwise.report import (
    Facts,
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

if TYPE_CHECKING:
    from arcwise.verbs.evaluate import Evaluation

MOST = 4000
"""Pictures among which the hardest pairs are looked for."""


def write_evaluation_report(path: Path, result: Evaluation) -> Path:
    """Write what was measured, the curves, and the hardest pairs as pictures."""
    name = result.model
    rates = result.rates()
    sections: list[Section] = [
        Numbers("Results", [Number(label, rate) for label, rate in rates[:3]]),
        facts(result),
        Table("Measures", ["measure", "value, 95 % interval"], [list(row) for row in rates]),
        Plot("Same or not", plots.roc({name: result.verification})),
        Plot(
            "Angles between pictures",
            plots.angles(
                {name: evaluation.angles_from_embeddings(result.vectors, result.manifest.labels)}
            ),
        ),
    ]
    if result.closed:
        sections.append(Plot("Finding the identity", plots.cmc({name: result.closed})))
    if result.open:
        sections.append(Plot("Finding it among strangers", plots.detection({name: result.open})))
    sections += hardest(result.manifest, result.vectors)
    title = f"{name} on {result.data}"
    summary = (
        f"Measured on {len(result.manifest.classes):,} identities that the model was not trained "
        f"on, {len(result.manifest):,} pictures."
    )
    return write_report(path, title, sections, summary)


def facts(result: Evaluation) -> Facts:
    """What exactly was measured, on what."""
    return Facts(
        "Measured on",
        [
            ("data", result.data),
            ("pictures", len(result.manifest)),
            ("identities", len(result.manifest.classes)),
            ("identities left out, because the model was made with them", result.left_out),
            ("used before", result.used or "never"),
            ("pictures that could not be read", len(result.failures)),
            ("gallery", result.gallery),
        ],
    )


def hardest(manifest: Manifest, vectors: np.ndarray, count: int = 6) -> list[Section]:
    """The impostor pairs that are closest and the mated pairs that are farthest apart."""
    rows = np.arange(len(vectors))
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST, replace=False))
    labels = manifest.labels[rows]
    similarity = vectors[rows] @ vectors[rows].T
    a, b = np.triu_indices(len(rows), 1)
    scores, same = similarity[a, b], labels[a] == labels[b]
    found: list[Section] = []
    for title, wanted, sign in (
        ("Different identities that look alike", ~same, -1),
        ("Pictures of one identity that do not", same, 1),
    ):
        candidates = np.flatnonzero(wanted)
        order = candidates[np.argsort(sign * scores[candidates], kind="stable")][:count]
        strips = [
            Strip(
                [picture(manifest, int(rows[side[pair]])) for side in (a, b)],
                f"similarity {scores[pair]:.3f}",
            )
            for pair in order
        ]
        if strips:
            found.append(Pictures(title, strips))
    return found


def picture(manifest: Manifest, row: int) -> Picture:
    """One row's picture with its identity below."""
    image = decode(manifest.read(row), manifest.images[row])
    return Picture(image, manifest.identities[row])
