"""What the plots share: a look for each model by turn, rates in per cent, bands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from arcwise.evaluation import Rate
from arcwise.report.drawing import COLOURS, LINES, label


@dataclass(frozen=True)
class Band:
    """Rates over K error rates, as arrays.

    Attributes:
        at: (K,) error rates, rising.
        value: (K,) what was measured there.
        low: (K,) lower ends of the intervals.
        high: (K,) upper ends.
        sure: (K,) bool, resolved.
    """

    at: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    sure: np.ndarray


def band(at: Sequence[float] | np.ndarray, found: Sequence[Rate]) -> Band:
    """Return the rates of a curve that never falls.

    Each bound holds for the rates beyond it as well. Where every draw agrees on 1 the interval is
    Wilson's, which would else open again although the rate can only have grown.
    """
    sure = np.array([one.resolved for one in found], bool)
    low = np.where(sure, [one.low for one in found], 0.0)
    high = np.where(sure, [one.high for one in found], 1.0)
    return Band(
        at=np.asarray(at, np.float64),
        value=np.array([float(one) for one in found]),
        low=np.maximum.accumulate(low),
        high=np.minimum.accumulate(high[::-1])[::-1],
        sure=sure,
    )


def draw(plot: Axes, index: int, name: str, shown: Band) -> None:
    """Draw a curve and its band; dotted and without a band where it is not resolved."""
    sure = shown.sure
    plot.plot(shown.at[sure], shown.value[sure], label=label(name), **style(index))
    colour = COLOURS[index % len(COLOURS)]
    plot.fill_between(
        shown.at, shown.low, shown.high, where=sure, color=colour, alpha=0.18, linewidth=0
    )
    unsure = ~sure
    unsure[1:] |= ~sure[:-1]  # dots reach the line on either side
    unsure[:-1] |= ~sure[1:]
    dotted = np.where(unsure, shown.value, np.nan)
    plot.plot(shown.at, dotted, color=colour, linestyle=":", linewidth=1.2)


def style(index: int) -> dict[str, Any]:
    """Return the colour and the line of the model at this place."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": LINES[index % len(LINES)]}


def percent(value: float, _: object = None) -> str:
    """Return 0.001 as "0.1 %"."""
    return f"{100 * value:.6g} %"


def share_below(plot: Axes) -> None:
    """Give the y axis per cent, and let it end at 100."""
    low = max(0.0, plot.get_ylim()[0])
    plot.set_ylim(low, 1.0 + 0.02 * (1.0 - low))
    plot.yaxis.set_major_formatter(FuncFormatter(percent))


def rare(plot: Axes, lowest: float) -> None:
    """Give the x axis error rates from `lowest` to 1, equal factors equally far apart."""
    plot.set_xscale("log")
    plot.set_xlim(lowest, 1.0)
    decades(plot.xaxis)


def decades(axis: Axis) -> None:
    """Label a logarithmic axis at powers of ten, in per cent, no more than fit."""
    axis.set_major_locator(LogLocator(numticks=5))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(percent))
