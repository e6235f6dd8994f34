"""A figure and its SVG: one look for all plots, no global state, fit to stand inside a page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Generator
from contextlib import contextmanager

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from arcwise.errors import ArcwiseError

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b0669a", "#c78500", "#4a9fd0")
"""Okabe and Ito's colours, told apart by colour-blind readers; two darkened to show on white."""

LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
"""One line style for each colour, for print without colours."""

WIDTH = 4.1
"""Inches of a plot: on a phone its letters are then as large as the page's small ones."""

_LONGEST_NAME = 34  # letters in a legend

INK = "#123457"
"""Stands for the page's text colour, and becomes `currentColor`: readable on white and on black."""

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
    """Draw with this room's style, and leave the caller's as it was."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # The browser has the letters of every script; our font is only used to measure.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def axes(width: float = WIDTH, height: float = 3.1) -> tuple[Figure, Axes]:
    """Return a figure of so many inches and its one pair of axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def label(name: str) -> str:
    """Return a name as plots take it: short, and not left out for a "_" at its start."""
    if len(name) > _LONGEST_NAME:
        half = _LONGEST_NAME // 2
        name = f"{name[:half]}…{name[-half:]}"
    return f"\u200b{name}" if name.startswith("_") else name


def legend(plot: Axes, **where: object) -> None:
    """Add a legend when there is something to tell apart."""
    handles, names = plot.get_legend_handles_labels()
    if names:
        plot.legend(handles, names, **where)  # type: ignore[arg-type]


def legend_above(figure: Figure) -> None:
    """Say above the plot, in nobody's way, which line is which where there are several."""
    handles, names = figure.axes[0].get_legend_handles_labels()
    if len(names) > 1:
        columns = 1 if max(map(len, names)) > _LONGEST_NAME * 2 // 3 else 2
        figure.legend(handles, names, loc="outside upper left", ncols=columns)


def svg(figure: Figure, description: str) -> str:
    """Return the figure as an SVG element for the inside of a page, the same for the same figure.

    Args:
        figure: what was drawn.
        description: what it shows, for those who cannot see it.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": description}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    text = re.sub(r'<g id="[^"]*"', "<g", text)  # they would repeat from plot to plot
    text = text.replace(INK, "currentColor")
    return text.replace("<svg", f'<svg role="img" aria-label="{_attribute(description)}"', 1)


def one_or_more(results: object) -> None:
    """Refuse a plot of nothing."""
    if not results:
        raise ArcwiseError("there is nothing to plot, expected at least one named result")


def _attribute(text: str) -> str:
    """Return text that is safe between double quotes, in HTML and in XML."""
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(sign, entity)
    return "".join(letter for letter in text if letter.isprintable())
