"""Histograms of angles, a panel a loss, all seeds together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from arcwise.report import drawing

from . import page
from .claims import Seeds

MOMENTS = ("start", "middle", "end")


def falling(theta: Sequence[Sequence[int]]) -> bool:
    middles = np.arange(len(theta[0])) + 0.5
    start, middle, end = (np.average(middles, weights=counts) for counts in theta)
    return bool(start > middle > end)


def training(seeds: Seeds) -> Figure:
    names = [name for name, run in next(iter(seeds.values())).items() if run["theta"]]
    with drawing.look():
        figure, grid = page.panels(len(names), 4, 1.9, 1.7)
        for plot, name in zip(grid, names, strict=True):
            found = np.sum([losses[name]["theta"] for losses in seeds.values()], axis=0)
            for index, (counts, moment) in enumerate(zip(found, MOMENTS, strict=True)):
                histogram(plot, counts, index, moment, 120)
            plot.set_title(name)
        finish(figure, grid, 4, "angle to the own centre, degrees")
    return figure


def paired(seeds: Seeds, names: Sequence[str], columns: int, side: float) -> Figure:
    with drawing.look():
        figure, grid = page.panels(len(names), columns, side, 0.55 * side + 0.7)
        for plot, name in zip(grid, names, strict=True):
            for index, (kind, words) in enumerate((("mated", "same"), ("impostor", "different"))):
                counts = np.sum([losses[name][kind] for losses in seeds.values()], axis=0)
                histogram(plot, counts, index, f"{words} product", 150)
            plot.set_title(name)
        finish(figure, grid, columns, "angle between two pictures, degrees")
    return figure


def histogram(plot: Axes, counts: np.ndarray, index: int, name: str, last: int) -> None:
    """Two degrees a bin."""
    share = counts.reshape(-1, 2).sum(1) / counts.sum()
    edges = np.arange(0.0, 181.0, 2.0)
    colour = page.COLOURS[index]
    plot.stairs(share, edges, fill=True, color=colour, alpha=0.25)
    style = ("-", "--", "-.")[index]
    plot.stairs(share, edges, color=colour, linewidth=1.2, linestyle=style, label=name)
    plot.set_xlim(0, last)
    plot.set_xticks(range(0, last, 30))
    plot.set_yticks([])


def finish(figure: Figure, grid: Sequence[Axes], columns: int, label: str) -> None:
    """One legend for all panels, and numbers under the last of each column."""
    for plot in grid[:-columns]:
        plot.tick_params(labelbottom=False)
    handles, names = grid[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=len(names))
    figure.supxlabel(label, fontsize=10)
