"""Score files of the biometrics world: a line a comparison, with identities and a score."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from arcwise.data.formats.word_lines import WordLines, split_words
from arcwise.errors import ArcwiseError
from arcwise.files import read_file

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_COLUMNS = {
    2: (),
    4: ("claimed", "real", "probe"),
    5: ("claimed", "model", "real", "probe"),
}
_LINES = (
    "expected 'claimed-id real-id probe score', 'claimed-id model real-id probe score', or "
    "'-1 score' and '1 score'"
)
_SAME = {"1": True, "+1": True, "-1": False}
_NUMBER = r"^(?i:[-+]?((\d+\.?\d*|\.\d+)(e[-+]?\d+)?|nan))$"
_SHOWN = 60


@dataclass(frozen=True, eq=False)
class Scores:
    """Comparisons with their scores, higher is closer.

    Attributes:
        scores: (N,) float64; NaN where there is no score, because something could not be acquired.
        same: (N,) bool, whether claimed and real identity are one.
        claimed: (N,) text, the identity that is claimed; None where the file does not say.
        real: (N,) text, whose the probe is.
        probe: (N,) text, what the probe is called.
        model: (N,) text, what it was compared with; None in files of four columns or two.
    """

    scores: NDArray[np.float64]
    same: NDArray[np.bool_]
    claimed: NDArray[np.object_] | None = None
    real: NDArray[np.object_] | None = None
    probe: NDArray[np.object_] | None = None
    model: NDArray[np.object_] | None = None

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def failed(self) -> NDArray[np.bool_]:
        """(N,) whether a comparison has no score; count these, then measure `acquired`."""
        return np.isnan(self.scores)

    def acquired(self) -> Scores:
        """Return the comparisons that have a score."""
        kept = ~self.failed
        columns = (self.claimed, self.real, self.probe, self.model)
        texts = (None if column is None else column[kept] for column in columns)
        return Scores(self.scores[kept], self.same[kept], *texts)


def read_scores(path: Path) -> Scores:
    """Return the comparisons of a score file of two, four or five columns, with blanks between.

    Raises:
        ArcwiseError: it cannot be read, or a line is malformed; the line is named.
    """
    try:
        words = split_words(read_file(path), str(path))
    except OSError as problem:
        raise ArcwiseError(f"{path}: cannot be read ({problem.strerror})") from None
    if not len(words):
        raise ArcwiseError(f"{path}: no score in it; {_LINES}, a line a comparison")
    count = int(words.counts[0])
    if count not in _COLUMNS:
        raise words.wrong(0, f"has {count} words; {_LINES}")
    for row in np.flatnonzero(words.counts != count)[:1]:
        raise words.wrong(
            row, f"has {words.counts[row]} words, and the ones before have {count}; {_LINES}"
        )
    scores = _numbers(words, count - 1)
    if count == 2:
        return Scores(scores, _same(words))
    columns = {name: words.column(place) for place, name in enumerate(_COLUMNS[count])}
    same = pc.equal(columns["claimed"], columns["real"]).to_numpy(zero_copy_only=False)
    texts = {name: column.to_numpy(zero_copy_only=False) for name, column in columns.items()}
    return Scores(scores, same, **texts)


def write_scores(scores: Scores, path: Path) -> None:
    """Write a score file: with the model five columns, with the identities four, else two.

    Raises:
        ArcwiseError: a name is empty or has a blank in it, which would end it.
    """
    columns = [pa.array(np.where(scores.same, "1", "-1"), pa.large_string())]
    if scores.claimed is not None:
        named = (scores.claimed, scores.model, scores.real, scores.probe)
        columns = [pa.array(one, pa.large_string()) for one in named if one is not None]
    for column in columns:
        row = pc.index(pc.match_substring_regex(column, r"^[^\s#]\S*$"), False).as_py()
        if row >= 0:
            raise ArcwiseError(
                f"{path}: comparison {row + 1} has the name {column[row].as_py()!r}; expected one "
                "without blanks in it and no # before it, for they separate"
            )
    numbers = pa.array([repr(one) for one in scores.scores.tolist()], pa.large_string())
    blank = pa.scalar(" ", pa.large_string())
    lines = pc.binary_join_element_wise(*columns, numbers, blank).to_pylist()
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def _numbers(words: WordLines, place: int) -> NDArray[np.float64]:
    texts = words.column(place)
    row = pc.index(pc.match_substring_regex(texts, _NUMBER), False).as_py()
    if row < 0:
        scores = texts.cast(pa.float64()).to_numpy()
        if not np.isinf(scores).any():
            return scores
        row = int(np.flatnonzero(np.isinf(scores))[0])  # 1e999
    raise words.wrong(
        row,
        f"has the score {texts[row].as_py()[:_SHOWN]!r}; expected a number, or nan where there "
        "is none",
    )


def _same(words: WordLines) -> NDArray[np.bool_]:
    flags = words.column(0)
    place = pc.index_in(flags, pa.array(list(_SAME), flags.type))
    row = pc.index(place.is_null(), True).as_py()
    if row >= 0:
        raise words.wrong(row, f"has {flags[row].as_py()[:_SHOWN]!r}; {_LINES}")
    return np.array(list(_SAME.values()))[place.to_numpy()]
