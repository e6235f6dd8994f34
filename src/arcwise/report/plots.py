"""Plots: pure functions from named results to the text of an SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from arcwise.evaluation import Angles, Identification, Rate, Verification
from arcwise.evaluation.thresholds import RESOLVED_BY
from arcwise.report.drawing import COLOURS, LINES, axes, label, legend, look, one_or_more, svg

_POINTS = 40

LABELS = MappingProxyType({"recall_at_1": "recall@1", "tar": "TAR at FAR 1 %"})


def roc(results: Mapping[str, Verification]) -> str:
    """Return the true-accept rate over the false-accept rate, with 95 % bands.

    A curve is dotted where fewer than ten impostor pairs are accepted: too few to rely on.
    """
    one_or_more(results)
    with look():
        figure, plot = axes()
        for index, (name, result) in enumerate(results.items()):
            rates = _rates(result.impostors)
            _band(plot, index, name, rates, result.tars_at(rates))
        _rate_axes(
            plot, "false-accept rate", "true-accept rate", [r.impostors for r in results.values()]
        )
        return svg(figure, f"ROC: true-accept over false-accept rate of {', '.join(results)}")


def detection(results: Mapping[str, Identification]) -> str:
    """Return the open-set curve: detection and identification rate over false-positive rate.

    A curve is dotted where fewer than ten unknown probes are answered: too few to rely on.
    """
    one_or_more(results)
    with look():
        figure, plot = axes()
        for index, (name, result) in enumerate(results.items()):
            rates = _rates(len(result.unknown))
            _band(plot, index, name, rates, result.dirs_at(rates))
        _rate_axes(
            plot,
            "unknown pictures answered (FPIR)",
            "known pictures found (DIR)",
            [len(r.unknown) for r in results.values()],
        )
        return svg(figure, f"Open-set identification of {', '.join(results)}")


def cmc(results: Mapping[str, Identification], ranks: int = 20) -> str:
    """Return how often the right identity is among the best 1 to `ranks`."""
    one_or_more(results)
    with look():
        figure, plot = axes()
        for index, (name, result) in enumerate(results.items()):
            shown = min(ranks, result.identities)
            plot.plot(
                np.arange(1, shown + 1),
                result.cmc(shown),
                color=_colour(index),
                linestyle=_line(index),
                marker="o",
                markersize=3.5,
                label=label(name),
            )
        plot.set_xlabel("looking at the best … identities")
        plot.set_ylabel("right one among them")
        plot.xaxis.set_major_locator(MaxNLocator(integer=True))
        _percent(plot)
        legend(plot, loc="lower right")
        return svg(figure, f"Cumulative match characteristic of {', '.join(results)}")


def angles(results: Mapping[str, Angles]) -> str:
    """Return how far apart two pictures are: same identity against different identities."""
    one_or_more(results)
    with look():
        figure = Figure(figsize=(5.4, 1.1 + 2.1 * len(results)), layout="constrained")
        grid = figure.subplots(len(results), 1, sharex=True, squeeze=False)[:, 0]
        for plot, (name, result) in zip(grid, results.items(), strict=True):
            degrees = np.degrees(result.edges)
            for counts, colour, kind, line in (
                (result.impostor, COLOURS[1], "different identities", "--"),
                (result.mated, COLOURS[0], "same identity", "-"),
            ):
                share = counts / max(1, counts.sum())
                plot.stairs(share, degrees, fill=True, color=colour, alpha=0.22)
                plot.stairs(share, degrees, color=colour, linewidth=1.5, label=kind, linestyle=line)
            plot.set_ylabel("share of pairs")
            plot.yaxis.set_major_locator(MaxNLocator(4))
            plot.yaxis.set_major_formatter(FuncFormatter(_plain_percent))
            if len(results) > 1:
                plot.set_title(label(name), loc="left")
        last = max(_last(result) for result in results.values())
        grid[-1].set_xlim(0, min(180.0, math.ceil((last + 4) / 10) * 10))
        grid[-1].set_xlabel("angle between two pictures, degrees")
        legend(grid[0], loc="best")
        return svg(figure, f"Angles between pictures under {', '.join(results)}")


def training(
    rows: Sequence[Mapping[str, float]],
    losses: Sequence[str] = ("loss",),
    metrics: Sequence[str] = ("recall_at_1", "tar"),
    labels: Mapping[str, str] = LABELS,
) -> str:
    """Return the loss and the validation metrics by step.

    Args:
        rows: the rows of a run's `metrics.jsonl`; a name may be missing from some of them.
        losses: names for the upper panel.
        metrics: names for the lower panel, fractions.
        labels: what to call them, where their names do not say it.
    """
    panels = [
        (names, share)
        for names, share in ((losses, False), (metrics, True))
        if any(name in row for row in rows for name in names)
    ]
    one_or_more(panels)
    with look():
        figure = Figure(figsize=(5.4, 0.8 + 2.0 * len(panels)), layout="constrained")
        grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for plot, (names, share) in zip(grid, panels, strict=True):
            for index, name in enumerate(names):
                found = [(row["step"], row[name]) for row in rows if name in row]
                if found:
                    steps, values = zip(*found, strict=True)
                    few = "o" if len(found) < 30 else None
                    plot.plot(
                        steps,
                        values,
                        color=_colour(index),
                        linestyle=_line(index),
                        marker=few,
                        markersize=3.5,
                        label=label(labels.get(name, name.replace("_", " "))),
                    )
            plot.set_ylabel("held-out identities" if share else "training")
            if share:
                _percent(plot)
            legend(plot, loc="best")
        grid[-1].set_xlabel("step")
        grid[-1].xaxis.set_major_locator(MaxNLocator(6, integer=True))
        return svg(figure, "Training: " + ", ".join(name for names, _ in panels for name in names))


def comparison(rates: Mapping[str, Rate], measure: str) -> str:
    """Return one dot for each model with its 95 % interval.

    Dots, not bars: the axis may then begin where the models differ, without lying about lengths.

    Args:
        rates: the rate of each model.
        measure: what it is, for the axis.
    """
    one_or_more(rates)
    with look():
        figure, plot = axes(5.4, 1.0 + 0.45 * len(rates))
        names = [label(name) for name in rates]
        for place, rate in enumerate(rates.values()):
            ends = [rate.low, rate.high]
            plot.plot(ends, [place, place], color=COLOURS[0], linewidth=5, alpha=0.3)
            shade = 1.0 if rate.resolved else 0.4
            plot.plot([rate], [place], "o", color=COLOURS[0], markersize=8, alpha=shade)
            note = f"{rate:.1%}" if rate.resolved else f"{rate:.1%}, not resolved"
            plot.annotate(
                note, (rate, place), (0, 7), textcoords="offset points", ha="center", fontsize=9
            )
        plot.set_yticks(range(len(names)), names)
        plot.set_ylim(len(names) - 0.5, -0.75)
        low, high = min(r.low for r in rates.values()), max(r.high for r in rates.values())
        room = 0.12 * max(0.02, high - low)
        plot.set_xlim(max(-room, low - room), min(1 + room, high + room))
        ticks = MaxNLocator(5).tick_values(low, high)
        plot.set_xticks([tick for tick in ticks if low - room <= tick <= min(1.0, high + room)])
        plot.xaxis.set_major_formatter(FuncFormatter(_plain_percent))
        plot.set_xlabel(measure)
        return svg(figure, f"{measure} of {', '.join(rates)}")


def _rates(trials: int) -> list[float]:
    """Return the error rates to draw a curve at, from one in all trials to 1."""
    return np.geomspace(min(0.5, 1 / max(1, trials)), 1.0, _POINTS).tolist()


def _band(plot: Axes, index: int, name: str, rates: Sequence[float], found: Sequence[Rate]) -> None:
    """Draw a curve and its band; dotted and without a band where it is not resolved."""
    rate, value = np.array(rates), np.array([float(one) for one in found])
    sure = np.array([one.resolved for one in found])
    low, high = np.array([one.low for one in found]), np.array([one.high for one in found])
    colour = _colour(index)
    plot.plot(rate[sure], value[sure], color=colour, linestyle=_line(index), label=label(name))
    plot.fill_between(rate[sure], low[sure], high[sure], color=colour, alpha=0.18, linewidth=0)
    unsure = ~sure
    unsure[1:] |= ~sure[:-1]  # reach the first resolved point
    plot.plot(rate[unsure], value[unsure], color=colour, linestyle=":", linewidth=1.2)


def _rate_axes(plot: Axes, x: str, y: str, trials: Sequence[int]) -> None:
    """Label the axes of a rate over a rarer rate, which has a logarithmic scale."""
    plot.set_xscale("log")
    plot.set_xlim(min(0.5, 1 / max(1, *trials)), 1.0)
    plot.xaxis.set_major_formatter(FuncFormatter(_plain_percent))
    plot.set_xlabel(f"{x}; dotted: under {RESOLVED_BY} cases")
    plot.set_ylabel(y)
    _percent(plot)
    legend(plot, loc="lower right")


def _percent(plot: Axes) -> None:
    """Give the y axis per cent, and let it end at 100."""
    low, _ = plot.get_ylim()
    plot.set_ylim(max(0.0, low), 1.0 + 0.02 * (1.0 - max(0.0, low)))
    plot.yaxis.set_major_formatter(FuncFormatter(_plain_percent))


def _plain_percent(value: float, _: object) -> str:
    """Return 0.001 as "0.1 %"."""
    return f"{100 * value:.6g} %"


def _last(result: Angles) -> float:
    """Return the last angle, in degrees, that any pair has."""
    seen = np.flatnonzero(result.mated + result.impostor)
    return float(np.degrees(result.edges[seen[-1] + 1])) if len(seen) else 180.0


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]


def _line(index: int) -> object:
    return LINES[index % len(LINES)]
