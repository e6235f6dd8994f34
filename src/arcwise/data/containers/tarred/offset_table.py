"""The offset table beside tar shards (`train.index.parquet`): the position of every member.

With it a shard's headers need not be read before its first image is, and a damaged header hides no
member behind it.
"""

from __future__ import annotations

import json
import os
import re
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
from numpy.typing import NDArray

from arcwise.data.containers.positioned import PositionedFile
from arcwise.data.containers.tarred.tar_headers import BLOCK, member_at

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

IMAGE, SHARD, OFFSET, BYTES = "image", "shard", "shard_offset", "shard_bytes"
"""Its own columns: `shard.tar/member`, the shard, the header's position, the image's size."""

_SIZES = b"arcwise.shards"
_NUMBER = re.compile(r"-\d+(-of-\d+)?$")
_AT_ONCE = 2**13
_MOST_GAPS = 2**12  # of a shard, whose headers are read
_SIDECAR_ENDINGS = (".json", ".cls", ".txt")


def index_path(shard: str | os.PathLike[str]) -> Path:
    """Return where the table of a shard would be: `train-000012.tar` → `train.index.parquet`."""
    place = Path(shard)
    return place.with_name(f"{_NUMBER.sub('', place.stem)}.index.parquet")


def with_sizes(schema: pa.Schema, sizes: dict[str, int]) -> pa.Schema:
    """Return the schema of a table that fits shards of these sizes in bytes."""
    return schema.with_metadata({_SIZES: json.dumps(sizes).encode()})


def sizes_in(file: pq.ParquetFile) -> dict[str, int]:
    """Return the names and sizes of a table's shards; empty where it does not state them."""
    try:
        sizes = json.loads((file.schema_arrow.metadata or {}).get(_SIZES, b"{}"))
    except ValueError:
        return {}
    named = isinstance(sizes, dict) and all(Path(one).name == one for one in sizes)
    return sizes if named else {}


class Unfit(Exception):
    """There is no table beside a shard, or none that fits it."""


def member_places(shard: str | os.PathLike[str]) -> Iterator[tuple[list[str], list[int]]]:
    """Yield (names, positions) of a shard's members, some at a time.

    Raises:
        Unfit: there is no table, it is damaged, or the shard has another size than it says, or
            images that it does not name.
    """
    name = os.path.basename(shard)
    try:
        with pq.ParquetFile(index_path(shard)) as file:
            if sizes_in(file).get(name) != os.path.getsize(shard):
                raise Unfit
            groups = [one for one in range(file.num_row_groups) if _may_hold(file, one, name)]
            if not groups:
                raise Unfit
            columns = [IMAGE, SHARD, OFFSET, BYTES]
            offsets, sizes = array("q"), array("q")
            for batch in file.iter_batches(_AT_ONCE, groups, columns, use_threads=False):
                own = batch.filter(pc.equal(batch.column(SHARD), name))
                members = pc.utf8_slice_codeunits(own.column(IMAGE), len(name) + 1)
                starts = pc.max_element_wise(own.column(OFFSET).cast(pa.int64()), 0)
                offsets.extend(starts.to_pylist())
                sizes.extend(own.column(BYTES).cast(pa.int64()).to_pylist())
                yield members.to_pylist(), starts.to_pylist()
            if misfit(shard, np.asarray(offsets, np.int64), np.asarray(sizes, np.int64)):
                raise Unfit
    except (OSError, pa.ArrowException, LookupError, TypeError, UnicodeDecodeError) as problem:
        raise Unfit from problem


def misfit(
    shard: str | os.PathLike[str], offsets: NDArray[np.int64], sizes: NDArray[np.int64]
) -> str | None:
    """Return how a table contradicts a shard, or what it leaves out; None where it seems to fit.

    Between two images lie the sidecars of the first. Wherever they take much more room than
    usual, the headers there are read.

    Args:
        shard: the tar file.
        offsets: where the table says that images' headers are.
        sizes: bytes of each image.
    """
    file, file_name = PositionedFile(os.fspath(shard)), os.path.basename(shard)
    order = np.argsort(offsets, kind="stable")
    begins = np.append(offsets[order], file.size)
    ends = np.append(0, offsets[order] + BLOCK + -(-sizes[order] // BLOCK) * BLOCK)
    widths = begins - ends
    if overlaps := int((widths < 0).sum()):
        return f"names {overlaps:,} places in {file_name} that overlap or lie outside"
    wide = np.flatnonzero(widths > 2 * np.median(widths))
    wide = wide[np.argsort(-widths[wide], kind="stable")][:_MOST_GAPS]
    edges = [0, len(ends) - 1]
    unnamed = sum(
        _images(file, int(ends[one]), int(begins[one])) for one in {*edges, *wide.tolist()}
    )
    return f"does not name {unnamed:,} images in {file_name}" if unnamed else None


def _images(file: PositionedFile, start: int, end: int) -> int:
    """Return how many images have their headers between two positions."""
    count, position = 0, max(start, 0)
    while position < end and (member := member_at(file.read_at, position, file.size)) is not None:
        ending = os.path.splitext(member.name)[1].lower()
        count += member.is_file and ending not in _SIDECAR_ENDINGS
        position = member.end
    return count


def _may_hold(file: pq.ParquetFile, group: int, shard: str) -> bool:
    """Return whether a row group may have rows of a shard."""
    paths = [file.schema.column(one).path for one in range(len(file.schema))]
    if SHARD not in paths:
        return False
    statistics = file.metadata.row_group(group).column(paths.index(SHARD)).statistics
    if statistics is None or not statistics.has_min_max:
        return True
    return statistics.min <= shard <= statistics.max
