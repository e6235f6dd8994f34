"""Pairs to verify: as a file or the data set lists them, or drawn where none are listed."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from arcwise.protocols.template_set import TemplateSet

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

MAX_DRAWN = 2**21
"""Pairs that are drawn at most to break down and to compare; headline numbers rest on all pairs."""

_COLUMNS = ("a", "b", "same", "fold")
_NEARLY_ONE = 1 - 1e-5  # similarity above which two files may be one
_MOST_READ = 10_000  # pairs whose files are compared


@dataclass(frozen=True)
class PairList:
    """Pairs by the names of their two sides.

    Attributes:
        title: where they are listed, for an error.
        name: the same for people: of the file, or of the data set.
        table: `a`, `b`, `same`, perhaps `fold`, and any other columns.
    """

    title: str
    name: str
    table: pa.Table


@dataclass(frozen=True, eq=False)
class PairSet:
    """P pairs of templates.

    Attributes:
        description: which pairs these are, in words.
        a: (P,) int, the first template of each pair.
        b: (P,) int, the second.
        same: (P,) bool, whether both are of one identity.
        source: the name of the list that has them; empty for drawn pairs.
        folds: (P,) labels; None for no accuracy, because the list names none and ten contiguous
            folds would share people.
        columns: the list's further columns, (P,) text each.
        left_out: pairs of the list with a side that is not measured.
    """

    description: str
    a: np.ndarray
    b: np.ndarray
    same: np.ndarray
    source: str = ""
    folds: np.ndarray | None = None
    columns: Mapping[str, pa.ChunkedArray] = field(default_factory=dict)
    left_out: int = 0

    @property
    def listed(self) -> bool:
        """Whether a file or the data set lists them."""
        return bool(self.source)

    def similarities(self, vectors: np.ndarray) -> np.ndarray:
        """Return (P,) float32 cosines of the pairs, from (U, D) unit vectors of the templates."""
        return evaluation.pair_similarity(vectors, self.a, self.b)

    def verification(
        self, scores: np.ndarray, identities: np.ndarray | None, seed: int
    ) -> Verification:
        """Return verification of the pairs by their scores.

        Args:
            scores: (P,) similarities.
            identities: (U,) of the templates; None, where they are not known, for intervals that
                take the pairs for independent.
            seed: of the intervals.
        """
        ids_a, ids_b = identity_numbers(identities, self.a, self.b)
        return evaluation.verification(
            scores, self.same, self.folds, ids_a=ids_a, ids_b=ids_b, seed=seed
        )


def identity_numbers(
    identities: np.ndarray | None, a: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
    """Return (P,) int32 numbers of the identities of both sides; None where these are not known.

    Millions of pairs hold numbers in a fifth of the memory of names.

    Args:
        identities: (U,) the identity of each template.
        a: (P,) the first template of each pair.
        b: (P,) the second.
    """
    if identities is None:
        return None, None
    numbers = np.unique(identities, return_inverse=True)[1].astype(np.int32)
    return numbers[a], numbers[b]


def read_pair_list(path: Path | None, manifest: Manifest) -> PairList | None:
    """Return the pairs in a file (text as LFW has it if it ends in .txt, else a CSV).

    Args:
        path: None for the pairs that the data set states itself, if it does.
        manifest: the whole data set.

    Raises:
        ArcwiseError: there is no such file, or it lists no pairs; the line is named.
    """
    if path is None:
        pairs = manifest.pairs
        return None if pairs is None else PairList(manifest.name, manifest.name, pairs)
    return PairList(str(path), path.name, read_pairs(path, manifest))


def listed_pairs(
    pair_list: PairList, templates: TemplateSet, known_names: Collection[str]
) -> PairSet:
    """Return the listed pairs of which both sides are measured.

    Pairs with a side that is known but not measured (it is unreadable, of another split, or of an
    identity that a model was made with) are left out and counted. Where no folds are named, the
    pairs are in ten contiguous ones, as LFW has them, if these share nobody.

    Args:
        pair_list: pairs by names.
        templates: what the names stand for.
        known_names: every name of the data set, measured or not.

    Raises:
        ArcwiseError: a name that is not known, no pair that can be measured, pairs that are of one
            kind or contradict the identities, or folds that share people.
    """
    table = pair_list.table
    sides = [_template_of(pair_list, side, templates, known_names) for side in "ab"]
    measured = pc.and_(sides[0].is_valid(), sides[1].is_valid())
    count = pc.sum(measured).as_py()
    if not count:
        raise ArcwiseError(
            f"{pair_list.title}: in each of the {len(table)} pairs something is not measured: it "
            "is unreadable, of another split, or of an identity that a model was made with; list "
            f"pairs of the {len(templates.names)} {templates.kind} that are left"
        )
    if count < len(table):
        table = table.filter(measured)
        sides = [side.filter(measured) for side in sides]
    pairs = PairSet(
        description=f"the pairs of {pair_list.name}",
        a=sides[0].to_numpy(),
        b=sides[1].to_numpy(),
        same=table.column("same").to_numpy(),
        source=pair_list.name,
        folds=_fold_labels(table.column("fold")) if "fold" in table.column_names else None,
        columns={name: table.column(name) for name in table.column_names if name not in _COLUMNS},
        left_out=len(pair_list.table) - count,
    )
    if templates.identities is not None:
        _check_agreement(pair_list.title, pairs, templates.names, templates.identities)
    return _checked_folds(pair_list.title, pairs, templates.identities)


def self_pairs_note(pairs: PairSet, templates: TemplateSet, scores: np.ndarray) -> list[str]:
    """Return a note on listed pairs of an image with itself, whatever its names; [] without any.

    Args:
        pairs: pairs of templates.
        templates: what they are of.
        scores: (P,) the similarity of each pair: where that is 1, the files are compared.
    """
    with_itself = pairs.a == pairs.b
    manifest = templates.manifest
    if templates.template_of_row is None and manifest.has_images:
        names = np.unique(plain_paths(row_names(manifest)).to_pylist(), return_inverse=True)[1]
        with_itself |= names[pairs.a] == names[pairs.b]
        digests: dict[int, bytes] = {}

        def digest(row: int) -> bytes:
            if row not in digests:
                digests[row] = hashlib.sha256(manifest.read(row)).digest()
            return digests[row]

        for pair in np.flatnonzero(~with_itself & (scores > _NEARLY_ONE))[:_MOST_READ]:
            with_itself[pair] = digest(int(pairs.a[pair])) == digest(int(pairs.b[pair]))
    places = np.flatnonzero(with_itself)
    if not len(places):
        return []
    a, b = (templates.names[int(side[places[0]])] for side in (pairs.a, pairs.b))
    return [
        f"{len(places):,} of {len(with_itself):,} pairs are of an image with itself ({a}, {b}): "
        "they are always alike, and tell nothing; take them out"
    ]


def drawn_pairs(ids: np.ndarray, seed: int, most: int = MAX_DRAWN) -> PairSet:
    """Return all pairs of (U,) templates if there are at most `most`, otherwise a sample.

    The sample has half of `most` mated pairs (all, if there are no more) and is filled up with
    impostor pairs. The seed decides which.
    """
    codes = np.unique(ids, return_inverse=True)[1]
    count = len(codes)
    total = count * (count - 1) // 2
    if total <= most:
        a, b = np.triu_indices(count, 1)
        return PairSet(f"all {total:,} pairs", a, b, codes[a] == codes[b])
    rng = np.random.default_rng(seed)
    sizes = np.bincount(codes)
    mated = int((sizes * (sizes - 1) // 2).sum())
    takes_all = mated <= most // 2
    numbers = np.arange(mated) if takes_all else _distinct_numbers(mated, most // 2, rng)
    a, b = _mated_pairs(codes, numbers)
    first, second = _impostor_pairs(codes, min(most - len(a), total - mated), rng)
    same = np.arange(len(a) + len(first)) < len(a)
    description = (
        f"{len(a):,} of {mated:,} mated and {len(first):,} of {total - mated:,} impostor pairs, "
        "drawn by the seed"
    )
    return PairSet(description, np.concatenate([a, first]), np.concatenate([b, second]), same)


def _template_of(
    pair_list: PairList, side: str, templates: TemplateSet, known_names: Collection[str]
) -> pa.ChunkedArray:
    """Return (P,) int32 the template of each name; null for a known one that is not measured."""
    column = pair_list.table.column(side)
    places = pc.index_in(column, value_set=pa.array(templates.names, column.type))
    if places.null_count:
        known = pa.array(sorted(set(known_names)), column.type)
        unknown = pc.and_not(places.is_null(), pc.is_in(column, value_set=known))
        row = pc.index(unknown, True).as_py()
        if row >= 0:
            raise ArcwiseError(
                f"{pair_list.title}: row {row + 1}: {column[row].as_py()!r} is not one of the "
                f"{len(known)} {templates.kind} of {templates.manifest.name}; expected names as "
                "the data set writes them"
            )
    return places


def _fold_labels(column: pa.ChunkedArray) -> np.ndarray:
    """Return (P,) labels of folds: whole numbers, or texts."""
    if pa.types.is_integer(column.type):
        return column.to_numpy()
    encoded = column.combine_chunks().dictionary_encode()
    return np.array(encoded.dictionary.to_pylist())[encoded.indices.to_numpy()]


def _check_agreement(title: str, pairs: PairSet, names: Sequence[str], ids: np.ndarray) -> None:
    """Refuse pairs that are called the same and are of two identities, or the reverse."""
    ids_a, ids_b = identity_numbers(ids, pairs.a, pairs.b)
    wrong = np.flatnonzero((ids_a == ids_b) != pairs.same)
    if len(wrong):
        a, b, same = (int(values[wrong[0]]) for values in (pairs.a, pairs.b, pairs.same))
        raise ArcwiseError(
            f"{title}: {names[a]} is {ids[a]}, {names[b]} is {ids[b]}, and same is {same}; "
            f"expected them to agree ({len(wrong):,} such pairs)"
        )


def _checked_folds(title: str, pairs: PairSet, identities: np.ndarray | None) -> PairSet:
    """Return the pairs with folds, where some are named or ten contiguous ones share nobody.

    Pairs that the protocol refuses are refused here, before any image is embedded.
    """
    try:
        no_scores = np.zeros(len(pairs.a), np.float32)
        numbers = identity_numbers(identities, pairs.a, pairs.b)
        scored = scored_pairs(no_scores, pairs.same, *numbers)
        if (
            identities is not None and scored.identities is not None
        ):  # by names, in an error of folds
            named = replace(scored.identities, names=np.unique(identities)[scored.identities.names])
            scored = replace(scored, identities=named)
        if pairs.folds is not None:
            cross_validate(scored, pairs.folds)
            return pairs
    except ArcwiseError as problem:
        raise ArcwiseError(f"{title}: {problem}") from None
    ten = np.repeat(np.arange(10), [len(part) for part in np.array_split(pairs.a, 10)])
    try:
        cross_validate(scored, ten)
    except ArcwiseError:
        return pairs
    return replace(pairs, folds=ten)


def _mated_pairs(codes: np.ndarray, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both sides of the mated pairs with these numbers, counted identity by identity."""
    order, sizes = np.argsort(codes, kind="stable"), np.bincount(codes)
    last = np.cumsum(sizes * (sizes - 1) // 2)
    identity = np.searchsorted(last, numbers, side="right")
    number = numbers - np.concatenate([[0], last])[identity]
    # Number j(j - 1)/2 + i is the pair i < j.
    j = ((1 + np.sqrt(1 + 8 * number)) // 2).astype(np.int64)
    start = (np.cumsum(sizes) - sizes)[identity]
    return order[start + number - j * (j - 1) // 2], order[start + j]


def _impostor_pairs(
    codes: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return both sides of `count` different pairs of two identities."""
    total = len(codes)
    drawn = np.empty(0, np.int64)
    while len(drawn) < count:
        a, b = np.sort(rng.integers(total, size=(2, 2 * count)), axis=0)
        other = codes[a] != codes[b]
        drawn = np.unique(np.concatenate([drawn, a[other] * total + b[other]]))
    drawn = np.sort(rng.choice(drawn, count, replace=False))
    return drawn // total, drawn % total


def _distinct_numbers(below: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return `count` different whole numbers from 0, ascending, without a list of all there are."""
    drawn = np.empty(0, np.int64)
    while len(drawn) < count:
        drawn = np.unique(np.concatenate([drawn, rng.integers(below, size=2 * count)]))
    return np.sort(rng.choice(drawn, count, replace=False))
