"""Curves of rates: ROC, DET, open-set identification, and cumulative match characteristic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, MaxNLocator
from scipy.special import ndtr, ndtri

from arcwise.evaluation import ErrorVersusReject, Identification, TwoGalleries, Verification
from arcwise.evaluation.thresholds import RESOLVED_BY
from arcwise.report.drawing import (
    COLOURS,
    Band,
    axes,
    band,
    check_results,
    draw,
    error_rate_axis,
    label,
    legend_above,
    look,
    percent,
    percent_axis,
    style,
    svg,
)

_POINTS = 40
_TICKS = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99)
_DOTTED = f"dotted: under {RESOLVED_BY} cases"


def roc(results: Mapping[str, Verification]) -> str:
    """Return the true-accept rate over the false-accept rate, with 95 % bands.

    A curve is dotted where fewer than ten impostor pairs are accepted: not resolved.
    """
    check_results(results)
    with look():
        figure, plot = axes()
        for index, (name, result) in enumerate(results.items()):
            rates = np.geomspace(_fewest(result.impostors), 1.0, _POINTS)
            draw(plot, index, name, band(rates, result.tars_at(rates.tolist())))
        error_rate_axis(plot, _fewest(*(result.impostors for result in results.values())))
        plot.set_xlabel(f"false-accept rate; {_DOTTED}")
        plot.set_ylabel("true-accept rate")
        percent_axis(plot)
        legend_above(figure)
        return svg(figure, f"ROC: true-accept over false-accept rate of {', '.join(results)}")


def error_versus_reject(results: Mapping[str, ErrorVersusReject]) -> str:
    """Return the false-reject rate over the share of images rejected, with 95 % bands.

    A quality that is worth nothing makes a level line.
    """
    check_results(results)
    with look():
        figure, plot = axes()
        for index, (name, result) in enumerate(results.items()):
            shares = np.array(result.shares)
            plot.plot(shares, np.array(result.rates, float), label=label(name), **style(index))
            low, high = ([getattr(one, end) for one in result.rates] for end in ("low", "high"))
            colour = COLOURS[index % len(COLOURS)]
            plot.fill_between(shares, low, high, color=colour, alpha=0.18, linewidth=0)
        plot.set_ylim(bottom=0)
        plot.set_xlabel("share of the images rejected, the worst first")
        plot.set_ylabel("mated pairs rejected")
        for axis in (plot.xaxis, plot.yaxis):
            axis.set_major_formatter(FuncFormatter(percent))
        legend_above(figure)
        return svg(figure, f"Error against share rejected by the quality of {', '.join(results)}")


def det(results: Mapping[str, Verification]) -> str:
    """Return the false-reject rate over the false-accept rate on normal-deviate axes.

    Where scores of both kinds are normal, such a curve is a straight line (Martin et al.,
    Eurospeech 1997). It is dotted where fewer than ten pairs of either kind are decided wrongly.
    """
    check_results(results)
    with look():
        figure, plot = axes()
        highest = 0.5
        for index, (name, result) in enumerate(results.items()):
            deviates = np.linspace(ndtri(_fewest(result.impostors)), ndtri(0.99), _POINTS)
            rates = ndtr(deviates)
            curve = _rejected(band(rates, result.tars_at(rates.tolist())), len(result.mated))
            draw(plot, index, name, curve)
            highest = float(np.max(ndtr(curve.value[curve.resolved]), initial=highest))
        plot.axline((0, 0), slope=1, color="#888888", linewidth=0.8)  # equal errors
        lowest = _fewest(*(result.impostors for result in results.values()))
        plot.set_xlim(*_deviates(plot.xaxis, lowest, 0.5))
        highest = min(highest, 0.99)
        lowest = _fewest(*(len(result.mated) for result in results.values()))
        plot.set_ylim(*_deviates(plot.yaxis, lowest, highest))
        plot.set_xlabel(f"false-accept rate; {_DOTTED}")
        plot.set_ylabel("false-reject rate")
        legend_above(figure)
        return svg(figure, f"DET: false-reject over false-accept rate of {', '.join(results)}")


def detection(results: Mapping[str, Identification | TwoGalleries]) -> str:
    """Return the open-set curve: detection and identification rate over false-positive rate.

    A curve is dotted where fewer than ten unknown probes are answered: not resolved.
    """
    check_results(results)
    with look():
        figure, plot = axes()
        for index, (name, result) in enumerate(results.items()):
            rates = np.geomspace(_fewest(_unknown_probes(result)), 1.0, _POINTS)
            draw(plot, index, name, band(rates, result.dirs_at(rates.tolist())))
        error_rate_axis(plot, _fewest(*(_unknown_probes(result) for result in results.values())))
        plot.set_xlabel(f"FPIR of unknown probes; {_DOTTED}")
        plot.set_ylabel("DIR of known probes")
        percent_axis(plot)
        legend_above(figure)
        return svg(figure, f"Open-set identification of {', '.join(results)}")


def cmc(results: Mapping[str, Identification | TwoGalleries], ranks: int = 20) -> str:
    """Return the cumulative match characteristic from rank 1 to `ranks`, with 95 % bands."""
    check_results(results)
    with look():
        figure, plot = axes()
        for index, (name, result) in enumerate(results.items()):
            best = np.arange(1, min(ranks, _identities(result)) + 1)
            draw(plot, index, name, band(best, [result.rank(int(k)) for k in best]))
        plot.set_xlabel("rank")
        plot.set_ylabel("rank-k identification rate")
        plot.xaxis.set_major_locator(MaxNLocator(integer=True))
        percent_axis(plot)
        legend_above(figure)
        return svg(figure, f"Cumulative match characteristic of {', '.join(results)}")


def _rejected(accepted: Band, mated: int) -> Band:
    """Return the normal deviates of the rates at which mated pairs are rejected."""
    far, frr = accepted.at, 1.0 - accepted.value
    lowest = 1e-3 / mated  # off the axis, not at minus infinity
    value, low, high = (
        ndtri(np.clip(rate, lowest, 1 - lowest))
        for rate in (frr, 1.0 - accepted.high, 1.0 - accepted.low)
    )
    resolved = accepted.resolved & (frr * mated >= RESOLVED_BY)
    return replace(accepted, at=ndtri(far), value=value, low=low, high=high, resolved=resolved)


def _deviates(axis: Axis, low: float, high: float) -> tuple[float, float]:
    """Return the ends of an axis of normal deviates, and label it with rates that fit on it."""
    ends = float(ndtri(low)), float(ndtri(high))
    shown: list[float] = []
    for tick in _TICKS:
        clear = not shown or ndtri(tick) - ndtri(shown[-1]) > 0.21 * (ends[1] - ends[0])
        if low <= tick <= high and clear:
            shown.append(tick)
    axis.set_ticks(ndtri(shown).tolist(), [percent(tick) for tick in shown])
    return ends


def _unknown_probes(result: Identification | TwoGalleries) -> int:
    """Return the number of unknown probes, of two galleries of the one with fewer."""
    if isinstance(result, TwoGalleries):
        return min(len(result.first.unknown), len(result.second.unknown))
    return len(result.unknown)


def _fewest(*trials: int) -> float:
    """Return the error rate of one in all trials, where a curve begins."""
    return min(0.5, 1 / max(1, *trials))


def _identities(result: Identification | TwoGalleries) -> int:
    """Return the number of identities in the gallery, of two in the smaller one."""
    if isinstance(result, TwoGalleries):
        return min(result.first.identities, result.second.identities)
    return result.identities
