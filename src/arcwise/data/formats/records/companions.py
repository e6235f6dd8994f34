"""Files beside a `.rec` that describe it: a table of ours, `.lst`, `property`."""

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


def read_own_table(
    path: Path, name: str, container: RecordContainer, *, identities: bool
) -> pa.Table | None:
    """Return the table of ours beside a `.rec`; None when it is another file's.

    It may list more images than are whole: those left of a file that was cut short keep their
    names, and the others cannot be read.

    Raises:
        ArcwiseError: the table lists these records, and is no manifest.
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
    if _images(container, others).any():
        return None
    if not _last_is_an_image(container, keys[rows >= 0]):
        return None
    return validated(table, str(path), identities=identities)


def missing_notes(
    table_name: str, name: str, table: pa.Table, container: RecordContainer
) -> tuple[str, ...]:
    """Return a note on images that a table lists and a `.rec` or its `.idx` does not have."""
    keys = _keys(table["image"], f"{name}/")
    assert keys is not None, "read_own_table has checked them"
    missing = int((container.index.rows(keys) < 0).sum())
    if not missing:
        return ()
    return (
        f"{table_name} lists {len(keys):,} images of {name}, of which {missing:,} are not there",
    )


def _each_once(keys: NDArray[np.int64]) -> bool:
    return bool((keys[1:] > keys[:-1]).all()) or len(np.unique(keys)) == len(keys)


def _last_is_an_image(container: RecordContainer, keys: NDArray[np.int64]) -> bool:
    """Return whether the last whole record of these keys is an image, not one of the contents."""
    last = np.sort(keys)[::-1]
    for start in range(0, len(last), _AT_ONCE):
        _, second, image_bytes, _ = container.labels(last[start : start + _AT_ONCE])
        if len(whole := np.flatnonzero(image_bytes >= 0)):
            return bool(image_bytes[whole[0]] > 0 or np.isnan(second[whole[0]]))
    return False


class ListedFiles(NamedTuple):
    """The file that each image was, by a `.lst`, and notes on what is wrong with it."""

    files: pa.ChunkedArray | None
    notes: tuple[str, ...] = ()


def listed_files(path: Path, name: str, table: pa.Table) -> ListedFiles:
    """Return the file that each image was, by a `.lst`; none where it lists other records.

    Args:
        path: of the `.lst`.
        name: of the `.rec`.
        table: its images, `image` and `identity`.
    """
    unused = f"{path.name} does not list these records, and is not used"
    try:
        listed = pacsv.read_csv(
            path,
            pacsv.ReadOptions(use_threads=False, autogenerate_column_names=True),
            pacsv.ParseOptions(delimiter="\t", quote_char=False),
            pacsv.ConvertOptions(column_types={"f0": pa.int64()}, strings_can_be_null=False),
        )
    except (pa.ArrowException, OSError):
        return ListedFiles(None, (unused,))
    files = listed.column(listed.num_columns - 1)
    keys = pa.array(_keys(table["image"], f"{name}/"))
    places = pc.index_in(keys, value_set=listed.column(0).combine_chunks())
    wrong = ""
    if listed.num_columns < 2 or not pa.types.is_string(files.type):
        wrong = unused
    elif len(pc.unique(listed.column(0))) != len(listed):
        wrong = f"{unused}: a key comes twice"
    elif missing := places.null_count:
        wrong = f"{unused}: only {len(keys) - missing:,} of {len(keys):,} images"
    elif other := _other_labels(listed, places, table):
        which = f"{other:,} of the {len(keys):,} images in {name}"
        wrong = f"{path.name} gives {which} another label than their records, and is not used"
    if wrong:
        return ListedFiles(None, (wrong,))
    more = len(listed) - len(keys)
    notes = (f"{path.name} lists {more:,} images more than {name} has",) if more else ()
    return ListedFiles(files.take(places), notes)


def _other_labels(listed: pa.Table, places: pa.Array, table: pa.Table) -> int:
    """Return how many images have another label in a `.lst` than in their record.

    Of several labels in a list, that one counts which agrees the most.
    """
    own = pc.cast(table["identity"], pa.float32()).to_numpy()
    differ = []
    for column in listed.columns[1:-1]:
        try:
            labels = column.cast(pa.float32()).take(places).to_numpy()
        except pa.ArrowException:  # words
            continue
        differ.append(int(((labels != own) & ~np.isnan(own)).sum()))
    return min(differ, default=0)


def property_notes(path: Path, table: pa.Table, container: RecordContainer) -> tuple[str, ...]:
    """Return notes on what InsightFace's `property` (classes, height, width) states wrongly."""
    file = path.with_name("property")
    return tuple(_contradictions(file, table, container)) if file.is_file() else ()


def _contradictions(file: Path, table: pa.Table, container: RecordContainer) -> Iterator[str]:
    try:
        first = file.read_text("ascii").splitlines()[0]
        classes, height, width = (int(word) for word in first.split(","))
    except (OSError, ValueError, IndexError):
        yield "property is not used: expected classes,height,width"
        return
    if "identity" in table.column_names:
        count = pc.count_distinct(table["identity"]).as_py()
        if count != classes:
            yield f"property says {classes:,} classes; found {count:,}"
    try:
        key = int(table["image"][0].as_py().rpartition("/")[2])
        header = read_header(container.record(key)[1])
    except (ImageError, HeaderError):
        return  # an image like others that cannot be used
    if (header.height, header.width) != (height, width):
        yield (
            f"property says {height} x {width} pixels; the first image has "
            f"{header.height} x {header.width}"
        )


def _keys(images: pa.ChunkedArray, prefix: str) -> NDArray[np.int64] | None:
    """Return the keys at the end of image names; None when they lead to another file."""
    keys = np.empty(len(images), np.int64)
    form = rf"^{re.escape(prefix)}\d{{1,18}}$"
    for start in range(0, len(images), _AT_ONCE):  # millions of names are not copied whole
        some = images.slice(start, _AT_ONCE)
        if not pc.all(pc.match_substring_regex(some, form)).as_py():
            return None
        ends = pc.utf8_slice_codeunits(some, len(prefix))
        keys[start : start + _AT_ONCE] = ends.cast(pa.int64()).to_numpy()
    return keys


def _images(container: RecordContainer, keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which of these records are whole images, and not InsightFace's contents."""
    _, second, image_bytes, _ = container.labels(keys)
    return (image_bytes > 0) | ((image_bytes == 0) & np.isnan(second))
