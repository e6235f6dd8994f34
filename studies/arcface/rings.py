"""Embeddings of two dimensions, on their circles."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from arcwise.report import drawing

from . import page
from .circle import points
from .records import Run


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
    for label, (line, dots) in enumerate(zip(run["lines"], run["dots"], strict=True)):
        x, y = points(np.radians(np.array([line])))[0]
        colour = page.COLOURS[label]
        plot.plot([0, 0.82 * x], [0, 0.82 * y], color=colour, linewidth=1.4)
        around = points(np.radians(np.array(dots))) * rng.uniform(0.9, 1.1, (len(dots), 1))
        plot.plot(*around.T, ".", color=colour, markersize=2.2, alpha=0.7, rasterized=True)
        plot.annotate(f"{label + 1}", (1.28 * x, 1.28 * y), ha="center", va="center", fontsize=8)
    plot.set(xlim=(-1.4, 1.4), ylim=(-1.4, 1.4), aspect="equal")
    plot.set_axis_off()
