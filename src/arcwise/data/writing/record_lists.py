"""What a `.rec` is written with: a label a row, `.idx` and `.lst`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from arcwise.data.formats.records.labels import EXACT
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_TOGETHER = 2**16  # lines


class RecordLabels(NamedTuple):
    """The labels of a manifest.

    Attributes:
        labels: (N,) int64, -1 where there is no identity.
        classes: how many identities there are.
        together: whether the rows of each identity follow one another, and each has one.
    """

    labels: NDArray[np.int64]
    classes: int
    together: bool


def record_labels(manifest: Manifest) -> RecordLabels:
    """The position of each row's identity among all, sorted; the identity itself if it is that.

    Identities that are called 0, 1, … without a gap keep their numbers.

    Raises:
        ArcwiseError: more identities than float32 tells apart.
    """
    if "identity" not in manifest.table.column_names:
        return RecordLabels(np.full(len(manifest), -1), 0, False)
    found = manifest.table.column("identity").combine_chunks()
    coded = pc.if_else(pc.equal(found, ""), None, found).dictionary_encode()
    names = coded.dictionary.to_pylist()
    if len(names) > EXACT:
        raise ArcwiseError(
            f"{manifest.name}: {len(names):,} identities; the labels of a .rec tell {EXACT:,} "
            "apart: write .tar or .parquet"
        )
    order = sorted(names)
    if {*names} == {str(number) for number in range(len(names))}:
        order = sorted(names, key=int)
    positions = {name: position for position, name in enumerate(order)}
    of_code = np.array([positions[name] for name in names] + [-1])
    codes = coded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
    runs = int(np.count_nonzero(np.diff(codes))) + 1
    together = 0 < len(names) == runs and not coded.null_count
    return RecordLabels(of_code[codes], len(names), together)


def write_index(path: Path, index: NDArray[np.int64]) -> None:
    """Writes an `.idx`: (2, N) keys and offsets."""
    _write(path, [pa.array(row).cast(pa.string()) for row in index])


def write_list(
    path: Path, keys: NDArray[np.int64], labels: NDArray[np.int64], files: pa.ChunkedArray
) -> None:
    """Writes a `.lst`: key, label, and the file that the picture was."""
    safe = pc.replace_substring_regex(files, r"[\t\r\n]", "_").combine_chunks()
    _write(path, [*(pa.array(one).cast(pa.string()) for one in (keys, labels)), safe])


def _write(path: Path, columns: list[pa.Array]) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(_lines(columns))


def _lines(columns: list[pa.Array]) -> Iterator[str]:
    for start in range(0, len(columns[0]), _TOGETHER):
        some = [one.slice(start, _TOGETHER) for one in columns]
        for line in pc.binary_join_element_wise(*some, "\t").to_pylist():
            yield f"{line}\n"
