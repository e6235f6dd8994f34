"""What lists of pairs call the rows of a data set, and which row a name means."""

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
from arcwise.data.formats.file_kinds import around
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_NUMBER = r"(?P<number>\d+)(?:\.[A-Za-z]\w*)?$"

_INSIDE = rf"^(?i:.*?({'|'.join(map(re.escape, KINDS))})/)"

_UNPLAIN = r"\\|//|(^|/)\.\.?(/|$)"


def row_names(manifest: Manifest) -> pa.Array:
    """(N,) text: the `template` of each row, or its image, or its `name`."""
    for column in ("template", "image", "name"):
        if column in manifest.table.column_names:
            return flat(manifest.table.column(column))
    raise ArcwiseError(
        f"{manifest.name}: has no column 'name'; expected one, for pairs to refer to"
    )


def meant(pairs: pa.Table, manifest: Manifest) -> pa.Table:
    """The pairs with the names that the manifest has, where they spell a path in another way."""
    if not manifest.has_images or "template" in manifest.table.column_names:
        return pairs
    names = row_names(manifest)
    for side in "ab":
        column = flat(pairs[side])
        unknown = pc.invert(pc.is_in(column, names))
        if not pc.any(unknown).as_py():
            continue
        roots = {os.path.abspath(manifest.root), os.path.realpath(manifest.root)}
        wanted = plain(column)
        for root in roots:
            wanted = pc.replace_substring_regex(wanted, f"^{_escaped(root)}/", "")
        wanted = pc.utf8_normalize(wanted, form="NFC")
        for known in _spellings(manifest, names):
            rows, _ = find(wanted, pc.utf8_normalize(known, form="NFC"))
            found = names.take(pa.array(rows, mask=rows < 0))
            column = pc.if_else(pc.and_(unknown, found.is_valid()), found, column)
            unknown = pc.invert(pc.is_in(column, names))
        place = pairs.column_names.index(side)
        pairs = pairs.set_column(place, side, column.cast(pa.string()))
    return pairs


def _spellings(manifest: Manifest, names: pa.Array) -> Iterator[pa.Array]:
    """What the rows may be called, and in an archive, and within the folders around all."""
    yield plain(names)
    inside = plain(paths(manifest))
    yield inside
    yield within(inside)


def plain(names: pa.Array) -> pa.Array:
    """Paths as text, each in its plainest spelling: forward slashes, no `./`, no `..` within."""
    if not pc.any(pc.match_substring_regex(names, _UNPLAIN)).as_py():
        return names
    words = names.dictionary_encode("encode")
    plainest = [
        one if not one else posixpath.normpath(one.replace("\\", "/"))
        for one in words.dictionary.to_pylist()
    ]
    return pa.array(plainest, names.type).take(words.indices)


def within(paths: pa.Array) -> pa.Array:
    """Paths as they are in the folder around all of them."""
    outer = around(one.as_py() for one in pc.min_max(paths).values() if one.is_valid)
    return pc.replace_substring_regex(paths, f"^{_escaped(outer)}", "") if outer else paths


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


def _escaped(root: str) -> str:
    return "".join(f"\\x{{{ord(one):x}}}" if not one.isalnum() else one for one in root)
