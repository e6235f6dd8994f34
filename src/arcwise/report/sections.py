"""What a report is made of: plain frozen values, drawn by the template and by nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import Rate


@dataclass(frozen=True)
class Difference:
    """How much higher one rate is than another: shown in points of a per cent."""

    rate: Rate


Cell = str | int | float | Rate | Difference
"""A `Rate` shows as per cent with its interval; other floats with four digits."""

Frame = Literal["neutral", "right", "wrong", "answer"]
"""Whether the system was right, or what it answered: a colour, a kind of line, and a mark."""


@dataclass(frozen=True)
class Number:
    """One result worth a large figure.

    Attributes:
        label: what it is, in the reader's words.
        value: the number.
        note: at what, of what.
    """

    label: str
    value: Cell
    note: str = ""


@dataclass(frozen=True)
class Numbers:
    """The few results a reader came for."""

    title: str
    items: Sequence[Number]
    note: str = ""


@dataclass(frozen=True)
class Facts:
    """What exactly was measured, on what: names and values in a box."""

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
class Picture:
    """One picture with what is to be said about it.

    Attributes:
        image: (H, W, 3) uint8 RGB; or a few words in its place, why it cannot be shown.
        caption: a line or two below it.
        frame: whether the system was right about it.
    """

    image: np.ndarray | str
    caption: str = ""
    frame: Frame = "neutral"


@dataclass(frozen=True)
class Strip:
    """Pictures side by side: a pair, or a query and what was found for it.

    Attributes:
        pictures: from left to right.
        label: what is to be said about them together.
        frame: whether the system was right about them together.
    """

    pictures: Sequence[Picture]
    label: str = ""
    frame: Frame = "neutral"


@dataclass(frozen=True)
class Pictures:
    """Strips of pictures."""

    title: str
    rows: Sequence[Strip] = field(default_factory=tuple)
    note: str = ""

    @property
    def widest(self) -> int:
        """Pictures in the longest strip."""
        return max((len(strip.pictures) for strip in self.rows), default=0)


Section = Numbers | Facts | Table | Plot | Pictures
