"""A figure and its SVG, and what every plot shares: one look, rates in per cent, 95 % bands."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from arcwise.errors import ArcwiseError
from arcwise.evaluation import Rate

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b0669a", "#c78500", "#4a9fd0")
"""Okabe and Ito's colours, safe for colour-blind readers; two of them darkened for a white page."""

LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
"""One line style for each colour, for print without colours."""

WIDTH = 4.1
"""Inches of a plot: on a phone its text is then as large as the page's small text."""

_LONGEST_NAME = 34  # letters in a legend

INK = "#123457"
"""Placeholder of the page's text colour, replaced by `currentColor`."""

_STYLE = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "font.size": 10,
    "font.family": "sans-serif",
    "grid.alpha": 0.16,
    "grid.color": INK,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",  # real text: it can be selected, searched and read aloud
    "text.color": INK,
    "text.parse_math": False,  # a "$" in a name is a "$"
    "xtick.color": INK,
    "ytick.color": INK,
}


@contextmanager
def look() -> Generator[None]:
    """Set the style of all plots for a while; the caller's style is restored."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # The browser has the letters of every script; our font is only used to measure.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def axes(width: float = WIDTH, height: float = 3.1) -> tuple[Figure, Axes]:
    """Return a figure of so many inches and its one pair of axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def label(name: str) -> str:
    """Return a name as a plot's label: shortened, and shown even with a "_" at its start."""
    if len(name) > _LONGEST_NAME:
        half = _LONGEST_NAME // 2
        name = f"{name[:half]}…{name[-half:]}"
    return f"\u200b{name}" if name.startswith("_") else name


def legend(plot: Axes, **where: object) -> None:
    """Add a legend inside the plot, if its lines have names."""
    handles, names = plot.get_legend_handles_labels()
    if names:
        plot.legend(handles, names, **where)  # type: ignore[arg-type]


def legend_above(figure: Figure) -> None:
    """Add a legend above the plot where there are several lines."""
    handles, names = figure.axes[0].get_legend_handles_labels()
    if len(names) > 1:
        columns = 1 if max(map(len, names)) > _LONGEST_NAME * 2 // 3 else 2
        figure.legend(handles, names, loc="outside upper left", ncols=columns)


def svg(figure: Figure, description: str) -> str:
    """Return the figure as an SVG element for the inside of a page, the same for the same figure.

    Args:
        figure: the plot.
        description: alternative text of the plot.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": description}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # ids would repeat from plot to plot
    text = text.replace(INK, "currentColor")
    return text.replace("<svg", f'<svg role="img" aria-label="{_attribute(description)}"', 1)


def check_results(results: object) -> None:
    """Raise where there is no result to plot."""
    if not results:
        raise ArcwiseError("there is nothing to plot, expected at least one named result")


def _attribute(text: str) -> str:
    """Return text that is safe between double quotes, in HTML and in XML."""
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(sign, entity)
    return "".join(letter for letter in text if letter.isprintable())


@dataclass(frozen=True)
class Band:
    """Rates over K error rates, as arrays.

    Attributes:
        at: (K,) error rates, rising.
        value: (K,) what was measured there.
        low: (K,) lower ends of the intervals.
        high: (K,) upper ends.
        resolved: (K,) bool.
    """

    at: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    resolved: np.ndarray


def band(at: Sequence[float] | np.ndarray, rates: Sequence[Rate]) -> Band:
    """Return the band of a curve that never falls.

    The bounds are made monotone: a lower bound holds for all larger error rates, an upper bound for
    all smaller ones. Without that, Wilson's interval where every draw agrees on 1 would be wider
    than its neighbours.
    """
    resolved = np.array([rate.resolved for rate in rates], bool)
    low = np.where(resolved, [rate.low for rate in rates], 0.0)
    high = np.where(resolved, [rate.high for rate in rates], 1.0)
    return Band(
        at=np.asarray(at, np.float64),
        value=np.array([float(rate) for rate in rates]),
        low=np.maximum.accumulate(low),
        high=np.minimum.accumulate(high[::-1])[::-1],
        resolved=resolved,
    )


def draw(plot: Axes, index: int, name: str, curve: Band) -> None:
    """Draw a curve and its band; dotted and without a band where it is not resolved."""
    resolved = curve.resolved
    plot.plot(curve.at[resolved], curve.value[resolved], label=label(name), **style(index))
    colour = COLOURS[index % len(COLOURS)]
    plot.fill_between(
        curve.at, curve.low, curve.high, where=resolved, color=colour, alpha=0.18, linewidth=0
    )
    dots = ~resolved
    dots[1:] |= ~resolved[:-1]  # dots reach the line on either side
    dots[:-1] |= ~resolved[1:]
    dotted = np.where(dots, curve.value, np.nan)
    plot.plot(curve.at, dotted, color=colour, linestyle=":", linewidth=1.2)


def style(index: int) -> dict[str, Any]:
    """Return the colour and the line of the model at this place."""
    return {"color": COLOURS[index % len(COLOURS)], "linestyle": LINES[index % len(LINES)]}


def percent(value: float, _: object = None) -> str:
    """Return 0.001 as "0.1 %"."""
    return f"{100 * value:.6g} %"


def percent_axis(plot: Axes) -> None:
    """Label the y axis in per cent, with its end at 100."""
    low = max(0.0, plot.get_ylim()[0])
    plot.set_ylim(low, 1.0 + 0.02 * (1.0 - low))
    plot.yaxis.set_major_formatter(FuncFormatter(percent))


def error_rate_axis(plot: Axes, lowest: float) -> None:
    """Make the x axis a logarithmic one of error rates, from `lowest` to 1."""
    plot.set_xscale("log")
    plot.set_xlim(lowest, 1.0)
    decades(plot.xaxis)


def decades(axis: Axis) -> None:
    """Label a logarithmic axis in per cent, at as many powers of ten as fit."""
    axis.set_major_locator(LogLocator(numticks=5))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(percent))
