"""What numbers of a column cannot be, or hardly: for training, evaluation and the check of data."""

from __future__ import annotations

import numpy as np

from arcwise.data.manifest import Manifest
from arcwise.data.training_columns import training_columns
from arcwise.errors import ArcwiseError

OLDEST = 150
"""Years beyond which an `age` is a mistake."""

_FAR = 5  # ranges of the other values


def impossible(column: str, values: np.ndarray) -> np.ndarray:
    """Return (N,) bool, which numbers cannot be: infinite ones, and ages under 0 or over `OLDEST`.

    Args:
        column: its name.
        values: (N,) numbers, NaN where none is known.
    """
    allowed = np.isfinite(values)
    if column == "age":
        allowed = (values >= 0) & (values <= OLDEST)
    return ~np.isnan(values) & ~allowed


def impossible_in_words(column: str, values: np.ndarray) -> str:
    """Return how many numbers cannot be, and what to do; empty where all can."""
    wrong = values[impossible(column, values)]
    if not len(wrong):
        return ""
    expected = f"0 to {OLDEST} years" if column == "age" else "finite numbers"
    return (
        f"{len(wrong):,} of {np.count_nonzero(~np.isnan(values)):,} values of {column!r} cannot "
        f"be, such as {wrong[0]:g}; expected {expected}: correct them, or leave them empty"
    )


def refuse_impossible(manifest: Manifest, column: str) -> None:
    """Refuse a column of numbers with some that cannot be.

    Raises:
        ArcwiseError: there are some, or there is no such column.
    """
    values = training_columns(manifest, [column]).values[column]
    if values.dtype.kind == "f" and (problem := impossible_in_words(column, values)):
        raise ArcwiseError(f"{manifest.name}: {problem}")


def far_values(column: str, values: np.ndarray) -> str:
    """Return a sentence on a least or greatest value far from all others, such as 999 for unknown.

    Far is more than five times the range of the others, of which there have to be three or more.
    """
    known = values[np.isfinite(values)]
    distinct = np.unique(known)
    rest = distinct[1:-1]
    if len(rest) < 3:
        return ""
    low, high = rest[0], rest[-1]
    far = [
        one
        for one, gap in ((distinct[0], low - distinct[0]), (distinct[-1], distinct[-1] - high))
        if gap > _FAR * (high - low)
    ]
    if not far:
        return ""
    others = known[~np.isin(known, far)]
    named = " and ".join(f"{one:g}" for one in far)
    rows = np.count_nonzero(np.isin(known, far))
    return (
        f"{column!r} has {named} in {rows:,} of {len(known):,} rows, and the others are "
        f"{others.min():g} to {others.max():g}; if that stands for an unknown value, leave it empty"
    )
