"""Pairs to verify, as a table lists them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from arcwise import evaluation
from arcwise.data.formats.comma import parse_csv
from arcwise.errors import ArcwiseError
from arcwise.evaluation import Verification
from arcwise.verbs.evaluated import Items, Pairs
from arcwise.verbs.protocols.layout import Layout

OWN = ("a", "b", "same", "fold")


@dataclass(frozen=True, eq=False)
class Listed:
    """A table of pairs of items.

    Attributes:
        path: the file.
        a: (P,) int64, the first item of each pair.
        b: (P,) int64, the second.
        same: (P,) bool.
        folds: (P,) labels; None for no accuracy, because the table names none and ten contiguous
            folds would share people.
        columns: further columns, (P,) text each.
        left_out: pairs of the table with an item that is not measured.
    """

    path: Path
    a: np.ndarray
    b: np.ndarray
    same: np.ndarray
    folds: np.ndarray | None
    columns: Mapping[str, Sequence[str]]
    left_out: int

    def scored(self, items: Items) -> Pairs:
        """The pairs with their scores."""
        scores = evaluation.pair_similarity(items.vectors, self.a, self.b)
        return Pairs(self.path, self.a, self.b, scores, self.same, self.folds, self.columns)


def verify(
    listed: Listed | Pairs, scores: np.ndarray, ids: np.ndarray, seed: int, **more: Any
) -> Verification:
    """Verification of pairs with these scores (P,), of items with these identities (U,).

    Raises:
        ArcwiseError: naming the table: the pairs are of one kind, contradict the identities, or
            their folds share people.
    """
    sides = {"ids_a": ids[listed.a], "ids_b": ids[listed.b]}
    try:
        return evaluation.verification(
            scores, listed.same, listed.folds, seed=seed, **sides, **more
        )
    except ArcwiseError as problem:
        raise ArcwiseError(f"{listed.path}: {problem}") from None


def read_pairs(path: Path, items: Layout, known: Collection[str]) -> Listed:
    """The pairs of a CSV of `a`, `b`, `same`, perhaps `fold`, and any other columns.

    Pairs with an item that is known but not measured (it is unreadable, of another split, or of an
    identity that a model was made with) are left out and counted.

    Args:
        path: the file.
        items: what the sides name.
        known: every name of the data set, measured or not.

    Raises:
        ArcwiseError: no such table, a name that is not known, or no pair that can be measured.
    """
    columns = _columns(path)
    place = {name: number for number, name in enumerate(items.names)}
    known = set(known)
    for side in "ab":
        for row, name in enumerate(columns[side]):
            if name not in known:
                raise ArcwiseError(
                    f"{path}: row {row + 1}: {name!r} is not one of the {len(known)} {items.kind} "
                    f"of {items.manifest.name}; expected names as the data set writes them"
                )
    for row, same in enumerate(columns["same"]):
        if same not in ("0", "1"):
            raise ArcwiseError(f"{path}: row {row + 1}: same is {same!r}; expected 1 or 0")
    sides = zip(columns["a"], columns["b"], strict=True)
    rows = [row for row, (a, b) in enumerate(sides) if a in place and b in place]
    if not rows:
        raise ArcwiseError(
            f"{path}: in each of the {len(columns['a'])} pairs something is not measured: it is "
            "unreadable, of another split, or of an identity that a model was made with; list "
            f"pairs of the {len(place)} {items.kind} that are left"
        )
    kept = {name: [values[row] for row in rows] for name, values in columns.items()}
    a, b = (np.array([place[name] for name in kept[side]]) for side in "ab")
    listed = Listed(
        path,
        a,
        b,
        np.array(kept["same"]) == "1",
        np.array(kept["fold"]) if "fold" in kept else None,
        {name: values for name, values in kept.items() if name not in OWN},
        len(columns["a"]) - len(rows),
    )
    _check(listed, items.ids)
    return listed if "fold" in kept else _in_ten(listed, items.ids)


def _check(listed: Listed, ids: np.ndarray) -> None:
    """Nothing, if the protocol takes these pairs; asked before any picture is embedded."""
    verify(listed, np.arange(len(listed.a)), ids, seed=0, draws=0)


def _in_ten(listed: Listed, ids: np.ndarray) -> Listed:
    """The pairs in ten contiguous folds, as LFW has them, if these share nobody."""
    sizes = [len(part) for part in np.array_split(listed.a, 10)]
    ten = replace(listed, folds=np.repeat(np.arange(10), sizes))
    try:
        _check(ten, ids)
    except ArcwiseError:
        return listed
    return ten


def _columns(path: Path) -> dict[str, list[str]]:
    try:
        table = parse_csv(path.read_bytes(), str(path))
    except OSError as error:
        raise ArcwiseError(f"{path}: cannot be read ({error.strerror})") from None
    lacking = sorted({"a", "b", "same"} - set(table.column_names))
    if lacking or not table.num_rows:
        found = f"no column {', '.join(lacking)}" if lacking else "no pair in it"
        raise ArcwiseError(
            f"{path}: {found}; expected a, b and same (1 or 0), and perhaps fold, a line a pair"
        )
    return {name: table.column(name).to_pylist() for name in table.column_names}
