"""The pictures of a `.rec` and their labels → the columns of a manifest."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from arcwise.data.containers.recordio import RecordContainer

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_TOGETHER = 2**13  # records

EXACT = 2**24
"""Labels are float32; whole numbers up to here have one of their own."""

Keys = NDArray[np.int64]


NO_GAPS = np.empty((0, 2), np.int64)


class Labelled(NamedTuple):
    """Pictures by key, and their labels, NaN where a record is damaged."""

    keys: Keys
    labels: NDArray[np.float32]


@dataclass
class _Seen:
    """What was met on the way: the keys of damaged records, the largest label, and gaps.

    A gap is from the end of a record to where the next one begins.
    """

    damaged: array[int] = field(default_factory=lambda: array("q"))
    largest: float = 0.0
    gaps: list[Keys] = field(default_factory=list)


class LabelledRecords(NamedTuple):
    """The pictures of a `.rec`.

    Attributes:
        table: `image` and `identity`.
        understood: how the layout was read.
        notes: what the user has to know.
        gaps: (M, 2) positions in the file, between records, where others may be.
    """

    table: pa.Table
    understood: str
    notes: tuple[str, ...] = ()
    gaps: Keys = NO_GAPS


def labelled(container: RecordContainer, name: str, *, identities: bool) -> LabelledRecords:
    """The pictures in the order of their keys, each with its label.

    Where record 0 is InsightFace's table of contents, two labels of each identity are read, and
    the label of every picture only when these contradict it. A damaged record has no label: it
    is left out when every picture must have an identity.
    """
    layout, notes = "RecordIO with a label in each record", ()
    bounds = _record_0(container)
    if bounds is not None:
        layout = "RecordIO as InsightFace lays it out"
        try:
            return LabelledRecords(_table(name, _by_contents(container, *bounds)), layout)
        except Distrust as problem:
            notes = (f"{name}: {problem}; so the label of every picture is read",)
    seen = _Seen()
    table = _table(name, _one_by_one(container, seen, keep_damaged=not identities))
    if seen.damaged:
        left = "are left out" if identities else "have no identity"
        first = f"{name}/{seen.damaged[0]}"
        notes += (f"{len(seen.damaged):,} damaged records {left}, the first is {first}",)
    if seen.largest > EXACT:
        notes += (f"{name}: labels beyond {EXACT:,}, where float32 joins some",)
    return LabelledRecords(table, layout, notes, np.concatenate([NO_GAPS, *seen.gaps]))


def _record_0(container: RecordContainer) -> tuple[float, float] | None:
    """The two labels of record 0, if that is a table of contents and no picture."""
    if 0 not in container.index:
        return None
    first, second, picture, _ = container.labels(np.zeros(1, np.int64))
    is_contents = picture[0] == 0 and not np.isnan(second[0])
    return (float(first[0]), float(second[0])) if is_contents else None


def _by_contents(container: RecordContainer, first: float, end: float) -> list[Labelled]:
    """The pictures, of whose labels two an identity are read.

    Raises:
        Distrust: they contradict the contents, or these themselves.
    """
    found = table_of_contents(first, end, container.index.keys)
    identities = container.labels(np.arange(found.identities.start, found.identities.stop))
    if identities.picture.any():
        raise Distrust("the record of an identity is damaged, or a picture")
    runs = identity_runs(found.pictures, identities.first, identities.second)
    of_first, of_last = (container.labels(keys) for keys in (runs.first, runs.stop - 1))
    if (of_first.picture < 0).any() or (of_last.picture < 0).any():
        raise Distrust("the first or last picture of an identity is damaged")
    if not np.array_equal(of_first.first, of_last.first):
        raise Distrust("the first and the last picture of an identity have different labels")
    labels = np.repeat(of_first.first, runs.stop - runs.first)
    return [Labelled(np.arange(found.pictures.start, found.pictures.stop), labels)]


def _one_by_one(
    container: RecordContainer, seen: _Seen, *, keep_damaged: bool
) -> Iterator[Labelled]:
    """The pictures, some at a time."""
    for start in range(0, len(container.index), _TOGETHER):
        keys = container.index.some_keys(start, start + _TOGETHER)
        labels, second, picture, end = container.labels(keys)
        after = container.after(keys)
        apart = (end >= 0) & (end < after)
        seen.gaps.append(np.column_stack([end[apart], after[apart]]))
        sound = picture >= 0
        labels[~sound] = np.nan
        pictures = (picture != 0) | np.isnan(second)  # else a record of the contents
        seen.damaged.extend(keys[pictures & ~sound].tolist())
        seen.largest = max(seen.largest, np.abs(labels[np.isfinite(labels)]).max(initial=0))
        kept = pictures if keep_damaged else pictures & sound
        yield Labelled(keys[kept], labels[kept])


def _table(name: str, found: Iterable[Labelled]) -> pa.Table:
    images, identities = [], []
    for keys, labels in found:
        for start in range(0, len(keys), _TOGETHER):
            some = slice(start, start + _TOGETHER)
            images.append(refs(name, keys[some]))
            identities.append(_texts(labels[some]))
    columns = {"image": images, "identity": identities}
    return pa.table({key: pa.chunked_array(parts, pa.string()) for key, parts in columns.items()})


def refs(name: str, keys: Keys) -> pa.Array:
    """What the pictures of these keys are called: `train.rec/7`."""
    return pc.binary_join_element_wise(f"{name}/", pa.array(keys).cast(pa.string()), "")


def _texts(labels: NDArray[np.float32]) -> pa.Array:
    """The labels as text, whole numbers without a point; none where there is no label."""
    values, places = np.unique(labels, return_inverse=True)
    words = [str(int(one)) if one.is_integer() else str(one) for one in values]
    codes = pa.array(places.astype(np.int32), mask=~np.isfinite(labels))
    return pa.DictionaryArray.from_arrays(codes, pa.array(words, pa.string())).cast(pa.string())


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


def table_of_contents(first: float, end: float, keys: range | NDArray[np.int64]) -> Contents:
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


def identity_runs(pictures: range, first: NDArray[np.float32], stop: NDArray[np.float32]) -> Runs:
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
