"""The plots: every model a curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from arcwise import evaluation
from arcwise.evaluation import Angles
from arcwise.report import Plot, Section, plots
from arcwise.verbs.evaluate_report.line import line

if TYPE_CHECKING:
    from arcwise.protocols.result import Evaluation

MOST = 12_000
"""Items among which every angle is measured; more are sampled."""


def curves(result: Evaluation) -> list[Section]:
    """Return verification, the distributions behind it, and identification."""
    models = result.models
    same = {name: one.verification for name, one in models.items()}
    lines = {name: (at.name, at.place) for name, one in models.items() if (at := line(one))}
    found: list[Section] = [
        Plot("Same or not (ROC)", plots.roc(same)),
        Plot("Both errors (DET)", plots.det(same)),
        Plot("Similarities of pairs", plots.scores(same, lines)),
        Plot("Angles of pairs", plots.angles({name: _angles(one) for name, one in models.items()})),
    ]
    if closed := {name: one.closed for name, one in models.items() if one.closed}:
        found.append(Plot("Finding the identity (CMC)", plots.cmc(closed)))
    if open_ := {name: one.open for name, one in models.items() if one.open}:
        found.append(Plot("Finding it among strangers", plots.detection(open_)))
    return found


def _angles(result: Evaluation) -> Angles:
    """Return the angles of the listed pairs, or of all pairs (of a sample of the items)."""
    if result.pairs is not None:
        return evaluation.angles(result.pairs.scores, result.pairs.same)
    rows = sample(len(result.items.ids), MOST, result.about.seed)
    return evaluation.angles_from_embeddings(result.items.vectors[rows], result.items.ids[rows])


def sample(count: int, most: int, seed: int) -> np.ndarray:
    """Return at most so many of (count,) places, ascending, drawn by the seed."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))
