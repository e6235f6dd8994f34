"""Rates side by side, each a dot with its 95 % interval.

Dots, not bars: the axis may then begin where the rates differ, without lying about lengths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from arcwise.evaluation import Rate
from arcwise.report.drawing import COLOURS, WIDTH, label, legend_above, look, one_or_more, svg
from arcwise.report.plots.marks import percent

MARKERS = "osD^vP"
"""One for each colour."""

_BESIDE: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}


def comparison(rates: Mapping[str, Rate], measure: str) -> str:
    """Return one row for each model.

    Args:
        rates: the rate of each model.
        measure: what it is, for the axis.
    """
    return groups({name: {"": rate} for name, rate in rates.items()}, measure)


def groups(rates: Mapping[str, Mapping[str, Rate | None]], measure: str) -> str:
    """Return one row for each group, and in it a dot for each model.

    Args:
        rates: for each group the rate of each model; None where there is nothing to measure.
        measure: what it is, for the axis.
    """
    one_or_more(rates)
    models = list(dict.fromkeys(model for row in rates.values() for model in row))
    with look():
        each = 0.36 + 0.13 * len(models)
        figure = Figure(figsize=(WIDTH, 0.7 + each * len(rates)), layout="constrained")
        plot = figure.add_subplot()
        for place, (name, row) in enumerate(rates.items()):
            plot.annotate(label(name), (0, place), (0, -2), va="top", **_BESIDE)
            if said := _said([row.get(model) for model in models]):
                plot.annotate(said, (1, place), (0, -2), va="top", ha="right", **_BESIDE)
            for index, model in enumerate(models):
                height = place + (0.28 + 0.13 * index) / each
                _dot(plot, height, index, row.get(model))
        for index, model in enumerate(models):
            plot.plot([], [], MARKERS[index], color=COLOURS[index], label=label(model))
        _axes(plot, rates, measure)
        legend_above(figure)
        return svg(figure, f"{measure} of {', '.join(rates)}")


def _said(rates: Sequence[Rate | None]) -> str:
    """Return a lone rate as a number, or why there is none to be seen."""
    if all(rate is None for rate in rates):
        return "nothing to measure"
    if not any(rate is not None and rate.resolved for rate in rates):
        return "not resolved"
    return percent(round(rates[0], 3)) if len(rates) == 1 and rates[0] is not None else ""


def _dot(plot: Axes, height: float, index: int, rate: Rate | None) -> None:
    """Draw a rate with its interval, if it can be relied on."""
    if rate is not None and rate.resolved:
        colour = COLOURS[index]
        plot.plot([rate.low, rate.high], [height] * 2, color=colour, linewidth=5, alpha=0.3)
        plot.plot([rate], [height], MARKERS[index], color=colour, markersize=7)


def _axes(plot: Axes, rates: Mapping[str, Mapping[str, Rate | None]], measure: str) -> None:
    """Separate the rows, first one on top, and let the axis end where the intervals do."""
    known = [one for row in rates.values() for one in row.values() if one is not None]
    known = [one for one in known if one.resolved]
    low = min((one.low for one in known), default=0.0)
    high = max((one.high for one in known), default=1.0)
    plot.set_ylim(len(rates), 0)
    plot.set_yticks(range(1, len(rates)), [""] * (len(rates) - 1))
    plot.tick_params(axis="y", length=0)
    plot.spines["left"].set_visible(False)
    room = 0.06 * max(0.02, high - low)
    plot.set_xlim(max(-room, low - room), min(1 + room, high + room))
    ticks = MaxNLocator(4).tick_values(low, high)
    plot.set_xticks([tick for tick in ticks if low - room <= tick <= min(1.0, high + room)])
    plot.xaxis.set_major_formatter(FuncFormatter(percent))
    plot.set_xlabel(measure)
