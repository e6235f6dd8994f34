"""What a person decided about pairs, and the precision that follows from the drawn ones."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import Rate
from arcwise.evaluation.intervals import wilson
from arcwise.verbs.decisions_file import read_records

DRAWN = 50
"""Pairs within clusters that are drawn to estimate their precision."""

Rows = Mapping[str, int]
"""The row of each name."""


@dataclass(frozen=True)
class PairDecision:
    """A decision about two images.

    Attributes:
        a: the name of the one.
        b: the name of the other.
        same: whether they are of one identity; None where that cannot be told.
        drawn: of which clusters the pair was drawn at random; empty for a chosen pair.
    """

    a: str
    b: str
    same: bool | None
    drawn: str = ""


@dataclass(frozen=True, eq=False)
class Decisions:
    """Decisions, those on images that are here turned into rows.

    Attributes:
        pairs: all decisions, the last one about a pair alone.
        here: those of which both images are in the data.
        must: (M, 2) rows that are the same.
        cannot: (P, 2) rows that are not.
    """

    pairs: tuple[PairDecision, ...] = ()
    here: tuple[PairDecision, ...] = ()
    must: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    cannot: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int64))

    @property
    def elsewhere(self) -> int:
        """Decisions on images that are not in the data."""
        return len(self.pairs) - len(self.here)

    @property
    def precision(self) -> Rate | None:
        """Share of pairs within clusters that are of one identity, with its 95 % interval.

        That is of the clusters which the last drawn pairs came from, as they were before anything
        was decided. Wilson's interval, for pairs drawn independently. None where none was judged of
        the images that are in the data.
        """
        drawn = [one for one in self.here if one.drawn]
        judged = [
            one.same for one in drawn if one.drawn == drawn[-1].drawn and one.same is not None
        ]
        if not judged:
            return None
        return Rate(sum(judged) / len(judged), *wilson(sum(judged), len(judged)))

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return the plain values of all decisions."""
        return [asdict(one) for one in self.pairs]


def read_decisions(path: Path, rows: Rows, title: str = "the data") -> Decisions:
    """Return the decisions of a file that the page saved.

    Args:
        path: the file.
        rows: of the images that are in the data.
        title: of the data, for errors.

    Raises:
        ArcwiseError: the file is not there, holds something else, or is about no image of the data.
    """
    listed = read_records(
        path, _decision, kind="arcwise decisions", listed="pairs", command="arcwise cluster"
    )
    last = {tuple(sorted((one.a, one.b))): one for one in listed}
    here = tuple(one for one in last.values() if one.a in rows and one.b in rows)
    if last and not here:
        raise ArcwiseError(
            f"{path}: no pair that is decided about is in {title}; expected the data that was "
            f"judged, its images named in the same way, such as {listed[0].a}"
        )
    must, cannot = (
        np.array([(rows[one.a], rows[one.b]) for one in here if one.same is same], np.int64)
        for same in (True, False)
    )
    return Decisions(tuple(last.values()), here, must.reshape(-1, 2), cannot.reshape(-1, 2))


def _decision(a: str, b: str, same: bool | None, drawn: str = "") -> PairDecision:
    if not (isinstance(a, str) and isinstance(b, str) and isinstance(drawn, str)):
        raise ValueError("an image is named by text")
    if same is not None and not isinstance(same, bool):
        raise ValueError(f"'same' is {same!r}; expected true, false or null")
    return PairDecision(a, b, same, drawn)


def drawn_pairs(labels: np.ndarray, seed: int, count: int = DRAWN) -> np.ndarray:
    """Return (≤ count, 2) rows: pairs within clusters, drawn uniformly, each once.

    Args:
        labels: (N,) clusters.
        seed: of the drawing.
        count: pairs at most.
    """
    draw = np.random.default_rng(seed)
    order = np.argsort(labels, kind="stable")
    names, start, size = np.unique(labels[order], return_index=True, return_counts=True)
    pairs = size * (size - 1) / 2
    if not pairs.sum():
        return np.zeros((0, 2), np.int64)
    of = draw.choice(len(names), count, p=pairs / pairs.sum())
    first = draw.integers(0, size[of])
    second = (first + draw.integers(1, size[of])) % size[of]
    rows = np.sort(order[start[of][:, None] + np.stack([first, second], axis=1)], axis=1)
    return np.unique(rows, axis=0).astype(np.int64)


def name_of_clusters(labels: np.ndarray, names: Sequence[str]) -> str:
    """Return a short name that only these clusters of these images have."""
    digest = hashlib.sha256(labels.astype(np.int64).tobytes())
    digest.update("\0".join(names).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]
