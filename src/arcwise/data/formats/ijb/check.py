"""What does not fit together in a folder of IJB-B or IJB-C, a line each."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from arcwise.data.formats.ijb.meta import pc

PUBLISHED = {"ijbb": (227_630, 12_115, 10_270), "ijbc": (469_375, 23_124, 19_557)}
"""Pictures, templates and mated pairs of the data sets as they were published."""

_SHOWN = 5


def counts(prefix: str, rows: pa.Table, pairs: pa.Table | None) -> Iterator[str]:
    """What there is more or less of than was published."""
    if prefix not in PUBLISHED:
        return
    pictures, templates, mated = PUBLISHED[prefix]
    found = [("pictures", len(rows), pictures)]
    found += [("templates", pc.count_distinct(rows.column("template")).as_py(), templates)]
    if pairs is not None:
        found += [("mated pairs", pc.sum(pairs.column("same")).as_py(), mated)]
    other = [f"{got:,} {what} of {known:,}" for what, got, known in found if got != known]
    if other:
        yield f"not the published {prefix}, no result to compare with others': {', '.join(other)}"


def joins(rows: pa.Table, points: pa.Table | None, pairs: pa.Table | None) -> Iterator[str]:
    """What one file names and another does not."""
    if points is not None:
        names = points.column("name")
        if bare := _without(rows.column("name"), names):
            yield f"no landmarks and no detector score: {bare}"
        if spare := _without(names, rows.column("name")):
            yield f"landmarks of pictures that are in no template: {spare}"
        doubled = len(names) - pc.count_distinct(names).as_py()
        if doubled:
            yield f"landmarks given more than once, the first taken: {doubled:,} lines"
    if pairs is not None:
        templates = rows.column("template").unique()
        sides = [_absent(pairs.column(side), templates) for side in "ab"]
        unknown = pa.chunked_array([part for side in sides for part in side.chunks], pa.string())
        if len(unknown):
            yield f"pairs of templates that no picture is in: {some(unknown.unique())}"


def pictures(rows: pa.Table, crops: pa.Array) -> Iterator[str]:
    """Pictures that are listed and not there, and the other way round."""
    if missing := _without(rows.column("name"), crops):
        yield f"pictures that are not there: {missing}"
    if spare := _without(pa.chunked_array([crops]), rows.column("name")):
        yield f"pictures that no list names: {spare}"


def some(names: pa.Array) -> str:
    """How many, and the first few."""
    shown = ", ".join(names.slice(0, _SHOWN).to_pylist())
    return f"{len(names):,} ({shown}{', …' if len(names) > _SHOWN else ''})"


def _without(names: pa.ChunkedArray, known: pa.ChunkedArray | pa.Array) -> str:
    """The names that are not known, in words; empty where all are."""
    absent = _absent(names, known).unique()
    return some(absent) if len(absent) else ""


def _absent(names: pa.ChunkedArray, known: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray:
    if isinstance(known, pa.ChunkedArray):
        known = known.combine_chunks()
    return names.filter(pc.invert(pc.is_in(names, value_set=known)))
