"""The parts of a report: plain frozen values that the template renders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import Rate


@dataclass(frozen=True)
class RateDifference:
    """The difference of two rates, shown in percentage points."""

    rate: Rate


Cell = str | int | float | Rate | RateDifference
"""A cell of a table: a `Rate` in per cent with its interval, other floats with four digits."""

Frame = Literal["neutral", "right", "wrong", "answer", "suspect"]
"""The verdict on an image: shown as a colour, a line style and a mark."""


@dataclass(frozen=True)
class Number:
    """One result worth a large figure.

    Attributes:
        label: name of the number.
        value: the number.
        note: its conditions.
    """

    label: str
    value: Cell
    note: str = ""


@dataclass(frozen=True)
class Numbers:
    """The main results, in large figures."""

    title: str
    items: Sequence[Number]
    note: str = ""


@dataclass(frozen=True)
class Facts:
    """Names and values in a box, such as the data and the model of a measurement."""

    title: str
    items: Sequence[tuple[str, Cell]]
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Rows under a header; the first column names the row."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ArcwiseError(
                    f"table {self.title!r}: a row has {len(row)} cells and the header "
                    f"{len(self.header)}, expected as many"
                )


@dataclass(frozen=True)
class Plot:
    """A plot from `arcwise.report.plots`: `svg` goes into the page as it is."""

    title: str
    svg: str
    note: str = ""


@dataclass(frozen=True, eq=False)
class CaptionedImage:
    """One image with its caption and verdict.

    Attributes:
        image: (H, W, 3) uint8 RGB; or the reason why it cannot be shown.
        caption: a line or two below it.
        frame: the verdict on it.
    """

    image: np.ndarray | str
    caption: str = ""
    frame: Frame = "neutral"


@dataclass(frozen=True)
class Strip:
    """Images side by side: a pair, or a query and its answers.

    Attributes:
        images: from left to right.
        label: text above them.
        frame: the verdict on all of them.
    """

    images: Sequence[CaptionedImage]
    label: str = ""
    frame: Frame = "neutral"


@dataclass(frozen=True)
class ImageStrips:
    """Strips of images."""

    title: str
    rows: Sequence[Strip] = field(default_factory=tuple)
    note: str = ""

    @property
    def widest(self) -> int:
        """Number of images in the longest strip."""
        return max((len(strip.images) for strip in self.rows), default=0)


Section = Numbers | Facts | Table | Plot | ImageStrips
