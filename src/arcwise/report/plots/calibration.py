"""Whether scores mean what was promised: thresholds for an error rate, and probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from arcwise.evaluation import Rate
from arcwise.report.drawing import COLOURS, INK, axes, label, legend_above, look, one_or_more, svg
from arcwise.report.plots.dots import MARKERS
from arcwise.report.plots.marks import decades, percent


def thresholds(found: Mapping[str, Sequence[tuple[float, Rate]]], measure: str) -> str:
    """Return the error rates that thresholds have here, over those that they were made for.

    Args:
        found: for each model the rates asked for and those measured, on the line if kept.
        measure: the error rate, for the axes.
    """
    one_or_more(found)
    known: list[float] = []
    with look():
        figure, plot = axes()
        for index, (name, rates) in enumerate(found.items()):
            sure = [(asked, rate) for asked, rate in rates if rate.resolved]
            _dots(plot, index, name, [asked for asked, _ in sure], [rate for _, rate in sure])
            known += [rate for pair in sure for rate in pair if rate > 0]
        ends = min(known, default=1e-3) / 3, min(1.0, 3 * max(known, default=0.3))
        plot.plot(ends, ends, color=INK, alpha=0.5, linewidth=1, label="as promised")
        plot.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
        for axis in (plot.xaxis, plot.yaxis):
            decades(axis)
        plot.set_xlabel(f"{measure} promised")
        plot.set_ylabel(f"{measure} here")
        legend_above(figure)
        return svg(figure, f"{measure} at the thresholds of {', '.join(found)}")


def reliability(found: Mapping[str, Sequence[tuple[float, Rate]]]) -> str:
    """Return how often pairs are of one identity, over the probability stated for them.

    Args:
        found: for each model the bins: the mean probability stated, and the share that was right.
    """
    one_or_more(found)
    with look():
        figure, plot = axes()
        plot.plot([0, 1], [0, 1], color=INK, alpha=0.5, linewidth=1, label="as stated")
        for index, (name, bins) in enumerate(found.items()):
            sure = [(stated, rate) for stated, rate in bins if rate.resolved]
            _dots(plot, index, name, [stated for stated, _ in sure], [rate for _, rate in sure])
        plot.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        plot.set_xlabel("probability stated")
        plot.set_ylabel("share of one identity")
        for axis in (plot.xaxis, plot.yaxis):
            axis.set_major_formatter(FuncFormatter(percent))
        legend_above(figure)
        return svg(figure, f"Reliability of the probabilities of {', '.join(found)}")


def _dots(plot: Axes, index: int, name: str, x: Sequence[float], rates: Sequence[Rate]) -> None:
    """Draw rates with their intervals upright."""
    colour = COLOURS[index % len(COLOURS)]
    plot.vlines(x, [r.low for r in rates], [r.high for r in rates], color=colour, alpha=0.35, lw=4)
    plot.plot(
        x, np.array(rates, float), MARKERS[index % len(MARKERS)], color=colour, label=label(name)
    )
