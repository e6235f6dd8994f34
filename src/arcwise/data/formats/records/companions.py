"""What lies beside a `.rec` and describes it: a table of ours, `.lst`, `property`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from arcwise.data.containers.recordio import RecordContainer
from arcwise.data.formats.manifest_columns import validated
from arcwise.errors import ImageError
from arcwise.images.headers import HeaderError, read_header

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_AT_ONCE = 4096  # records

SIDECAR = ".manifest.parquet"
"""Ending of the table with all columns that `convert` writes beside a `.rec`."""


def own_table(
    path: Path, name: str, container: RecordContainer, *, identities: bool
) -> pa.Table | None:
    """The table beside a `.rec`; None when it is another file's.

    It may list more pictures than are whole: of a file that was cut short the rest keep their
    names, and what is missing cannot be read.

    Raises:
        ArcwiseError: it does, and is no manifest.
    """
    try:
        with pq.ParquetFile(path) as file:
            table = file.read(use_threads=False)
    except (pa.ArrowException, OSError):
        return None
    if "image" not in table.column_names or not pa.types.is_string(table["image"].type):
        return None
    keys = _keys(table["image"], f"{name}/")
    if keys is None or not len(keys) or not _each_once(keys):
        return None
    rows = container.index.rows(keys)
    others = np.delete(container.index.some_keys(), rows[rows >= 0])
    if _pictures(container, others).any():
        return None
    if not _last_is_a_picture(container, keys[rows >= 0]):
        return None
    return validated(table, str(path), identities=identities)


def missing_note(
    table_name: str, name: str, table: pa.Table, container: RecordContainer
) -> tuple[str, ...]:
    """A note on pictures that a table lists and a `.rec` or its `.idx` does not have."""
    keys = _keys(table["image"], f"{name}/")
    assert keys is not None, "own_table has looked at them"
    missing = int((container.index.rows(keys) < 0).sum())
    if not missing:
        return ()
    return (
        f"{table_name} lists {len(keys):,} pictures of {name}, of which {missing:,} are not there",
    )


def _each_once(keys: NDArray[np.int64]) -> bool:
    return bool((keys[1:] > keys[:-1]).all()) or len(np.unique(keys)) == len(keys)


def _last_is_a_picture(container: RecordContainer, keys: NDArray[np.int64]) -> bool:
    """Whether the last of these records that is whole is one; contents have the last keys."""
    last = np.sort(keys)[::-1]
    for start in range(0, len(last), _AT_ONCE):
        _, second, picture, _ = container.labels(last[start : start + _AT_ONCE])
        if len(whole := np.flatnonzero(picture >= 0)):
            return bool(picture[whole[0]] > 0 or np.isnan(second[whole[0]]))
    return False


class Listed(NamedTuple):
    """What a `.lst` says: the file that each picture was, and what is wrong with that."""

    files: pa.ChunkedArray | None
    notes: tuple[str, ...] = ()


def listed_files(path: Path, name: str, found: pa.Table) -> Listed:
    """The file each picture was, by a `.lst`; none when it does not list them all, or others.

    Args:
        path: of the `.lst`.
        name: of the `.rec`.
        found: its pictures, `image` and `identity`.
    """
    unused = f"{path.name} does not list these records, and is not used"
    try:
        table = pacsv.read_csv(
            path,
            pacsv.ReadOptions(use_threads=False, autogenerate_column_names=True),
            pacsv.ParseOptions(delimiter="\t", quote_char=False),
            pacsv.ConvertOptions(column_types={"f0": pa.int64()}, strings_can_be_null=False),
        )
    except (pa.ArrowException, OSError):
        return Listed(None, (unused,))
    files = table.column(table.num_columns - 1)
    keys = pa.array(_keys(found["image"], f"{name}/"))
    places = pc.index_in(keys, value_set=table.column(0).combine_chunks())
    wrong = ""
    if table.num_columns < 2 or not pa.types.is_string(files.type):
        wrong = unused
    elif len(pc.unique(table.column(0))) != len(table):
        wrong = f"{unused}: a key comes twice"
    elif missing := places.null_count:
        wrong = f"{unused}: only {len(keys) - missing:,} of {len(keys):,} pictures"
    elif other := _other_labels(table, places, found):
        which = f"{other:,} of the {len(keys):,} pictures in {name}"
        wrong = f"{path.name} gives {which} another label than their records, and is not used"
    if wrong:
        return Listed(None, (wrong,))
    more = len(table) - len(keys)
    notes = (f"{path.name} lists {more:,} pictures more than {name} has",) if more else ()
    return Listed(files.take(places), notes)


def _other_labels(listed: pa.Table, places: pa.Array, found: pa.Table) -> int:
    """How many pictures have another label in a `.lst` than in their record.

    Of several labels in a list, that one counts which agrees the most.
    """
    own = pc.cast(found["identity"], pa.float32()).to_numpy()
    differ = []
    for column in listed.columns[1:-1]:
        try:
            labels = column.cast(pa.float32()).take(places).to_numpy()
        except pa.ArrowException:  # words
            continue
        differ.append(int(((labels != own) & ~np.isnan(own)).sum()))
    return min(differ, default=0)


def property_notes(path: Path, table: pa.Table, container: RecordContainer) -> tuple[str, ...]:
    """What InsightFace's `property` (classes, height, width) says that is not so."""
    beside = path.with_name("property")
    if not beside.is_file():
        return ()
    return tuple(_contradictions(beside, table, container))


def _contradictions(beside: Path, table: pa.Table, container: RecordContainer) -> Iterator[str]:
    try:
        first = beside.read_text("ascii").splitlines()[0]
        classes, height, width = (int(word) for word in first.split(","))
    except (OSError, ValueError, IndexError):
        yield "property is not used: expected classes,height,width"
        return
    if "identity" in table.column_names:
        found = pc.count_distinct(table["identity"]).as_py()
        if found != classes:
            yield f"property says {classes:,} classes; found {found:,}"
    try:
        key = int(table["image"][0].as_py().rpartition("/")[2])
        picture = read_header(container.record(key)[1])
    except (ImageError, HeaderError):
        return  # a picture like others that cannot be used
    if (picture.height, picture.width) != (height, width):
        yield (
            f"property says {height} x {width} pixels; the first picture has "
            f"{picture.height} x {picture.width}"
        )


def _keys(images: pa.ChunkedArray, prefix: str) -> NDArray[np.int64] | None:
    """The keys that refs end in; None when they lead elsewhere."""
    keys = np.empty(len(images), np.int64)
    form = rf"^{re.escape(prefix)}\d{{1,18}}$"
    for start in range(0, len(images), _AT_ONCE):  # millions of names are not copied whole
        some = images.slice(start, _AT_ONCE)
        if not pc.all(pc.match_substring_regex(some, form)).as_py():
            return None
        ends = pc.utf8_slice_codeunits(some, len(prefix))
        keys[start : start + _AT_ONCE] = ends.cast(pa.int64()).to_numpy()
    return keys


def _pictures(container: RecordContainer, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of these records are whole pictures, and not InsightFace's contents."""
    _, second, picture, _ = container.labels(keys)
    return (picture > 0) | ((picture == 0) & np.isnan(second))
