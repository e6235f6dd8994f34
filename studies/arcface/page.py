"""docs/arcface.md: each study writes its own part, between two marks, and its pictures."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from arcwise.report import drawing

DOCS = Path(__file__).parents[2] / "docs"
OWN = Path("runs") / "arcface"
"""For pictures that are the reader's own to look at."""

PAGE = DOCS / "arcface.md"

GREY = "#797979"
"""As far from white as from the black of a dark page: a picture in a page does not know which."""

COLOURS = (*drawing.COLOURS, "#8a8f2a", "#a97c50")
"""Two more, for eight identities."""


def write(part: str, text: str) -> None:
    """Put the text between the marks of this part."""
    replace(PAGE, between(PAGE.read_text(), part, text))


def between(page: str, part: str, text: str) -> str:
    """The page with the text between the marks of this part, which have to be there."""
    mark, end = f"<!-- {part}: written by `python studies/{part}.py` -->", f"<!-- end of {part} -->"
    head, found, rest = page.partition(mark)
    _, closed, tail = rest.partition(end)
    assert found, f"{PAGE}: {mark} is missing"
    assert closed, f"{PAGE}: {end} is missing"
    return f"{head}{mark}\n\n{text.strip()}\n\n{end}{tail}"


def picture(name: str, figure: Figure, description: str) -> str:
    """Write docs/images/arcface_NAME.svg; what shows it in the page."""
    replace(DOCS / "images" / f"arcface_{name}.svg", drawn(figure, description))
    return f"![{description}](images/arcface_{name}.svg)"


def own_picture(name: str, figure: Figure, description: str) -> str:
    """Write runs/arcface/NAME.svg, and nothing into the project; what says so in the page."""
    replace(OWN / f"{name}.svg", drawn(figure, description))
    return f"(Drawn where the study is run, in `{OWN / name}.svg`: vectors of people stay there.)"


def drawn(figure: Figure, description: str) -> str:
    """The figure's SVG, to stand in a page that is white or black."""
    with drawing.look():  # which says how text is written
        text = drawing.svg(figure, description).replace("currentColor", GREY)
    width, height = (figure.get_size_inches() * 96).round().astype(int)
    text = re.sub(r"(\d\.\d\d)\d+", r"\1", text)  # a hundredth of a point is enough
    return text.replace("<svg", f'<svg width="{width}" height="{height}"', 1) + "\n"


def panels(
    count: int, columns: int, side: float, height: float | None = None, **kwargs: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of so many axes in rows, each `side` inches wide."""
    rows = -(-count // columns)
    figure = Figure(figsize=(columns * side, rows * (height or side)), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, **kwargs).ravel().tolist()
    for empty in grid[count:]:
        empty.remove()
    return figure, grid[:count]


def replace(path: Path, text: str) -> None:
    """Write beside and rename into place."""
    beside = path.with_suffix(".part")
    beside.write_text(re.sub(r"[ \t]+\n", "\n", text))
    os.replace(beside, path)
