"""The plots: every model a curve, and what its thresholds and probabilities promised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from arcwise import evaluation
from arcwise.bundle import read_bundle
from arcwise.evaluation import Angles, Rate, Reliability, SearchThreshold, Threshold
from arcwise.evaluation.thresholds import resolved
from arcwise.protocols.pair_set import drawn_pairs, identity_numbers
from arcwise.protocols.result import EvaluationResult
from arcwise.report import Plot, Section, Table, plots
from arcwise.report.sections import Cell

MAX_TEMPLATES = 12_000
"""Templates among which every angle is measured; more are sampled."""

_MAX_PAIRS = 2**18
"""Pairs that probabilities are compared with, if none are listed."""

SHOWN_FARS = (1e-2, 1e-1)
"""False-accept rates whose threshold is shown on the page, the usual one first."""


class ShownThreshold(NamedTuple):
    """The threshold that the page decides by.

    Attributes:
        similarity: accepted means at or above it.
        label: in a few words, for a plot.
        origin: where it comes from, for a sentence.
    """

    similarity: float
    label: str
    origin: str


def shown_threshold(result: EvaluationResult) -> ShownThreshold | None:
    """Return the model's own threshold, else one of these data; None where pairs are too few."""
    own = {one.threshold.far: one.threshold for one in result.thresholds if one.threshold.resolved}
    for far in SHOWN_FARS:
        if far in own:
            origin = f"the model's own threshold for a false-accept rate of {far:.0%}"
            return ShownThreshold(own[far].threshold, f"own, FAR {far:.0%}", origin)
    for far in SHOWN_FARS:
        if resolved(far, result.verification.impostors):
            origin = f"the threshold with a false-accept rate of {far:.0%} on these very data"
            similarity = result.verification.threshold_at(far)
            return ShownThreshold(similarity, f"FAR {far:.0%}", origin)
    return None


def curves(result: EvaluationResult) -> list[Section]:
    """Return verification, the distributions behind it, and identification."""
    models = result.models
    verification = {name: one.verification for name, one in models.items()}
    lines = {
        name: (threshold.label, threshold.similarity)
        for name, one in models.items()
        if (threshold := shown_threshold(one))
    }
    sections: list[Section] = [
        Plot("Same or not (ROC)", plots.roc(verification)),
        Plot("Both errors (DET)", plots.det(verification)),
        Plot("Similarities of pairs", plots.scores(verification, lines)),
        Plot("Angles of pairs", plots.angles({name: _angles(one) for name, one in models.items()})),
    ]
    if closed := {name: one.closed for name, one in models.items() if one.closed}:
        sections.append(Plot("Finding the identity (CMC)", plots.cmc(closed)))
    if open_ := {name: one.open for name, one in models.items() if one.open}:
        sections.append(Plot("Finding it among strangers", plots.detection(open_)))
    return sections


def _angles(result: EvaluationResult) -> Angles:
    """Return the angles of the listed pairs, or of all pairs (of a sample of the templates)."""
    if result.pairs.listed:
        return evaluation.angles(result.scores, result.pairs.same)
    ids = result.templates.ids
    rows = sample(len(ids), MAX_TEMPLATES, result.about.seed)
    return evaluation.angles_from_embeddings(result.template_vectors[rows], ids[rows])


def sample(count: int, most: int, seed: int) -> np.ndarray:
    """Return at most so many of (count,) places, ascending, drawn by the seed."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def calibration(result: EvaluationResult) -> list[Section]:
    """Return thresholds and probabilities that the models came with, tried on these data."""
    sections = [*_thresholds(result), *_search_thresholds(result), *_probabilities(result)]
    return sorted(sections, key=lambda one: isinstance(one, Plot))  # plots stand side by side


def _thresholds(result: EvaluationResult) -> list[Section]:
    rows: list[list[Cell]] = []
    dots: dict[str, list[tuple[float, Rate]]] = {}
    for name, one in result.models.items():
        for applied in one.thresholds:
            far = applied.threshold.far
            promised = _with_model(result, name, far)
            rows.append([promised, _interval(applied.threshold), applied.far, applied.tar])
            if resolved(far, one.verification.impostors):
                dots.setdefault(name, []).append((far, applied.far))
    note = (
        "Each was set on other identities, from which its interval comes; the FAR here tells "
        "whether it keeps what it promises."
    )
    header = ["made for a FAR of", "similarity at least", "FAR here", "TAR here"]
    return _table_and_plot("The model's own thresholds", header, rows, note, dots, "FAR")


def _search_thresholds(result: EvaluationResult) -> list[Section]:
    rows: list[list[Cell]] = []
    dots: dict[str, list[tuple[float, Rate]]] = {}
    for name, one in result.models.items():
        for applied in one.search_thresholds:
            threshold = applied.threshold
            fpir, count = threshold.fpir, threshold.templates
            each = "all images" if count is None else f"{count} template{'s'[: count > 1]}"
            made_for = f"{_with_model(result, name, fpir)}, {threshold.gallery:,} identities"
            rows.append(
                [f"{made_for}, {each} each", _interval(threshold), applied.fpir, applied.dir]
            )
            dots.setdefault(name, []).append((fpir, applied.fpir))
    note = (
        "Each was set on other identities, for a gallery of so many identities and templates; in a "
        "smaller one fewer strangers are answered than it promises."
    )
    header = ["made for an FPIR of", "similarity at least", "FPIR here", "DIR here"]
    return _table_and_plot("The model's own search thresholds", header, rows, note, dots, "FPIR")


def _probabilities(result: EvaluationResult) -> list[Section]:
    """Return whether the probabilities that the models state come true."""
    measured = {name: _reliability(one) for name, one in result.models.items()}
    reliable = {name: one for name, one in measured.items() if one is not None}
    if not reliable:
        return []
    errors = ", ".join(f"{name} {one.error:.1%}" for name, one in reliable.items())
    note = f"Mean distance from what was stated, at the prior it was stated for: {errors}."
    svg = plots.reliability({name: one.bins for name, one in reliable.items()})
    return [Plot("Stated probabilities", svg, note)]


def _reliability(result: EvaluationResult) -> Reliability | None:
    """Return how a model's probabilities do, on the listed pairs or on drawn ones."""
    if result.path is None or not result.path.is_dir():
        return None
    scale = read_bundle(result.path).probability
    if scale is None:
        return None
    pairs, scores = result.pairs, result.scores
    if not pairs.listed:
        pairs = drawn_pairs(result.templates.ids, result.about.seed, _MAX_PAIRS)
        scores = pairs.similarities(result.template_vectors)
    ids_a, ids_b = identity_numbers(result.templates.identities, pairs.a, pairs.b)
    stated = scale.probability(scores)
    return evaluation.reliability(
        stated, pairs.same, scale.prior, ids_a=ids_a, ids_b=ids_b, seed=result.about.seed
    )


def _table_and_plot(
    title: str,
    header: list[str],
    rows: list[list[Cell]],
    note: str,
    dots: Mapping[str, list[tuple[float, Rate]]],
    rate: str,
) -> list[Section]:
    """Return a table of thresholds, and a plot of what they promised and what they keep."""
    if not rows:
        return []
    sections: list[Section] = [Table(title, header, rows, note)]
    if dots:
        sections.append(Plot(f"{rate}, promised and here", plots.thresholds(dots, rate)))
    return sections


def _with_model(result: EvaluationResult, name: str, rate: float) -> str:
    """Return a promised rate, with the model's name where there are several."""
    return f"{name}: {rate:.6g}" if result.baselines else f"{rate:.6g}"


def _interval(threshold: Threshold | SearchThreshold) -> str:
    if (threshold.low, threshold.high) == (-1.0, 1.0):
        return f"{threshold.threshold:.3f} (interval not known)"
    return f"{threshold.threshold:.3f} ({threshold.low:.3f} – {threshold.high:.3f})"
