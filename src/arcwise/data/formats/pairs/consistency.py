"""Whether listed pairs make sense: the names they use, and what identities say of their flags."""

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


def agreeing(pairs: pa.Table, manifest: Manifest, title: str) -> None:
    """Nothing, if pairs that are the same are of one identity, and no others, as far as is known.

    Raises:
        ArcwiseError: the first pair that contradicts the identities is named, and how many do.
    """
    wrong = contradictions(pairs, manifest)
    if len(wrong):
        raise ArcwiseError(
            f"{title}: row {wrong[0] + 1}: {contradiction(pairs, manifest, wrong[0])}; expected "
            f"them to agree ({len(wrong):,} such pairs)"
        )


def contradictions(pairs: pa.Table, manifest: Manifest) -> Rows:
    """The pairs whose flag is not what the identities of their sides say."""
    owner = _owners(manifest)
    if owner is None or not len(pairs):
        return np.empty(0, np.int64)
    (a, b), same = _rows(pairs, manifest), pairs["same"].to_numpy()
    known = (a >= 0) & (b >= 0) & (owner[a] >= 0) & (owner[b] >= 0)
    return np.flatnonzero(known & ((owner[a] == owner[b]) != same))


def contradiction(pairs: pa.Table, manifest: Manifest, pair: int | np.integer) -> str:
    """What one of these pairs says, in words."""
    sides = [rows[pair] for rows in _rows(pairs, manifest)]
    identity = manifest.table.column("identity")
    told = [
        f"{pairs[side][int(pair)].as_py()} is {identity[int(row)].as_py()}"
        for side, row in zip("ab", sides, strict=True)
    ]
    return f"{told[0]}, {told[1]}, and same is {int(pairs['same'][int(pair)].as_py())}"


def of_itself(pairs: pa.Table, manifest: Manifest, content: Rows | None = None) -> Rows:
    """The pairs of a picture with itself, under one name, two spellings, or with one content.

    Args:
        pairs: `a`, `b`.
        manifest: of N rows.
        content: (N,) which rows have the same pixels: those with the same number; -1 for none.
    """
    if not len(pairs):
        return np.empty(0, np.int64)
    a, b = _rows(pairs, manifest)
    known = (a >= 0) & (b >= 0)
    names = pair_names.row_names(manifest)
    codes = pair_names.plain(names).dictionary_encode("encode").indices.to_numpy()
    same = known & (codes[a] == codes[b])
    if content is not None and "template" not in manifest.table.column_names:
        same |= known & (content[a] >= 0) & (content[a] == content[b])
    return np.flatnonzero(same)


def itself_note(pairs: pa.Table, found: Rows) -> tuple[str, ...]:
    """A note on pairs of a picture with itself; none if there are none."""
    if not len(found):
        return ()
    a, b = (pairs[side][int(found[0])].as_py() for side in "ab")
    return (
        f"{len(found):,} of {len(pairs):,} pairs are of a picture with itself (row "
        f"{found[0] + 1}: {a}, {b}): they are always alike, and tell nothing; take them out",
    )


def _rows(pairs: pa.Table, manifest: Manifest) -> tuple[Rows, Rows]:
    """(P,) the rows that both sides name, -1 for none."""
    names = pair_names.row_names(manifest)
    a, b = (pair_names.find(pair_names.flat(pairs[side]), names)[0] for side in "ab")
    return a, b


def _owners(manifest: Manifest) -> Rows | None:
    """(N,) the number of each row's identity, -1 where it has none; None if there are none."""
    if "identity" not in manifest.table.column_names:
        return None
    column = pair_names.flat(manifest.table.column("identity"))
    column = pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)
    return pc.fill_null(column.dictionary_encode().indices, -1).to_numpy().astype(np.int64)
