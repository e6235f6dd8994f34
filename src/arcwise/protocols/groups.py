"""Groups of pairs: what a column says about both sides of a pair, or about the pair itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from arcwise.errors import ArcwiseError
from arcwise.protocols.drawn import Drawn
from arcwise.protocols.layout import Layout
from arcwise.protocols.listed import Listed
from arcwise.protocols.result import Protocol

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

USUAL = ("domain", "age")
"""Columns of a data set that are broken down by where they are."""

BINS = 4
CROSSED = 4
"""Values up to which every combination of two is a group of its own."""

MANY = 20
"""Groups beyond which a table is no help."""


@dataclass(frozen=True)
class By:
    """A column to break down by, as the user names it.

    Attributes:
        column: its name.
        edges: where one bin of numbers ends and the next begins; empty for quarters.
    """

    column: str
    edges: tuple[float, ...] = ()

    @classmethod
    def parse(cls, text: str) -> By:
        """`age_gap`, or with stated bins `age_gap:5,15`."""
        column, _, stated = text.rpartition(":")
        try:
            edges = tuple(sorted({float(one) for one in stated.split(",")}))
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
    by: Sequence[By], layout: Layout, listed: Listed | None, pairs: Drawn
) -> tuple[list[Grouping], list[Protocol]]:
    """The groupings of the pairs, and for every column what came of it.

    Columns of the table of pairs describe pairs; columns of the data set describe items, and a
    pair's group is made of both its sides.

    Args:
        by: columns that the user named; an unknown one is an error.
        layout: the items.
        listed: the table of pairs; None where there is none.
        pairs: the pairs, of that table or drawn.

    Raises:
        ArcwiseError: there is no such column, or stated bins of one that holds no numbers.
    """
    listed_columns = {} if listed is None else listed.columns
    there = {*listed_columns, *layout.manifest.table.column_names}
    wanted = {one.column: one for one in by}
    for name in wanted:
        if name not in there:
            raise ArcwiseError(
                f"{layout.manifest.name}: no column {name!r} to group by among "
                f"{', '.join(sorted(there - {'image', 'vector'}))}; bins of one are numbers after "
                "a colon, as in age_gap:5,15"
            )
    usual = [name for name in USUAL if name in there]
    made, protocols = [], []
    for name in dict.fromkeys((*listed_columns, *usual, *wanted)):
        one = wanted.get(name, By(name))
        if name in listed_columns:
            grouping = of_pairs(one, listed_columns[name], pairs.same)
        else:
            grouping = of_items(one, layout.column(name) or (), pairs)
        if isinstance(grouping, Grouping) and not _measurable(grouping, pairs.same):
            grouping = "no group has mated and impostor pairs"
        if isinstance(grouping, Grouping):
            made.append(grouping)
            why = f"{len(grouping.names)} groups: {grouping.definition}"
        else:
            why = grouping
        protocols.append(Protocol(f"groups by {name}", isinstance(grouping, Grouping), why))
    return made, protocols


def _measurable(grouping: Grouping, same: np.ndarray) -> bool:
    """Whether some group has pairs of both kinds."""
    known = grouping.codes >= 0
    mated, impostor = grouping.codes[known & same], grouping.codes[known & ~same]
    return bool(np.isin(mated, impostor).any())


def of_pairs(by: By, values: pa.ChunkedArray, same: np.ndarray) -> Grouping | str:
    """The grouping by a column of the list of pairs; a sentence where it makes none."""
    different = values.unique()
    places = pc.index_in(values, value_set=different).to_numpy()
    found = _groups(by, different.to_pylist(), places, same)
    if isinstance(found, str):
        return found
    return Grouping(by.column, f"{by.column} of the pair", *found)


def of_items(by: By, values: Sequence[Any], pairs: Drawn) -> Grouping | str:
    """The grouping by a column of the data set; a sentence where it makes none.

    Ages make the gap between both sides. Other values (numbers are cut into bins first) make a
    group of the pairs that have the same on both sides, and one for every two that differ, or one
    for all that differ where there are more than a few.
    """
    if by.column == "age":
        ages = _numbers(values, by)
        if ages is None:
            return "the column holds no number"
        cut = _binned(by, np.abs(ages[pairs.a] - ages[pairs.b]), pairs.same)
        return cut if isinstance(cut, str) else Grouping("age gap", "gap between the ages", *cut)
    found = _groups(by, values, np.arange(len(values)), np.ones(len(values), bool))
    if isinstance(found, str):
        return found
    names, codes = found
    low, high = np.sort([codes[pairs.a], codes[pairs.b]], axis=0)
    count = len(names)
    if count <= CROSSED:
        every = [(i, j) for i in range(count) for j in range(i, count)]
        titles = [names[i] if i == j else f"{names[i]} × {names[j]}" for i, j in every]
        place = np.zeros((count, count), np.int64)
        for code, (i, j) in enumerate(every):
            place[i, j] = code
        grouped = place[low, high]
    else:
        titles, grouped = [*names, "different"], np.where(low == high, low, count)
    grouped = np.where(low < 0, -1, grouped)
    return Grouping(by.column, f"{by.column} of both sides", titles, grouped)


def _groups(
    by: By, values: Sequence[Any], places: np.ndarray, counted: np.ndarray
) -> tuple[Sequence[str], np.ndarray] | str:
    """Names and (V,) codes of what has the values at (V,) places, or of bins of many numbers."""
    numbers = _numbers(values, by)
    if numbers is not None and (by.edges or len(np.unique(numbers[~np.isnan(numbers)])) > CROSSED):
        return _binned(by, numbers[places], counted)
    texts = ["" if value is None else str(value) for value in values]
    names = sorted(set(texts) - {""})
    if not 1 < len(names) <= MANY:
        return f"the column has {len(names)} different values; expected 2 to {MANY}"
    place = {name: code for code, name in enumerate(names)}
    return names, np.array([place.get(text, -1) for text in texts])[places]


def _binned(
    by: By, numbers: np.ndarray, counted: np.ndarray
) -> tuple[Sequence[str], np.ndarray] | str:
    """Names and (V,) codes of bins, upper ends included: as stated, or quarters of `counted`."""
    known = ~np.isnan(numbers)
    edges = np.array(by.edges)
    if not by.edges and (known & counted).any():
        edges = np.unique(np.quantile(numbers[known & counted], np.arange(1, BINS) / BINS))
        edges = edges[edges < numbers[known].max()]
    if not len(edges):
        return "the column has fewer than two numbers to tell apart"
    codes = np.where(known, np.searchsorted(edges, numbers), -1)
    ends = [f"{edge:g}" for edge in edges]
    between = [f"above {low} to {high}" for low, high in pairwise(ends)]
    return [f"up to {ends[0]}", *between, f"above {ends[-1]}"], codes


def _numbers(values: Sequence[Any], by: By) -> np.ndarray | None:
    """The values as numbers, NaN for a missing one; None where one is no number."""
    try:
        found = np.array([float(value) if value not in (None, "") else np.nan for value in values])
    except (TypeError, ValueError):
        found = np.array([np.nan])
    if np.isfinite(found).any():
        return found
    if by.edges:
        raise ArcwiseError(
            f"column {by.column!r} holds {values[0]!r}; expected numbers to cut into bins"
        )
    return None
