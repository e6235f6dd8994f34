"""The images of a `.rec` and their labels → the columns of a manifest.

InsightFace writes a table of contents. Record 0 has two labels: the images are the keys from 1 up
to the first, the identities' records are those from there up to the second. The two labels of an
identity are the keys from which to which its images lie. Layout: deepinsight/insightface
`face2rec2.py`, `dataset.py`.
"""

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
    """Images by key, and their labels, NaN where a record is damaged."""

    keys: Keys
    labels: NDArray[np.float32]


@dataclass
class _Findings:
    """Findings about the records: the keys of damaged ones, the largest label, and gaps.

    A gap is from the end of a record to where the next one begins.
    """

    damaged: array[int] = field(default_factory=lambda: array("q"))
    largest: float = 0.0
    gaps: list[Keys] = field(default_factory=list)


class LabelledRecords(NamedTuple):
    """The images of a `.rec`.

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


def read_labelled(container: RecordContainer, name: str, *, identities: bool) -> LabelledRecords:
    """Return the images in the order of their keys, each with its label.

    Where record 0 is InsightFace's table of contents, two labels of each identity are read, and
    the label of every image only when these contradict it. A damaged record has no label: it
    is left out when every image must have an identity.
    """
    layout, notes = "RecordIO with a label in each record", ()
    bounds = _record_0(container)
    if bounds is not None:
        layout = "RecordIO as InsightFace lays it out"
        try:
            return LabelledRecords(_table(name, _by_contents(container, *bounds)), layout)
        except UntrustedContents as problem:
            notes = (f"{name}: {problem}; so the label of every image is read",)
    findings = _Findings()
    table = _table(name, _one_by_one(container, findings, keep_damaged=not identities))
    if findings.damaged:
        left = "are left out" if identities else "have no identity"
        first = f"{name}/{findings.damaged[0]}"
        notes += (f"{len(findings.damaged):,} damaged records {left}, the first is {first}",)
    if findings.largest > EXACT:
        notes += (f"{name}: labels beyond {EXACT:,}, where float32 joins some",)
    return LabelledRecords(table, layout, notes, np.concatenate([NO_GAPS, *findings.gaps]))


def _record_0(container: RecordContainer) -> tuple[float, float] | None:
    """Return the two labels of record 0, if that is a table of contents and no image."""
    if 0 not in container.index:
        return None
    first, second, image_bytes, _ = container.labels(np.zeros(1, np.int64))
    is_contents = image_bytes[0] == 0 and not np.isnan(second[0])
    return (float(first[0]), float(second[0])) if is_contents else None


def _by_contents(container: RecordContainer, first: float, end: float) -> list[Labelled]:
    """Return the images, reading two labels of each identity only.

    Raises:
        UntrustedContents: they contradict the contents, or these themselves.
    """
    contents = table_of_contents(first, end, container.index.keys)
    identities = container.labels(np.arange(contents.identities.start, contents.identities.stop))
    if identities.image_bytes.any():
        raise UntrustedContents("the record of an identity is damaged, or an image")
    runs = identity_runs(contents.images, identities.first, identities.second)
    of_first, of_last = (container.labels(keys) for keys in (runs.first, runs.stop - 1))
    if (of_first.image_bytes < 0).any() or (of_last.image_bytes < 0).any():
        raise UntrustedContents("the first or last image of an identity is damaged")
    if not np.array_equal(of_first.first, of_last.first):
        raise UntrustedContents("the first and the last image of an identity have different labels")
    labels = np.repeat(of_first.first, runs.stop - runs.first)
    return [Labelled(np.arange(contents.images.start, contents.images.stop), labels)]


def _one_by_one(
    container: RecordContainer, findings: _Findings, *, keep_damaged: bool
) -> Iterator[Labelled]:
    """Yield the images, some at a time."""
    for start in range(0, len(container.index), _TOGETHER):
        keys = container.index.some_keys(start, start + _TOGETHER)
        labels, second, image_bytes, end = container.labels(keys)
        after = container.after(keys)
        apart = (end >= 0) & (end < after)
        findings.gaps.append(np.column_stack([end[apart], after[apart]]))
        sound = image_bytes >= 0
        labels[~sound] = np.nan
        images = (image_bytes != 0) | np.isnan(second)  # else a record of the contents
        findings.damaged.extend(keys[images & ~sound].tolist())
        findings.largest = max(findings.largest, np.abs(labels[np.isfinite(labels)]).max(initial=0))
        kept = images if keep_damaged else images & sound
        yield Labelled(keys[kept], labels[kept])


def _table(name: str, parts: Iterable[Labelled]) -> pa.Table:
    images, identities = [], []
    for keys, labels in parts:
        for start in range(0, len(keys), _TOGETHER):
            some = slice(start, start + _TOGETHER)
            images.append(image_names(name, keys[some]))
            identities.append(_texts(labels[some]))
    columns = {"image": images, "identity": identities}
    return pa.table({key: pa.chunked_array(some, pa.string()) for key, some in columns.items()})


def image_names(name: str, keys: Keys) -> pa.Array:
    """Return the names of the images of these keys: `train.rec/7`."""
    return pc.binary_join_element_wise(f"{name}/", pa.array(keys).cast(pa.string()), "")


def _texts(labels: NDArray[np.float32]) -> pa.Array:
    """Return the labels as text, whole numbers without a point; none where there is no label."""
    values, places = np.unique(labels, return_inverse=True)
    words = [str(int(one)) if one.is_integer() else str(one) for one in values]
    codes = pa.array(places.astype(np.int32), mask=~np.isfinite(labels))
    return pa.DictionaryArray.from_arrays(codes, pa.array(words, pa.string())).cast(pa.string())


class UntrustedContents(ValueError):
    """The table of contents is wrong; says why."""


class Contents(NamedTuple):
    """The keys of the images, and of the records of the identities."""

    images: range
    identities: range


class Runs(NamedTuple):
    """The images of each identity, (M,) int64: from its first key up to, without, its last."""

    first: NDArray[np.int64]
    stop: NDArray[np.int64]


def table_of_contents(first: float, end: float, keys: range | NDArray[np.int64]) -> Contents:
    """Return what record 0 states.

    Args:
        first: its first label.
        end: its second.
        keys: of all records there are.

    Raises:
        UntrustedContents: it cannot be exact, or other records are there.
    """
    if not (first.is_integer() and end.is_integer() and 1 < first < end):
        raise UntrustedContents(
            f"record 0 states that the identities are records {first:g} to {end:g}"
        )
    if end > EXACT:
        raise UntrustedContents(f"its bounds are beyond {EXACT:,}, where float32 is not exact")
    if not isinstance(keys, range) or keys != range(int(end)):
        raise UntrustedContents(
            f"record 0 promises the keys 0 to {int(end) - 1}, and others are there"
        )
    return Contents(range(1, int(first)), range(int(first), int(end)))


def identity_runs(images: range, first: NDArray[np.float32], stop: NDArray[np.float32]) -> Runs:
    """Return the ranges of images in the records of the identities, in the order of the images.

    Args:
        images: their keys.
        first: (M,) the first label of each record.
        stop: (M,) the second.

    Raises:
        UntrustedContents: some images are no one's, or of two.
    """
    if not (np.isfinite(first).all() and np.isfinite(stop).all()):
        raise UntrustedContents("the record of an identity is damaged")
    order = np.argsort(first, kind="stable")
    order = order[stop[order] != first[order]]  # an identity may have no image
    begins, ends = first[order], stop[order]
    if (begins >= ends).any():
        raise UntrustedContents("an identity's images end before they begin")
    if not np.array_equal(np.append(begins, images.stop), np.append(images.start, ends)):
        raise UntrustedContents("the identities overlap, or leave images out, or go beyond them")
    if (begins % 1).any():
        raise UntrustedContents("an identity's images begin at no whole number")
    return Runs(begins.astype(np.int64), ends.astype(np.int64))
