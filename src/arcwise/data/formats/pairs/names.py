"""What lists of pairs call the rows of a data set, and which row a name means."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from arcwise.data.containers import KINDS
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_NUMBER = r"(?P<number>\d+)(?:\.[A-Za-z]\w*)?$"
_INSIDE = rf"^(?i:.*?({'|'.join(map(re.escape, KINDS))})/)"


def row_names(manifest: Manifest) -> pa.Array:
    """(N,) text: the `template` of each row, or its image, or its `name`."""
    for column in ("template", "image", "name"):
        if column in manifest.table.column_names:
            return flat(manifest.table.column(column))
    raise ArcwiseError(
        f"{manifest.name}: has no column 'name'; expected one, for pairs to refer to"
    )


def people(manifest: Manifest) -> pa.Array:
    """(N,) text: `identity/number`, where the file's name has a number; see `file_numbers`.

    Raises:
        ArcwiseError: there are no identities.
    """
    if "identity" not in manifest.table.column_names:
        raise ArcwiseError(f"{manifest.name}: has no identities, and lists like LFW's name people")
    return numbered(flat(manifest.table.column("identity")), file_numbers(manifest))


def file_numbers(manifest: Manifest) -> pa.Array:
    """(N,) text: the last digits of each file's name, without its ending; null where it has none.

    Of `Ann/Ann_0012.jpg` it is 0012, with or without the ending.
    """
    names = manifest.table.column_names
    files = flat(manifest.table.column("image" if "image" in names else "name"))
    return pc.struct_field(pc.extract_regex(files, _NUMBER), "number")


def numbered(names: pa.Array, numbers: pa.Array) -> pa.Array:
    """(N,) text: `name/number`, the number without the zeros before it."""
    return pc.binary_join_element_wise(names, unpadded(numbers), pa.scalar("/", names.type))


def unpadded(numbers: pa.Array) -> pa.Array:
    """Digits without the zeros before them."""
    return pc.replace_substring_regex(numbers, r"^0+(\d)", r"\1")


def paths(manifest: Manifest) -> pa.Array:
    """(N,) text: where each picture is, inside the archive if it is in one."""
    return pc.replace_substring_regex(flat(manifest.table.column("image")), _INSIDE, "")


def find(wanted: pa.Array, keys: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """For each name, the first row that has it (-1 for none), and whether another has it too."""
    rows = pc.fill_null(pc.index_in(wanted, keys), -1).to_numpy(zero_copy_only=False)
    first = pc.index_in(keys, keys).to_numpy(zero_copy_only=False)
    usable = keys.is_valid().to_numpy(zero_copy_only=False)
    repeated = np.zeros(len(keys) + 1, bool)  # the last one is that of -1
    repeated[first[usable & (first != np.arange(len(keys)))].astype(np.int64)] = True
    return rows.astype(np.int64), repeated[rows]


def flat(column: pa.ChunkedArray) -> pa.Array:
    """A column of text in one piece."""
    return pa.concat_arrays(
        column.cast(pa.large_string()).chunks or [pa.array([], pa.large_string())]
    )
