"""What the models promised, and what it comes to on these data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from arcwise import evaluation
from arcwise.bundle import read_bundle
from arcwise.evaluation import Rate, Reliability, SearchThreshold, Threshold
from arcwise.evaluation.thresholds import resolved
from arcwise.protocols.drawn import draw
from arcwise.protocols.result import sides
from arcwise.report import Plot, Section, Table, plots
from arcwise.report.sections import Cell

if TYPE_CHECKING:
    from arcwise.protocols.result import Evaluation

_PAIRS = 2**18
"""Pairs that probabilities are compared with, if none are listed."""


def calibration(result: Evaluation) -> list[Section]:
    """Return thresholds and probabilities that the models came with, tried on these data."""
    found = [*pairwise(result), *searching(result), *probabilities(result)]
    return sorted(found, key=lambda one: isinstance(one, Plot))  # plots stand side by side


def pairwise(result: Evaluation) -> list[Section]:
    """Return the thresholds for two pictures."""
    rows: list[list[Cell]] = []
    dots: dict[str, list[tuple[float, Rate]]] = {}
    for name, one in result.models.items():
        for here in one.thresholds:
            asked = here.threshold
            rows.append([_of(result, name, asked.far), _place(asked), here.far, here.tar])
            if resolved(asked.far, one.verification.impostors):
                dots.setdefault(name, []).append((asked.far, here.far))
    note = (
        "Each was set on other identities, from which its interval comes; the FAR here tells "
        "whether it keeps what it promises."
    )
    header = ["made for a FAR of", "similarity at least", "FAR here", "TAR here"]
    return _kept("The model's own thresholds", header, rows, note, dots, "FAR")


def searching(result: Evaluation) -> list[Section]:
    """Return the thresholds for searches."""
    rows: list[list[Cell]] = []
    dots: dict[str, list[tuple[float, Rate]]] = {}
    for name, one in result.models.items():
        for here in one.search_thresholds:
            asked = here.threshold
            each = "all images" if asked.templates is None else f"{asked.templates} templates"
            made = f"{_of(result, name, asked.fpir)}, {asked.gallery:,} identities, {each} each"
            rows.append([made, _place(asked), here.fpir, here.dir])
            dots.setdefault(name, []).append((asked.fpir, here.fpir))
    note = (
        "Each was set on other identities, for a gallery of so many identities and templates; in a "
        "smaller one fewer strangers are answered than it promises."
    )
    header = ["made for an FPIR of", "similarity at least", "FPIR here", "DIR here"]
    return _kept("The model's own search thresholds", header, rows, note, dots, "FPIR")


def probabilities(result: Evaluation) -> list[Section]:
    """Return whether the probabilities that the models state come true."""
    found = {
        name: one for name, of in result.models.items() if (one := _reliability(of)) is not None
    }
    if not found:
        return []
    errors = ", ".join(f"{name} {one.error:.1%}" for name, one in found.items())
    note = f"Mean distance from what was stated, at the prior it was stated for: {errors}."
    svg = plots.reliability({name: one.bins for name, one in found.items()})
    return [Plot("Stated probabilities", svg, note)]


def _reliability(result: Evaluation) -> Reliability | None:
    """Return how a model's probabilities do, on the listed pairs or on drawn ones."""
    if result.path is None or not result.path.is_dir():
        return None
    scale = read_bundle(result.path).probability
    if scale is None:
        return None
    items, pairs = result.items, result.pairs
    if pairs is None:
        drawn = draw(items.ids, result.about.seed, _PAIRS)
        a, b, same = drawn.a, drawn.b, drawn.same
        scores = evaluation.pair_similarity(items.vectors, a, b)
    else:
        a, b, same, scores = pairs.a, pairs.b, pairs.same, pairs.scores
    ids_a, ids_b = sides(items.identities, a, b)
    stated = scale.probability(scores)
    return evaluation.reliability(
        stated, same, scale.prior, ids_a=ids_a, ids_b=ids_b, seed=result.about.seed
    )


def _kept(
    title: str,
    header: list[str],
    rows: list[list[Cell]],
    note: str,
    dots: Mapping[str, list[tuple[float, Rate]]],
    measure: str,
) -> list[Section]:
    """Return a table of thresholds, and a plot of what they promised and what they keep."""
    if not rows:
        return []
    sections: list[Section] = [Table(title, header, rows, note)]
    if dots:
        sections.append(Plot(f"{measure}, promised and here", plots.thresholds(dots, measure)))
    return sections


def _of(result: Evaluation, name: str, rate: float) -> str:
    """Return the rate that was asked for; whose it is, where there are several."""
    return f"{name}: {rate:.6g}" if result.beside else f"{rate:.6g}"


def _place(asked: Threshold | SearchThreshold) -> str:
    if (asked.low, asked.high) == (-1.0, 1.0):
        return f"{asked.threshold:.3f} (interval not known)"
    return f"{asked.threshold:.3f} ({asked.low:.3f} – {asked.high:.3f})"
