"""Histograms of pairs of one identity and of two, by similarity and by angle."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from arcwise.evaluation import Angles, Verification
from arcwise.report.drawing import (
    COLOURS,
    INK,
    LINES,
    WIDTH,
    check_results,
    label,
    legend_above,
    look,
    percent,
    svg,
)

_BINS = 60


def scores(
    results: Mapping[str, Verification], thresholds: Mapping[str, tuple[str, float]] | None = None
) -> str:
    """Return histograms of the similarities of mated and of impostor pairs, with thresholds.

    Args:
        results: one panel each, over the same similarities.
        thresholds: for each result, a name and a similarity to draw as a line.
    """
    check_results(results)
    lines = thresholds or {}
    lowest = min(min(r.mated[0], r.impostor[-1]) for r in results.values())
    highest = max(max(r.mated[-1], r.impostor[0]) for r in results.values())
    room = max(1e-6, float(highest - lowest)) / 100
    edges = np.linspace(lowest - room, highest + room, _BINS + 1)
    with look():
        figure, grid = _panels(results)
        for plot, (name, result) in zip(grid, results.items(), strict=True):
            # Of very many impostors only the highest are kept; shares are of all of them.
            kinds = (
                np.histogram(result.impostor, edges)[0] / result.impostors,
                np.histogram(result.mated, edges)[0] / len(result.mated),
            )
            _two_kinds(plot, edges, *kinds)
            plot.set_xlim(edges[0], edges[-1])
            if name in lines:
                _line(plot, *lines[name])
        grid[-1].set_xlabel("similarity of two images")
        legend_above(figure)
        return svg(figure, f"Similarities of pairs under {', '.join(results)}")


def angles(results: Mapping[str, Angles]) -> str:
    """Return histograms of the angles of mated and of impostor pairs."""
    check_results(results)
    with look():
        figure, grid = _panels(results)
        for plot, result in zip(grid, results.values(), strict=True):
            kinds = (one / max(1, one.sum()) for one in (result.impostor, result.mated))
            _two_kinds(plot, np.degrees(result.edges), *kinds)
        last = max(_last(result) for result in results.values())
        grid[-1].set_xlim(0, min(180.0, math.ceil((last + 4) / 10) * 10))
        grid[-1].set_xlabel("angle between two images, degrees")
        legend_above(figure)
        return svg(figure, f"Angles between images under {', '.join(results)}")


def _panels(results: Mapping[str, object]) -> tuple[Figure, list[Axes]]:
    """Return a figure with one panel a model, over one another; named where there are several."""
    count = len(results)
    figure = Figure(figsize=(WIDTH, 0.8 + (2.3 if count == 1 else 1.7 * count)))
    figure.set_layout_engine("constrained")
    grid = list(figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0])
    for plot, name in zip(grid, results, strict=True):
        if count > 1:
            plot.set_title(label(name), loc="left")
    return figure, grid


def _two_kinds(plot: Axes, edges: np.ndarray, impostor: np.ndarray, mated: np.ndarray) -> None:
    """Draw the shares of impostor and of mated pairs."""
    for share, colour, kind, line in (
        (impostor, COLOURS[1], "different identities", "--"),
        (mated, COLOURS[0], "same identity", "-"),
    ):
        plot.stairs(share, edges, fill=True, color=colour, alpha=0.22)
        plot.stairs(share, edges, color=colour, linewidth=1.5, label=kind, linestyle=line)
    plot.set_ylabel("share of pairs")
    plot.yaxis.set_major_locator(MaxNLocator(4))
    plot.yaxis.set_major_formatter(FuncFormatter(percent))


def _line(plot: Axes, name: str, place: float) -> None:
    """Draw a similarity as a line if it is in sight, its name towards the middle."""
    plot.set_ylim(top=1.15 * plot.get_ylim()[1])
    low, high = plot.get_xlim()
    if low <= place <= high:
        left = place > (low + high) / 2
        plot.axvline(place, color=INK, linewidth=1.2, linestyle=LINES[1])
        plot.annotate(
            name, (place, 1), (-4 if left else 4, 0), xycoords=("data", "axes fraction"),
            textcoords="offset points", va="top", ha="right" if left else "left", fontsize=9,
        )  # fmt: skip


def _last(result: Angles) -> float:
    """Return the last angle, in degrees, that any pair has."""
    seen = np.flatnonzero(result.mated + result.impostor)
    return float(np.degrees(result.edges[seen[-1] + 1])) if len(seen) else 180.0
