"""One HTML file that holds a whole report: no network, no script, light and dark, printable."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from arcwise.errors import ArcwiseError
from arcwise.evaluation import Rate
from arcwise.files import atomic_write
from arcwise.report.drawing import COLOURS
from arcwise.report.pictures import fitting
from arcwise.report.sections import Cell, Difference, Facts, Pictures, Section


def write_report(
    path: str | os.PathLike[str], title: str, sections: Sequence[Section], summary: str = ""
) -> Path:
    """Return the path of the report just written, beside first and then renamed.

    Args:
        path: the HTML file; its folder is made where there is none.
        title: heading of the page.
        sections: in the order in which they are read.
        summary: a sentence or two that say what came out.

    Raises:
        ArcwiseError: the file cannot be written; an older one is as it was.
    """
    target = Path(path)
    text = render(title, sections, summary)
    with atomic_write(target) as beside:
        beside.write_text(text, encoding="utf-8")
    return target


def render(title: str, sections: Sequence[Section], summary: str = "") -> str:
    """Return the report as the text of an HTML page. Every word in it is escaped but plots."""
    environment = Environment(
        loader=PackageLoader("arcwise.report", "."),
        autoescape=True,  # names of identities and files are anybody's
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"cell": cell, "id": id, "is_number": is_number}
    page = environment.get_template("report.html")
    return page.render(
        title=title,
        summary=summary,
        sections=list(zip(map(_kind, sections), _wide(sections), sections, strict=True)),
        uris=_addresses(sections),
        svg=_svg,
        measured=any(not isinstance(one, Pictures | Facts) for one in sections),
    )


def _kind(section: Section) -> str:
    return type(section).__name__.lower()


def _wide(sections: Sequence[Section]) -> list[bool]:
    """Return which sections take a whole row: all but plots, which stand in twos."""
    wide: list[bool] = []
    for kind, run in groupby(sections, _kind):
        count = len(list(run))
        wide += [kind != "plot"] * count
        if count % 2:
            wide[-1] = True  # nothing would stand beside it
    return wide


def _addresses(sections: Sequence[Section]) -> dict[int, str]:
    """Return what stands for each picture object in the page, by its `id`."""
    found = {
        id(picture.image): picture.image
        for section in sections
        if isinstance(section, Pictures)
        for strip in section.rows
        for picture in strip.pictures
        if not isinstance(picture.image, str)
    }
    return dict(zip(found, fitting(list(found.values())), strict=True))


def cell(value: Cell) -> Markup | str:
    """Return a value as it stands in a table: a rate in per cent, with its interval below."""
    if isinstance(value, Rate):
        return _measured(value, _percent)
    if isinstance(value, Difference):
        return _measured(value.rate, _points)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return value


def _measured(rate: Rate, said: Callable[[float], str]) -> Markup:
    """Return a rate with its interval; no number where there were too few pairs for one."""
    if not rate.resolved:
        return Markup('<span class="muted" title="{}">not resolved</span>').format(
            "too few pairs for this error rate"
        )
    low, high = (said(end).removesuffix("\u202f%") for end in (rate.low, rate.high))
    return Markup('{} <span class="interval">{} – {}</span>').format(said(rate), low, high)


def is_number(value: Cell) -> bool:
    """Return whether a value stands on the right of its column."""
    return isinstance(value, (int, float, Difference)) and not isinstance(value, bool)


def _percent(value: float) -> str:
    return f"{100 * value:.2f}\u202f%"


def _points(value: float) -> str:
    """Return a difference of two rates in points of a per cent, with its sign."""
    return f"{100 * value:+.2f}".replace("-", "\u2212")


def _is_svg(text: str) -> bool:
    return text.startswith("<svg") and text.endswith("</svg>")


def _svg(text: str) -> Markup:
    """Return a plot as trusted text; refused when it is not one of ours."""
    if not _is_svg(text) or "<script" in text.lower():
        raise ArcwiseError(
            f"a plot begins with {text[:20]!r}, expected the SVG of a function in report.plots"
        )
    for place, colour in enumerate(COLOURS, 1):  # the page has lighter ones on black
        text = text.replace(colour, f"var(--curve-{place}, {colour})")
    return Markup(text)  # drawn by us, names in it escaped by the drawing library
