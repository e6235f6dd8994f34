"""Embeddings of two dimensions, on their circles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from arcwise.report import drawing

from . import page
from .circle import points
from .records import Run

CLOSE = 14.0
"""Degrees between two numbers that would touch."""


def rings(losses: Mapping[str, Run]) -> Figure:
    """A panel a loss."""
    with drawing.look():
        figure, grid = page.panels(len(losses), 4, 1.85, 2.05)
        for plot, (name, run) in zip(grid, losses.items(), strict=True):
            ring(plot, run)
            plot.set_title(name)
    return figure


def ring(plot: Axes, run: Run) -> None:
    rng = np.random.default_rng(0)
    heights = numbers(run["lines"])
    for label, (line, dots) in enumerate(zip(run["lines"], run["dots"], strict=True)):
        x, y = points(np.radians(np.array([line])))[0]
        colour = page.COLOURS[label]
        plot.plot([0, 0.82 * x], [0, 0.82 * y], color=colour, linewidth=1.4)
        around = points(np.radians(np.array(dots))) * rng.uniform(0.9, 1.1, (len(dots), 1))
        plot.plot(*around.T, ".", color=colour, markersize=2.2, alpha=0.7, rasterized=True)
        place = (heights[label] * x, heights[label] * y)
        plot.annotate(f"{label + 1}", place, ha="center", va="center", fontsize=8)
    plot.set(xlim=(-1.7, 1.7), ylim=(-1.7, 1.7), aspect="equal")
    plot.set_axis_off()


def numbers(degrees: Sequence[float]) -> dict[int, float]:
    """How far out each line's number stands: farther where the one before is too close."""
    heights: dict[int, float] = {}
    before = None
    for label in np.argsort(degrees).tolist():
        close = before is not None and degrees[label] - degrees[before] < CLOSE
        heights[label] = heights[before] + 0.22 if close else 1.26
        before = label
    return heights
