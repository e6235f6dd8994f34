"""Pairs to verify, as a file lists them, or the data set itself."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from arcwise import evaluation
from arcwise.data.formats.pairs import read_pairs
from arcwise.data.formats.pairs.row_names import plain_paths, row_names
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.evaluation import Verification
from arcwise.evaluation.folds import cross_validate
from arcwise.evaluation.scored import scored_pairs
from arcwise.protocols.layout import Layout
from arcwise.protocols.result import Items, Pairs, sides

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

OWN = ("a", "b", "same", "fold")

_EQUAL = 1e-5  # below 1, where two files may be one
_MOST = 10_000  # pairs whose files are compared


@dataclass(frozen=True, eq=False)
class PairList:
    """Pairs by the names of their sides.

    Attributes:
        title: where they are listed, for an error.
        name: the same for people: of the file, or of the data set.
        table: `a`, `b`, `same`, perhaps `fold`, and any other columns.
    """

    title: str
    name: str
    table: pa.Table


@dataclass(frozen=True, eq=False)
class Listed:
    """Listed pairs of items.

    Attributes:
        title: where they are listed, for an error.
        name: the same for people.
        a: (P,) int32, the first item of each pair.
        b: (P,) int32, the second.
        same: (P,) bool.
        folds: (P,) labels; None for no accuracy, because the list names none and ten contiguous
            folds would share people.
        columns: further columns, (P,) text each.
        left_out: pairs of the list with an item that is not measured.
    """

    title: str
    name: str
    a: np.ndarray
    b: np.ndarray
    same: np.ndarray
    folds: np.ndarray | None
    columns: Mapping[str, pa.ChunkedArray]
    left_out: int

    def scored(self, items: Items) -> Pairs:
        """The pairs with their scores."""
        scores = evaluation.pair_similarity(items.vectors, self.a, self.b)
        return Pairs(self.title, self.a, self.b, scores, self.same, self.folds, self.columns)


def verify(
    listed: Listed | Pairs, scores: np.ndarray, ids: np.ndarray | None, seed: int
) -> Verification:
    """Verification of pairs with these scores (P,), of items with these identities (U,).

    Where identities are not known (None), intervals take the pairs for independent.
    """
    ids_a, ids_b = sides(ids, listed.a, listed.b)
    return evaluation.verification(
        scores, listed.same, listed.folds, ids_a=ids_a, ids_b=ids_b, seed=seed
    )


def pair_list(path: Path | None, manifest: Manifest) -> PairList | None:
    """The pairs in a file (text as LFW has it if it ends in .txt, else a CSV), or the data set's.

    Args:
        path: None for those that the data set states itself, if it does.
        manifest: the whole data set.

    Raises:
        ArcwiseError: there is no such file, or it lists no pairs; the line is named.
    """
    if path is None:
        pairs = manifest.pairs
        return None if pairs is None else PairList(manifest.name, manifest.name, pairs)
    return PairList(str(path), path.name, read_pairs(path, manifest))


def of_itself(listed: Listed, items: Layout, scores: np.ndarray) -> list[str]:
    """A note on the pairs of a picture with itself, whatever its names; none if there are none.

    Args:
        listed: pairs of items.
        items: what they are of.
        scores: (P,) the similarity of each pair: where that is 1, the files are compared.
    """
    itself = listed.a == listed.b
    manifest = items.manifest
    if items.template is None and manifest.has_images:
        names = np.unique(plain_paths(row_names(manifest)).to_pylist(), return_inverse=True)[1]
        itself |= names[listed.a] == names[listed.b]
        digests: dict[int, bytes] = {}

        def content(row: int) -> bytes:
            if row not in digests:
                digests[row] = hashlib.sha256(manifest.read(row)).digest()
            return digests[row]

        for pair in np.flatnonzero(~itself & (scores > 1 - _EQUAL))[:_MOST]:
            itself[pair] = content(int(listed.a[pair])) == content(int(listed.b[pair]))
    found = np.flatnonzero(itself)
    if not len(found):
        return []
    a, b = (items.names[int(side[found[0]])] for side in (listed.a, listed.b))
    return [
        f"{len(found):,} of {len(itself):,} pairs are of a picture with itself ({a}, {b}): they "
        "are always alike, and tell nothing; take them out"
    ]


def place(pairs: PairList, items: Layout, known: Collection[str]) -> Listed:
    """The listed pairs of which both sides are measured.

    Pairs with an item that is known but not measured (it is unreadable, of another split, or of an
    identity that a model was made with) are left out and counted.

    Args:
        pairs: by names.
        items: what the sides name.
        known: every name of the data set, measured or not.

    Raises:
        ArcwiseError: a name that is not known, no pair that can be measured, pairs that are of one
            kind or contradict the identities, or folds that share people.
    """
    table = pairs.table
    places = [_places(pairs, side, items, known) for side in "ab"]
    measured = pc.and_(places[0].is_valid(), places[1].is_valid())
    count = pc.sum(measured).as_py()
    if not count:
        raise ArcwiseError(
            f"{pairs.title}: in each of the {len(table)} pairs something is not measured: it is "
            "unreadable, of another split, or of an identity that a model was made with; list "
            f"pairs of the {len(items.names)} {items.kind} that are left"
        )
    if count < len(table):
        table = table.filter(measured)
        places = [one.filter(measured) for one in places]
    listed = Listed(
        pairs.title,
        pairs.name,
        places[0].to_numpy(),
        places[1].to_numpy(),
        table.column("same").to_numpy(),
        _labels(table.column("fold")) if "fold" in table.column_names else None,
        {name: table.column(name) for name in table.column_names if name not in OWN},
        len(pairs.table) - count,
    )
    return _checked(listed, items)


def _places(pairs: PairList, side: str, items: Layout, known: Collection[str]) -> pa.ChunkedArray:
    """(P,) int32 the item that each name means; none for one that is known and not measured."""
    column = pairs.table.column(side)
    found = pc.index_in(column, value_set=pa.array(items.names, column.type))
    if found.null_count:
        every = pa.array(sorted(set(known)), column.type)
        lost = pc.and_not(found.is_null(), pc.is_in(column, value_set=every))
        row = pc.index(lost, True).as_py()
        if row >= 0:
            raise ArcwiseError(
                f"{pairs.title}: row {row + 1}: {column[row].as_py()!r} is not one of the "
                f"{len(every)} {items.kind} of {items.manifest.name}; expected names as the data "
                "set writes them"
            )
    return found


def _labels(column: pa.ChunkedArray) -> np.ndarray:
    """(P,) labels of folds: whole numbers, or texts."""
    if pa.types.is_integer(column.type):
        return column.to_numpy()
    encoded = column.combine_chunks().dictionary_encode()
    return np.array(encoded.dictionary.to_pylist())[encoded.indices.to_numpy()]


def _checked(listed: Listed, items: Layout) -> Listed:
    """The pairs, if the protocol takes them; asked before any picture is embedded.

    Where no folds are named they are in ten contiguous ones, as LFW has them, if these share
    nobody.

    Raises:
        ArcwiseError: naming the list.
    """
    ids = items.identities
    if ids is not None:
        _agreeing(listed, items.names, ids)
    try:
        scores = np.zeros(len(listed.a), np.float32)
        pairs = scored_pairs(scores, listed.same, *sides(ids, listed.a, listed.b))
        if ids is not None and pairs.people is not None:  # by names, in an error about folds
            people = replace(pairs.people, names=np.unique(ids)[pairs.people.names])
            pairs = replace(pairs, people=people)
        if listed.folds is not None:
            cross_validate(pairs, listed.folds)
            return listed
    except ArcwiseError as problem:
        raise ArcwiseError(f"{listed.title}: {problem}") from None
    ten = np.repeat(np.arange(10), [len(part) for part in np.array_split(listed.a, 10)])
    try:
        cross_validate(pairs, ten)
    except ArcwiseError:
        return listed
    return replace(listed, folds=ten)


def _agreeing(listed: Listed, names: Sequence[str], ids: np.ndarray) -> None:
    """Nothing, if the same are of one identity, and no others."""
    numbers = np.unique(ids, return_inverse=True)[1].astype(np.int32)
    wrong = np.flatnonzero((numbers[listed.a] == numbers[listed.b]) != listed.same)
    if len(wrong):
        a, b, same = (int(one[wrong[0]]) for one in (listed.a, listed.b, listed.same))
        raise ArcwiseError(
            f"{listed.title}: {names[a]} is {ids[a]}, {names[b]} is {ids[b]}, and same is {same}; "
            f"expected them to agree ({len(wrong):,} such pairs)"
        )
