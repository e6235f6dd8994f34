"""Checks of pairs: flags that contradict identities, and images paired with themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from arcwise.data.formats.pairs import row_names as pair_names
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them


Rows = NDArray[np.int64]


def check_agreement(pairs: pa.Table, manifest: Manifest, title: str) -> None:
    """Raise an error if a pair's flag contradicts the identities, where both sides have one.

    Raises:
        ArcwiseError: the first pair that contradicts the identities is named, and how many do.
    """
    wrong = contradictions(pairs, manifest)
    if len(wrong):
        text = contradiction_text(pairs, manifest, wrong[0])
        raise ArcwiseError(
            f"{title}: row {wrong[0] + 1}: {text}; expected them to agree "
            f"({len(wrong):,} such pairs)"
        )


def contradictions(pairs: pa.Table, manifest: Manifest) -> Rows:
    """Return the pairs whose flag contradicts the identities of their sides."""
    owner = _owners(manifest)
    if owner is None or not len(pairs):
        return np.empty(0, np.int64)
    (a, b), same = _rows(pairs, manifest), pairs["same"].to_numpy()
    both = (a >= 0) & (b >= 0) & (owner[a] >= 0) & (owner[b] >= 0)
    return np.flatnonzero(both & ((owner[a] == owner[b]) != same))


def contradiction_text(pairs: pa.Table, manifest: Manifest, pair: int | np.integer) -> str:
    """Return one of these pairs, its identities and its flag in words."""
    sides = [rows[pair] for rows in _rows(pairs, manifest)]
    identity = manifest.table.column("identity")
    a, b = (
        f"{pairs[side][int(pair)].as_py()} is {identity[int(row)].as_py()}"
        for side, row in zip("ab", sides, strict=True)
    )
    return f"{a}, {b}, and same is {int(pairs['same'][int(pair)].as_py())}"


def self_pairs(pairs: pa.Table, manifest: Manifest, content: Rows | None = None) -> Rows:
    """Return the pairs of an image with itself, under one name, two spellings, or with one content.

    Args:
        pairs: `a`, `b`.
        manifest: of N rows.
        content: (N,) which rows have the same pixels: those with the same number; -1 for none.
    """
    if not len(pairs):
        return np.empty(0, np.int64)
    a, b = _rows(pairs, manifest)
    both = (a >= 0) & (b >= 0)
    names = pair_names.row_names(manifest)
    codes = pair_names.plain_paths(names).dictionary_encode("encode").indices.to_numpy()
    same = both & (codes[a] == codes[b])
    if content is not None and "template" not in manifest.table.column_names:
        same |= both & (content[a] >= 0) & (content[a] == content[b])
    return np.flatnonzero(same)


def self_pair_notes(pairs: pa.Table, rows: Rows) -> tuple[str, ...]:
    """Return a note on pairs of an image with itself; none if there are none."""
    if not len(rows):
        return ()
    a, b = (pairs[side][int(rows[0])].as_py() for side in "ab")
    return (
        f"{len(rows):,} of {len(pairs):,} pairs are of an image with itself (row "
        f"{rows[0] + 1}: {a}, {b}): they are always alike and measure nothing; take them out",
    )


def _rows(pairs: pa.Table, manifest: Manifest) -> tuple[Rows, Rows]:
    """Return (P,) the rows that both sides name, -1 for none."""
    names = pair_names.row_names(manifest)
    a, b = (pair_names.find_rows(pair_names.flattened(pairs[side]), names)[0] for side in "ab")
    return a, b


def _owners(manifest: Manifest) -> Rows | None:
    """Return (N,) a number for each row's identity, -1 for none; None if no row has one."""
    if "identity" not in manifest.table.column_names:
        return None
    column = pair_names.flattened(manifest.table.column("identity"))
    column = pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)
    return pc.fill_null(column.dictionary_encode().indices, -1).to_numpy().astype(np.int64)
