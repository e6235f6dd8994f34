"""One HTML file that holds a whole report: no network, no script, light and dark, printable."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from arcwise.errors import ArcwiseError
from arcwise.evaluation import Rate
from arcwise.report.sections import Cell, Section

_LONGEST = 320  # pixels; a report shows pictures, it does not archive them
_JPEG_QUALITY = 85


def write_report(
    path: str | os.PathLike[str], title: str, sections: Sequence[Section], summary: str = ""
) -> Path:
    """Return the path of the report just written, beside first and then renamed.

    Args:
        path: the HTML file; its folder is made where there is none.
        title: heading of the page.
        sections: in the order in which they are read.
        summary: a sentence or two that say what came out.
    """
    target = Path(path)
    text = render(title, sections, summary)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
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
    environment.filters |= {"uri": data_uri, "cell": cell, "is_number": is_number}
    page = environment.get_template("report.html")
    return page.render(
        title=title,
        summary=summary,
        sections=[(type(section).__name__.lower(), section) for section in sections],
        svg=_svg,
    )


def data_uri(image: np.ndarray) -> str:
    """Return a picture as the address of itself, at most 320 pixels long.

    JPEG for photographs; PNG for small pictures, where it is exact.

    Args:
        image: (H, W, 3) uint8 RGB.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ArcwiseError(
            f"a picture is {image.dtype} of shape {image.shape}, expected uint8 (H, W, 3): "
            "decode it with arcwise.images first"
        )
    shrink = _LONGEST / max(image.shape[:2])
    if shrink < 1:
        size = tuple(max(1, round(side * shrink)) for side in image.shape[1::-1])
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    kind, options = ("jpeg", [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if max(image.shape[:2]) <= 64:
        kind, options = "png", []
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(f".{kind}", pixels, options)
    assert done, "OpenCV encodes every uint8 picture"
    return f"data:image/{kind};base64,{base64.b64encode(data.tobytes()).decode()}"


def cell(value: Cell) -> Markup | str:
    """Return a value as it stands in a table: a rate in per cent, with its interval below."""
    if isinstance(value, Rate):
        if not value.resolved:
            return Markup('<span class="muted" title="{}">not resolved</span>').format(
                "too few pairs for this error rate"
            )
        return Markup('{} <span class="interval">{} – {}</span>').format(
            _percent(value), _percent(value.low), _percent(value.high)
        )
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}".replace(",", "\u202f")
    return value


def is_number(value: Cell) -> bool:
    """Return whether a value stands on the right of its column."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _percent(value: float) -> str:
    return f"{100 * value:.2f}\u202f%"


def _is_svg(text: str) -> bool:
    return text.startswith("<svg") and text.endswith("</svg>")


def _svg(text: str) -> Markup:
    """Return a plot as trusted text; refused when it is not one of ours."""
    if not _is_svg(text) or "<script" in text.lower():
        raise ArcwiseError(
            f"a plot begins with {text[:20]!r}, expected the SVG of a function in report.plots"
        )
    return Markup(text)  # drawn by us, names in it escaped by the drawing library
