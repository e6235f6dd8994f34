"""Groups of pairs: by a column of the pairs themselves, or of the templates on both sides."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from arcwise.errors import ArcwiseError
from arcwise.protocols.pair_set import PairSet
from arcwise.protocols.result import ProtocolFit
from arcwise.protocols.template_set import TemplateSet

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

DEFAULT_COLUMNS = ("domain", "age")
"""Columns of a data set that pairs are grouped by wherever they are."""

AGE_GAPS = (5.0, 15.0)
"""Years where one group of age gaps ends and the next begins, where no others are stated."""
SET_SIZE = "set_size"
"""What pairs of templates are grouped by, besides columns: the images of the smaller of the two."""

BINS = 4
MAX_CROSSED = 4
"""Values up to which every combination of two is a group of its own."""

MAX_GROUPS = 20
"""Groups beyond which a table is no help."""


@dataclass(frozen=True)
class GroupBy:
    """A column to group pairs by, as the user names it.

    Attributes:
        column: its name.
        edges: where one bin of numbers ends and the next begins; empty for quarters.
    """

    column: str
    edges: tuple[float, ...] = ()

    @classmethod
    def parse(cls, text: str) -> GroupBy:
        """Return the column of `age_gap`, or with stated bins of `age_gap:5,15`."""
        column, _, stated = text.rpartition(":")
        try:
            edges = tuple(sorted({float(edge) for edge in stated.split(",")}))
        except ValueError:
            edges = ()
        return cls(column, edges) if column and edges else cls(text)


@dataclass(frozen=True, eq=False)
class Grouping:
    """A group for each of P pairs.

    Attributes:
        column: what they are grouped by.
        definition: what puts a pair into a group.
        names: of the groups, in their order.
        codes: (P,) int64, each pair's group; -1 where its value is not known.
    """

    column: str
    definition: str
    names: Sequence[str]
    codes: np.ndarray


def groupings(
    group_by: Sequence[GroupBy], templates: TemplateSet, pairs: PairSet
) -> tuple[list[Grouping], list[ProtocolFit]]:
    """Return the groupings of the pairs, and for every column whether it makes one.

    Columns of a list of pairs describe pairs. Columns of the data set describe templates, and a
    pair's group is made of both its sides.

    Args:
        group_by: columns that the user named; an unknown one is an error.
        templates: what the pairs are of.
        pairs: of a list with columns, or drawn.

    Raises:
        ArcwiseError: there is no such column, or stated bins of one that holds no numbers.
    """
    columns = {*pairs.columns, *templates.manifest.table.column_names}
    of_sets = templates.sizes is not None
    columns |= {SET_SIZE} if of_sets else set()
    requested = {one.column: one for one in group_by}
    for name in requested:
        if name not in columns:
            raise _unknown(name, columns, templates)
    defaults = [name for name in (*DEFAULT_COLUMNS, SET_SIZE) if name in columns]
    made, fits = [], []
    for name in dict.fromkeys((*pairs.columns, *defaults, *requested)):
        one = requested.get(name, GroupBy(name))
        if name in pairs.columns:
            grouping = group_pairs(one, pairs.columns[name], pairs.same)
        elif name == SET_SIZE and templates.sizes is not None:
            grouping = group_set_sizes(one, templates.sizes, pairs)
        else:
            grouping = group_sides(one, templates.column(name) or (), pairs)
        if isinstance(grouping, Grouping) and not _has_both_kinds(grouping, pairs.same):
            grouping = "no group has mated and impostor pairs"
        if isinstance(grouping, Grouping):
            made.append(grouping)
            why = f"{len(grouping.names)} groups: {grouping.definition}"
        else:
            why = grouping
        fits.append(ProtocolFit(f"groups by {name}", isinstance(grouping, Grouping), why))
    return made, fits


def _unknown(name: str, columns: Set[str], templates: TemplateSet) -> ArcwiseError:
    """Return the error about a name to group by that is no column."""
    data, (column, _, bins) = templates.manifest.name, name.rpartition(":")
    if SET_SIZE in (name, column):
        return ArcwiseError(
            f"{data}: {SET_SIZE} groups pairs of sets of images, and no column 'template' says "
            "which images are a set; add one (and 'media', where some are frames of one video)"
        )
    if column in columns:
        return ArcwiseError(
            f"--group-by {name}: the bins of {column!r} are {bins!r}; expected numbers with commas "
            f"where a bin ends, as in {column}:5,15"
        )
    return ArcwiseError(
        f"{data}: no column {name!r} to group by among "
        f"{', '.join(sorted(columns - {'image', 'vector'}))}"
    )


def _has_both_kinds(grouping: Grouping, same: np.ndarray) -> bool:
    """Return whether some group has mated and impostor pairs."""
    grouped = grouping.codes >= 0
    mated, impostor = grouping.codes[grouped & same], grouping.codes[grouped & ~same]
    return bool(np.isin(mated, impostor).any())


def group_pairs(by: GroupBy, values: pa.ChunkedArray, same: np.ndarray) -> Grouping | str:
    """Return the grouping by a column of the list of pairs, or why it makes none, in words."""
    different = values.unique()
    places = pc.index_in(values, value_set=different).to_numpy()
    groups = _groups(by, different.to_pylist(), places, same)
    if isinstance(groups, str):
        return groups
    return Grouping(by.column, f"{by.column} of the pair", *groups)


def group_set_sizes(by: GroupBy, sizes: np.ndarray, pairs: PairSet) -> Grouping | str:
    """Return the grouping by the images of the smaller side, or why it makes none, in words.

    Args:
        by: its bins, where the user states some.
        sizes: (U,) images of each template.
        pairs: of these templates.
    """
    smaller = np.minimum(sizes[pairs.a], sizes[pairs.b])
    different, places = np.unique(smaller, return_inverse=True)
    if len(different) == 1:
        images = "1 image" if different[0] == 1 else f"{different[0]} images"
        return f"the smaller set of every pair has {images}"
    groups = _groups(by, different.tolist(), places, pairs.same)
    if isinstance(groups, str):
        return groups
    return Grouping("set size", "images of the smaller set of a pair", *groups)


def group_sides(by: GroupBy, values: Sequence[Any], pairs: PairSet) -> Grouping | str:
    """Return the grouping by a column of the data set, or why it makes none, in words.

    Ages make the gap between both sides, by default cut at `AGE_GAPS`. Other values (numbers are
    cut into bins first) make a group of the pairs that have the same on both sides, and one for
    every two that differ, or one for all that differ where there are more than a few.

    Args:
        by: the column.
        values: (U,) its values, a template each.
        pairs: of these templates.
    """
    if by.column == "age":
        ages = _numbers(values, by)
        if ages is None:
            return "the column holds no number"
        gaps = np.abs(ages[pairs.a] - ages[pairs.b])
        edges = by.edges or AGE_GAPS
        names, codes = bin_names(edges), _codes_of(gaps, edges)
        if len(different := np.unique(codes[codes >= 0])) < 2:
            where = names[different[0]] if len(different) else "not known"
            return f"every gap is {where}: other bins may tell them apart (--group-by age:1,2)"
        return Grouping("age gap", "gap between the ages", names, codes)
    groups = _groups(by, values, np.arange(len(values)), np.ones(len(values), bool))
    if isinstance(groups, str):
        return groups
    names, codes = groups
    low, high = np.sort([codes[pairs.a], codes[pairs.b]], axis=0)
    count = len(names)
    if count <= MAX_CROSSED:
        combinations = [(i, j) for i in range(count) for j in range(i, count)]
        titles = [names[i] if i == j else f"{names[i]} × {names[j]}" for i, j in combinations]
        code_of = np.zeros((count, count), np.int64)
        for code, (i, j) in enumerate(combinations):
            code_of[i, j] = code
        crossed = code_of[low, high]
    else:
        titles, crossed = [*names, "different"], np.where(low == high, low, count)
    crossed = np.where(low < 0, -1, crossed)
    return Grouping(by.column, f"{by.column} of both sides", titles, crossed)


def _groups(
    by: GroupBy, values: Sequence[Any], places: np.ndarray, counted: np.ndarray
) -> tuple[Sequence[str], np.ndarray] | str:
    """Return names and (V,) codes of the values at (V,) places, many numbers cut into bins."""
    numbers = _numbers(values, by)
    if numbers is not None and (
        by.edges or len(np.unique(numbers[~np.isnan(numbers)])) > MAX_CROSSED
    ):
        return _binned(by, numbers[places], counted)
    texts = ["" if value is None else str(value) for value in values]
    names = sorted(set(texts) - {""})
    if not 1 < len(names) <= MAX_GROUPS:
        number = {0: "no value", 1: "one value"}.get(len(names), f"{len(names)} different values")
        return f"the column has {number}; expected 2 to {MAX_GROUPS}"
    code_of = {name: code for code, name in enumerate(names)}
    return names, np.array([code_of.get(text, -1) for text in texts])[places]


def _binned(
    by: GroupBy, numbers: np.ndarray, counted: np.ndarray
) -> tuple[Sequence[str], np.ndarray] | str:
    """Return names and (V,) codes of bins with their upper ends: stated, or quarters of some.

    Args:
        by: the column, with its stated bins.
        numbers: (V,) values, NaN where none is known.
        counted: (V,) bool, the values that quarters are made of.
    """
    known = ~np.isnan(numbers)
    edges = np.array(by.edges)
    if not by.edges and (known & counted).any():
        edges = np.unique(np.quantile(numbers[known & counted], np.arange(1, BINS) / BINS))
        edges = edges[edges < numbers[known].max()]
    if not len(edges):
        return "the column has fewer than two numbers to tell apart"
    return bin_names(edges), _codes_of(numbers, edges)


def bin_names(edges: Sequence[float] | np.ndarray) -> list[str]:
    """Return the names of the bins that end at ascending edges, and of that beyond the last."""
    ends = [f"{edge:g}" for edge in edges]
    between = [f"above {low} to {high}" for low, high in pairwise(ends)]
    return [f"up to {ends[0]}", *between, f"above {ends[-1]}"]


def _codes_of(numbers: np.ndarray, edges: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return (V,) the bin of each number; -1 of NaN. An edge is in the bin that it ends."""
    return np.where(np.isnan(numbers), -1, np.searchsorted(np.asarray(edges), numbers))


def _numbers(values: Sequence[Any], by: GroupBy) -> np.ndarray | None:
    """Return the values as numbers, NaN for a missing one; None where one is no number."""
    try:
        numbers = np.array(
            [float(value) if value not in (None, "") else np.nan for value in values]
        )
    except (TypeError, ValueError):
        numbers = np.array([np.nan])
    if np.isfinite(numbers).any():
        return numbers
    if by.edges:
        raise ArcwiseError(
            f"column {by.column!r} holds {values[0]!r}; expected numbers to cut into bins"
        )
    return None
