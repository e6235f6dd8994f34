"""One HTML file that holds a whole report: no network, no script, light and dark, printable."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from arcwise.errors import ArcwiseError
from arcwise.evaluation import Rate
from arcwise.files import atomic_write
from arcwise.report.drawing import COLOURS
from arcwise.report.sections import (
    Cell,
    Facts,
    ImageStrips,
    Numbers,
    RateDifference,
    Section,
    Table,
)

SIZES = (320, 240, 192, 160, 128)
"""Pixels on the longer side of an image in the page, best first."""

BUDGET = 2_000_000
"""Characters of all images of a page, so that it can be sent by mail."""

_JPEG_QUALITY = 85


def write_report(
    path: str | os.PathLike[str], title: str, sections: Sequence[Section], summary: str = ""
) -> Path:
    """Write the report to a file, whole or not at all, and return its path.

    Args:
        path: the HTML file; its folder is made where there is none.
        title: heading of the page.
        sections: in the order in which they are read.
        summary: a sentence or two about the results.

    Raises:
        ArcwiseError: the file cannot be written; an older one is as it was.
    """
    target = Path(path)
    text = render(title, sections, summary)
    with atomic_write(target) as partial:
        partial.write_text(text, encoding="utf-8")
    return target


def render(
    title: str,
    sections: Sequence[Section],
    summary: str = "",
    *,
    template: str = "report.html",
    **values: object,
) -> str:
    """Return the report as the text of an HTML page. All text but plots is escaped.

    Args:
        title: heading of the page.
        sections: in the order in which they are read.
        summary: a sentence or two about the results.
        template: file in this folder.
        values: what else the template names.
    """
    environment = Environment(
        loader=PackageLoader("arcwise.report", "."),
        autoescape=True,  # names of identities and files are not trusted
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"cell": cell, "id": id, "is_number": is_number}
    page = environment.get_template(template)
    return page.render(
        title=title,
        summary=summary,
        sections=list(zip(map(_kind, sections), _wide(sections), sections, strict=True)),
        uris=_image_uris(sections),
        svg=_svg,
        measured=any(not isinstance(one, ImageStrips | Facts) for one in sections),
        unresolved=any(map(_is_unresolved, sections)),
        **values,
    )


def _kind(section: Section) -> str:
    return type(section).__name__.lower()


def _wide(sections: Sequence[Section]) -> list[bool]:
    """Return which sections take a whole row: all but plots, two of which share a row."""
    wide: list[bool] = []
    for kind, run in groupby(sections, _kind):
        count = len(list(run))
        wide += [kind != "plot"] * count
        if count % 2:
            wide[-1] = True  # the other half of the row is empty
    return wide


def _is_unresolved(section: Section) -> bool:
    """Return whether a rate of a section is shown as not resolved."""
    cells: list[Cell] = []
    if isinstance(section, Numbers):
        cells = [one.value for one in section.items]
    elif isinstance(section, Table):
        cells = [one for row in section.rows for one in row]
    rates = [one.rate if isinstance(one, RateDifference) else one for one in cells]
    return any(
        not one.resolved if isinstance(one, Rate) else str(one).startswith("not resolved")
        for one in rates
    )


def _image_uris(sections: Sequence[Section]) -> dict[int, str]:
    """Return the data URI of each image of the page, by the `id` of the array."""
    arrays = {
        id(item.image): item.image
        for section in sections
        if isinstance(section, ImageStrips)
        for strip in section.rows
        for item in strip.images
        if not isinstance(item.image, str)
    }
    return dict(zip(arrays, data_uris(list(arrays.values())), strict=True))


def cell(value: Cell) -> Markup | str:
    """Return a value as a cell of a table: a rate in per cent, with its interval below."""
    if isinstance(value, Rate):
        return _rate_cell(value, _percent)
    if isinstance(value, RateDifference):
        return _rate_cell(value.rate, _points)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return value


def _rate_cell(rate: Rate, written: Callable[[float], str]) -> Markup:
    """Return a rate with its interval, or "not resolved"."""
    if not rate.resolved:
        return Markup('<span class="muted" title="{}">not resolved</span>').format(
            "too few pairs for this error rate"
        )
    low, high = (written(end).removesuffix("\u202f%") for end in (rate.low, rate.high))
    return Markup('{} <span class="interval">{} – {}</span>').format(written(rate), low, high)


def is_number(value: Cell) -> bool:
    """Return whether a value is aligned to the right."""
    return isinstance(value, (int, float, RateDifference)) and not isinstance(value, bool)


def _percent(value: float) -> str:
    return f"{100 * value:.2f}\u202f%"


def _points(value: float) -> str:
    """Return a difference of two rates in points of a per cent, with its sign."""
    return f"{100 * value:+.2f}".replace("-", "\u2212")


def _is_svg(text: str) -> bool:
    return text.startswith("<svg") and text.endswith("</svg>")


def _svg(text: str) -> Markup:
    """Return a plot as trusted text; raise where it is not the SVG of a plot."""
    if not _is_svg(text) or "<script" in text.lower():
        raise ArcwiseError(
            f"a plot begins with {text[:20]!r}, expected the SVG of a function in report.plots"
        )
    for place, colour in enumerate(COLOURS, 1):  # the page has lighter colours on black
        text = text.replace(colour, f"var(--curve-{place}, {colour})")
    return Markup(text)  # names in it were escaped by the drawing library


def shrunk(image: np.ndarray, longest: int = SIZES[0]) -> np.ndarray:
    """Return an image of at most `longest` pixels; itself where it is no larger.

    Args:
        image: (H, W, 3) uint8 RGB.
        longest: pixels.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ArcwiseError(
            f"an image is {image.dtype} of shape {image.shape}, expected uint8 (H, W, 3): "
            "decode it with arcwise.images first"
        )
    shrink = longest / max(image.shape[:2])
    if shrink >= 1:
        return image
    size = tuple(max(1, round(side * shrink)) for side in image.shape[1::-1])
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def data_uri(image: np.ndarray, longest: int = SIZES[0]) -> str:
    """Return an image as a data URI: JPEG, or PNG where it is small.

    Args:
        image: (H, W, 3) uint8 RGB.
        longest: pixels; larger images are shrunk.
    """
    small = shrunk(image, longest)
    kind, options = ("jpeg", [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if max(image.shape[:2]) <= 64:
        kind, options = "png", []
    done, data = cv2.imencode(f".{kind}", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), options)
    assert done, "OpenCV encodes every uint8 image"
    return f"data:image/{kind};base64,{base64.b64encode(data.tobytes()).decode()}"


def data_uris(images: Sequence[np.ndarray]) -> list[str]:
    """Return the data URIs of all images of a page, as large as its budget allows."""
    uris: list[str] = []
    for longest in SIZES:
        uris = [data_uri(image, longest) for image in images]
        if sum(map(len, uris)) <= BUDGET:
            break
    return uris
