"""Text with a record a line, its words separated by blanks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from arcwise.errors import ArcwiseError

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them


@dataclass(frozen=True, eq=False)
class WordLines:
    """The lines of a text that hold any.

    Attributes:
        title: what the text is called in an error.
        lines: (N,) int64, the number of each line in the file, counted from 1.
        counts: (N,) int64, how many words each line has.
    """

    title: str
    lines: NDArray[np.int64]
    counts: NDArray[np.int64]
    _starts: NDArray[np.int64] = field(repr=False)
    _words: pa.Array = field(repr=False)

    def __len__(self) -> int:
        return len(self.lines)

    def after(self, row: int) -> WordLines:
        """Return the lines from this one on."""
        parts = (self.lines[row:], self.counts[row:], self._starts[row:])
        return WordLines(self.title, *parts, self._words)

    def column(self, place: int | NDArray[np.int64]) -> pa.Array:
        """Return (N,) text: the word at this place of every line, which has to have one."""
        return self._words.take(pa.array(self._starts + place))

    def line(self, row: int) -> list[str]:
        """Return the words of a line."""
        start = self._starts[row]
        return self._words[start : start + self.counts[row]].to_pylist()

    def wrong(self, row: int | np.integer, message: str) -> ArcwiseError:
        """Return the error that names a line."""
        return ArcwiseError(f"{self.title}: line {self.lines[row]} {message}")


def split_words(data: bytes, title: str, *, tabs: bool = False) -> WordLines:
    """Return the words of a text; lines that are empty, or begin with #, are left out.

    Args:
        data: UTF-8.
        title: what to call it in an error.
        tabs: whether words may have blanks in them where tabs separate, as in the second line.

    Raises:
        ArcwiseError: it is no text.
    """
    text = decode_text(data, title)
    every = pc.split_pattern(pa.array([text], pa.large_string()), "\n").flatten()
    every = pc.utf8_trim_whitespace(every)
    kept = pc.and_not(pc.not_equal(every, ""), pc.starts_with(every, "#"))
    lines = every.filter(kept)
    if tabs and any("\t" in line for line in lines[:2].to_pylist()[-1:]):
        words = pc.split_pattern(lines, "\t")
    else:
        words = pc.utf8_split_whitespace(lines)
    counts = pc.list_value_length(words).to_numpy(zero_copy_only=False).astype(np.int64)
    starts = np.cumsum(counts) - counts
    numbers = np.flatnonzero(kept.to_numpy(zero_copy_only=False)) + 1
    return WordLines(title, numbers, counts, starts, words.flatten())


def decode_text(data: bytes, title: str) -> str:
    """Return a text in UTF-8, its lines ended by a line feed, perhaps with a return before it.

    Raises:
        ArcwiseError: it is not UTF-8; the message names the line.
    """
    if b"\r" in data and b"\n" not in data:
        data = data.replace(b"\r", b"\n")
    try:
        return data.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        raise ArcwiseError(f"{title}: line {line} is not UTF-8 text") from None
