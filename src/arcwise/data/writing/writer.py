"""What every form of data set that pictures are copied into has in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Writer(Protocol):
    """Takes the pictures of a manifest in the order of its rows, into files of a work folder.

    What was added, the last megabytes perhaps excepted, is found again by `resume` after any
    interruption but a lost power supply. Two ways to the end give the same bytes.

    Attributes:
        notes: what the user has to know of what `finish` wrote, a line each.
    """

    notes: tuple[str, ...]

    def resume(self) -> int:
        """The row after the last one that is whole in the work folder; the rest is cut off."""
        ...

    def add(self, row: int, data: bytes) -> None:
        """Appends the picture of one row; rows come in order, some may be left out."""
        ...

    def finish(self, rows: Sequence[int]) -> list[str]:
        """Writes what describes the pictures, and closes.

        Args:
            rows: all rows that were added, of this attempt and of earlier ones.

        Returns:
            The names of the files in the work folder, in the order in which they go to their
            place; the one that readers open comes last.
        """
        ...

    def close(self) -> None:
        """Lets go of the files without finishing; what was added is on disk."""
        ...
