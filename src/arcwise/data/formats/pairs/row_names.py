"""The names by which pairs refer to the rows of a data set, in all their spellings."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from arcwise.data.containers import KINDS
from arcwise.data.formats.file_kinds import common_folder
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_NUMBER = r"(?P<number>\d+)(?:\.[A-Za-z]\w*)?$"

_INSIDE = rf"^(?i:.*?({'|'.join(map(re.escape, KINDS))})/)"

_UNPLAIN = r"\\|//|(^|/)\.\.?(/|$)"


def row_names(manifest: Manifest) -> pa.Array:
    """Return (N,) text: the `template` of each row, or its image, or its `name`."""
    for column in ("template", "image", "name"):
        if column in manifest.table.column_names:
            return flattened(manifest.table.column(column))
    raise ArcwiseError(
        f"{manifest.name}: has no column 'name'; expected one, for pairs to refer to"
    )


def with_row_names(pairs: pa.Table, manifest: Manifest) -> pa.Table:
    """Return the pairs with the manifest's own names, where they spell a path in another way."""
    if not manifest.has_images or "template" in manifest.table.column_names:
        return pairs
    names = row_names(manifest)
    for side in "ab":
        column = flattened(pairs[side])
        unmatched = pc.invert(pc.is_in(column, names))
        if not pc.any(unmatched).as_py():
            continue
        roots = {os.path.abspath(manifest.root), os.path.realpath(manifest.root)}
        paths = plain_paths(column)
        for root in roots:
            paths = pc.replace_substring_regex(paths, f"^{_escaped(root)}/", "")
        paths = pc.utf8_normalize(paths, form="NFC")
        for spelling in _spellings(manifest, names):
            rows, _ = find_rows(paths, pc.utf8_normalize(spelling, form="NFC"))
            matched = names.take(pa.array(rows, mask=rows < 0))
            column = pc.if_else(pc.and_(unmatched, matched.is_valid()), matched, column)
            unmatched = pc.invert(pc.is_in(column, names))
        place = pairs.column_names.index(side)
        pairs = pairs.set_column(place, side, column.cast(pa.string()))
    return pairs


def _spellings(manifest: Manifest, names: pa.Array) -> Iterator[pa.Array]:
    """Yield the rows' names: as they are, inside their archive, and below their common folder."""
    yield plain_paths(names)
    inside = plain_paths(paths_inside(manifest))
    yield inside
    yield below_common_folder(inside)


def plain_paths(names: pa.Array) -> pa.Array:
    """Return paths, each in its plainest spelling: forward slashes, no `./`, no `..` within."""
    if not pc.any(pc.match_substring_regex(names, _UNPLAIN)).as_py():
        return names
    words = names.dictionary_encode("encode")
    plainest = [
        one if not one else posixpath.normpath(one.replace("\\", "/"))
        for one in words.dictionary.to_pylist()
    ]
    return pa.array(plainest, names.type).take(words.indices)


def below_common_folder(paths: pa.Array) -> pa.Array:
    """Return paths relative to the folder around all of them."""
    outer = common_folder(one.as_py() for one in pc.min_max(paths).values() if one.is_valid)
    return pc.replace_substring_regex(paths, f"^{_escaped(outer)}", "") if outer else paths


def identity_numbers(manifest: Manifest) -> pa.Array:
    """Return (N,) text: `identity/number`, where the file's name has a number; see `file_numbers`.

    Raises:
        ArcwiseError: there are no identities.
    """
    if "identity" not in manifest.table.column_names:
        raise ArcwiseError(f"{manifest.name}: has no identities, and lists like LFW's name people")
    return with_numbers(flattened(manifest.table.column("identity")), file_numbers(manifest))


def file_numbers(manifest: Manifest) -> pa.Array:
    """Return (N,) text: the digits that each file's name ends in, before its ending; null for none.

    Of `Ann/Ann_0012.jpg` it is 0012, with or without the ending.
    """
    names = manifest.table.column_names
    files = flattened(manifest.table.column("image" if "image" in names else "name"))
    return pc.struct_field(pc.extract_regex(files, _NUMBER), "number")


def with_numbers(names: pa.Array, numbers: pa.Array) -> pa.Array:
    """Return (N,) text: `name/number`, the number without the zeros before it."""
    return pc.binary_join_element_wise(names, unpadded(numbers), pa.scalar("/", names.type))


def unpadded(numbers: pa.Array) -> pa.Array:
    """Return digits without the zeros before them."""
    return pc.replace_substring_regex(numbers, r"^0+(\d)", r"\1")


def paths_inside(manifest: Manifest) -> pa.Array:
    """Return (N,) text: the path of each image, inside its archive if it is in one."""
    return pc.replace_substring_regex(flattened(manifest.table.column("image")), _INSIDE, "")


def find_rows(names: pa.Array, keys: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the first row that has each name (-1 for none), and whether another row has it too."""
    rows = pc.fill_null(pc.index_in(names, keys), -1).to_numpy(zero_copy_only=False)
    first = pc.index_in(keys, keys).to_numpy(zero_copy_only=False)
    usable = keys.is_valid().to_numpy(zero_copy_only=False)
    repeated = np.zeros(len(keys) + 1, bool)  # the last one is that of -1
    repeated[first[usable & (first != np.arange(len(keys)))].astype(np.int64)] = True
    return rows.astype(np.int64), repeated[rows]


def flattened(column: pa.ChunkedArray) -> pa.Array:
    """Return a column of text in one piece."""
    return pa.concat_arrays(
        column.cast(pa.large_string()).chunks or [pa.array([], pa.large_string())]
    )


def _escaped(root: str) -> str:
    return "".join(f"\\x{{{ord(one):x}}}" if not one.isalnum() else one for one in root)
