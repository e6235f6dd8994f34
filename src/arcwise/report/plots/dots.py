"""Rates side by side, each a dot with its 95 % interval.

Dots, not bars: the axis may then begin where the rates differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from arcwise.evaluation import Rate
from arcwise.report.drawing import (
    COLOURS,
    INK,
    WIDTH,
    axes,
    check_results,
    decades,
    label,
    legend_above,
    look,
    percent,
    svg,
)

MARKERS = "osD^vP"
"""One for each colour."""

_OFFSET: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}


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
        rates: for each group the rate of each model; None where it was not measured.
        measure: what it is, for the axis.
    """
    check_results(rates)
    models = list(dict.fromkeys(model for row in rates.values() for model in row))
    with look():
        each = 0.36 + 0.13 * len(models)
        figure = Figure(figsize=(WIDTH, 0.7 + each * len(rates)), layout="constrained")
        plot = figure.add_subplot()
        for place, (name, row) in enumerate(rates.items()):
            plot.annotate(label(name), (0, place), (0, -2), va="top", **_OFFSET)
            if text := _row_text([row.get(model) for model in models]):
                plot.annotate(text, (1, place), (0, -2), va="top", ha="right", **_OFFSET)
            for index, model in enumerate(models):
                height = place + (0.28 + 0.13 * index) / each
                _dot(plot, height, index, row.get(model))
        for index, model in enumerate(models):
            plot.plot([], [], MARKERS[index], color=COLOURS[index], label=label(model))
        _axes(plot, rates, measure)
        legend_above(figure)
        return svg(figure, f"{measure} of {', '.join(rates)}")


def _row_text(rates: Sequence[Rate | None]) -> str:
    """Return a single rate as a number, or the reason why there is none."""
    if all(rate is None for rate in rates):
        return "not measured"
    if not any(rate is not None and rate.resolved for rate in rates):
        return "not resolved"
    return percent(round(rates[0], 3)) if len(rates) == 1 and rates[0] is not None else ""


def _dot(plot: Axes, height: float, index: int, rate: Rate | None) -> None:
    """Draw a rate with its interval, if it is resolved."""
    if rate is not None and rate.resolved:
        colour = COLOURS[index]
        plot.plot([rate.low, rate.high], [height] * 2, color=colour, linewidth=5, alpha=0.3)
        plot.plot([rate], [height], MARKERS[index], color=colour, markersize=7)


def _axes(plot: Axes, rates: Mapping[str, Mapping[str, Rate | None]], measure: str) -> None:
    """Separate the rows, first one on top, and end the axis at the intervals."""
    shown = [one for row in rates.values() for one in row.values() if one is not None]
    shown = [one for one in shown if one.resolved]
    low = min((one.low for one in shown), default=0.0)
    high = max((one.high for one in shown), default=1.0)
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


def thresholds(results: Mapping[str, Sequence[tuple[float, Rate]]], measure: str) -> str:
    """Return the measured error rates of thresholds over the rates stated for them.

    Args:
        results: for each model pairs of the stated rate and the measured one.
        measure: the error rate, for the axes.
    """
    check_results(results)
    values: list[float] = []
    with look():
        figure, plot = axes()
        for index, (name, rates) in enumerate(results.items()):
            resolved = [(stated, rate) for stated, rate in rates if rate.resolved]
            _dots(
                plot,
                index,
                name,
                [stated for stated, _ in resolved],
                [rate for _, rate in resolved],
            )
            values += [rate for pair in resolved for rate in pair if rate > 0]
        ends = min(values, default=1e-3) / 3, min(1.0, 3 * max(values, default=0.3))
        plot.plot(ends, ends, color=INK, alpha=0.5, linewidth=1, label="as stated")
        plot.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
        for axis in (plot.xaxis, plot.yaxis):
            decades(axis)
        plot.set_xlabel(f"{measure} stated")
        plot.set_ylabel(f"{measure} measured")
        legend_above(figure)
        return svg(figure, f"{measure} at the thresholds of {', '.join(results)}")


def reliability(results: Mapping[str, Sequence[tuple[float, Rate]]]) -> str:
    """Return how often pairs are of one identity, over the probability stated for them.

    Args:
        results: for each model the bins: the mean probability stated, and the share that was right.
    """
    check_results(results)
    with look():
        figure, plot = axes()
        plot.plot([0, 1], [0, 1], color=INK, alpha=0.5, linewidth=1, label="as stated")
        for index, (name, bins) in enumerate(results.items()):
            resolved = [(stated, rate) for stated, rate in bins if rate.resolved]
            _dots(
                plot,
                index,
                name,
                [stated for stated, _ in resolved],
                [rate for _, rate in resolved],
            )
        plot.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        plot.set_xlabel("probability stated")
        plot.set_ylabel("share of one identity")
        for axis in (plot.xaxis, plot.yaxis):
            axis.set_major_formatter(FuncFormatter(percent))
        legend_above(figure)
        return svg(figure, f"Reliability of the probabilities of {', '.join(results)}")


def _dots(plot: Axes, index: int, name: str, x: Sequence[float], rates: Sequence[Rate]) -> None:
    """Draw rates with their intervals upright."""
    colour = COLOURS[index % len(COLOURS)]
    plot.vlines(x, [r.low for r in rates], [r.high for r in rates], color=colour, alpha=0.35, lw=4)
    plot.plot(
        x, np.array(rates, float), MARKERS[index % len(MARKERS)], color=colour, label=label(name)
    )
