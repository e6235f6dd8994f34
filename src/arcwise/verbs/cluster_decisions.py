"""What a person decided about pairs, and the precision that follows from the drawn ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import Rate
from arcwise.evaluation.intervals import wilson
from arcwise.files import read_file

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
        must: (M, 2) rows that are the same.
        cannot: (P, 2) rows that are not.
        elsewhere: decisions on images that are not in the data.
    """

    pairs: tuple[PairDecision, ...] = ()
    must: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    cannot: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    elsewhere: int = 0

    @property
    def precision(self) -> Rate | None:
        """Share of pairs within clusters that are of one identity, with its 95 % interval.

        That is of the clusters which the last drawn pairs came from, as they were before anything
        was decided. Wilson's interval, for pairs drawn independently. None where none was judged.
        """
        drawn = [one for one in self.pairs if one.drawn]
        judged = [
            one.same for one in drawn if one.drawn == drawn[-1].drawn and one.same is not None
        ]
        if not judged:
            return None
        return Rate(sum(judged) / len(judged), *wilson(sum(judged), len(judged)))

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return the plain values of all decisions."""
        return [asdict(one) for one in self.pairs]


def read_decisions(path: Path, rows: Rows) -> Decisions:
    """Return the decisions of a file that the page saved.

    Raises:
        ArcwiseError: the file is not there, or holds something else.
    """
    try:
        document = json.loads(read_file(path))
        if document["kind"] != "arcwise decisions":
            raise ValueError(document["kind"])
        listed = [PairDecision(**one) for one in document["pairs"]]
        good = all(
            isinstance(one.a, str) and isinstance(one.b, str) and one.same in (True, False, None)
            for one in listed
        )
        if not good:
            raise ValueError("a pair")
    except (KeyError, TypeError, ValueError):
        raise ArcwiseError(
            f"{path}: holds no decisions; expected the file that the page of `arcwise cluster` "
            "saves"
        ) from None
    last = {tuple(sorted((one.a, one.b))): one for one in listed}
    known = {True: [], False: [], None: []}
    elsewhere = 0
    for one in last.values():
        if one.a in rows and one.b in rows:
            known[one.same].append((rows[one.a], rows[one.b]))
        else:
            elsewhere += 1
    must, cannot = (np.array(known[same], np.int64).reshape(-1, 2) for same in (True, False))
    return Decisions(tuple(last.values()), must, cannot, elsewhere)


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
