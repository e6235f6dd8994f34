"""InsightFace's table of contents in a `.rec`: which records are pictures, and whose.

Record 0 has two labels: the pictures are the keys from 1 up to the first, the records of the
identities those from there up to the second. An identity's two labels are the keys from which to
which its pictures lie. Layout: deepinsight/insightface `face2rec2.py`, `dataset.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

EXACT = 2**24
"""Labels are float32; whole numbers up to here have one of their own."""


class Distrust(ValueError):
    """Why the table of contents is not believed."""


class Contents(NamedTuple):
    """The keys of the pictures, and of the records of the identities."""

    pictures: range
    identities: range


class Runs(NamedTuple):
    """The pictures of each identity, (M,) int64: from its first key up to, without, its last."""

    first: NDArray[np.int64]
    stop: NDArray[np.int64]


def contents(first: float, end: float, keys: range | NDArray[np.int64]) -> Contents:
    """What record 0 says.

    Args:
        first: its first label.
        end: its second.
        keys: of all records there are.

    Raises:
        Distrust: it cannot be exact, or other records are there.
    """
    if not (first.is_integer() and end.is_integer() and 1 < first < end):
        raise Distrust(f"record 0 says that the identities are records {first:g} to {end:g}")
    if end > EXACT:
        raise Distrust(f"its bounds are beyond {EXACT:,}, where float32 is not exact")
    if not isinstance(keys, range) or keys != range(int(end)):
        raise Distrust(f"record 0 promises the keys 0 to {int(end) - 1}, and others are there")
    return Contents(range(1, int(first)), range(int(first), int(end)))


def runs(pictures: range, first: NDArray[np.float32], stop: NDArray[np.float32]) -> Runs:
    """What the records of the identities say, in the order of the pictures.

    Args:
        pictures: their keys.
        first: (M,) the first label of each record.
        stop: (M,) the second.

    Raises:
        Distrust: some pictures are no one's, or of two.
    """
    if not (np.isfinite(first).all() and np.isfinite(stop).all()):
        raise Distrust("the record of an identity is damaged")
    order = np.argsort(first, kind="stable")
    order = order[stop[order] != first[order]]  # an identity may have no picture
    begins, ends = first[order], stop[order]
    if (begins >= ends).any():
        raise Distrust("an identity's pictures end before they begin")
    if not np.array_equal(np.append(begins, pictures.stop), np.append(pictures.start, ends)):
        raise Distrust("the identities overlap, or leave pictures out, or go beyond them")
    if (begins % 1).any():
        raise Distrust("an identity's pictures begin at no whole number")
    return Runs(begins.astype(np.int64), ends.astype(np.int64))
