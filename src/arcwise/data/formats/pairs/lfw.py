"""A data set's pairs → LFW's `pairs.txt`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from arcwise.data.formats.pairs import names as pair_names
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them


def lfw_text(pairs: pa.Table, manifest: Manifest, title: str) -> str:
    """The text that `parse_pairs_text` reads: fold by fold, the pairs of one identity first.

    Args:
        pairs: `a`, `b`, `same`, perhaps `fold`.
        manifest: what they refer to, with identities, and numbers in its files' names.
        title: what to call the text in an error.

    Raises:
        ArcwiseError: such a list cannot say this; the first pair it cannot is named.
    """
    known = pair_names.people(manifest)
    identities = pair_names.flat(manifest.table.column("identity"))
    numbers = pair_names.unpadded(pair_names.file_numbers(manifest))
    names, columns = pair_names.row_names(manifest), []
    for side in "ab":
        wanted = pair_names.flat(pairs[side])
        rows, _ = pair_names.find(wanted, names)
        for pair in np.flatnonzero(rows < 0)[:1]:
            raise _wrong(title, pair, f"{wanted[pair].as_py()!r} is not in {manifest.name}")
        people = known.take(pa.array(rows))
        found, several = pair_names.find(people, known)
        unclear = several | (found < 0) | people.is_null().to_numpy(zero_copy_only=False)
        for pair in np.flatnonzero(unclear)[:1]:
            raise _wrong(
                title, pair, f"{wanted[pair].as_py()!r} is not told by its identity and a number"
            )
        columns += [identities.take(pa.array(rows)), numbers.take(pa.array(rows))]
    same = pairs["same"].to_numpy()
    _agree(title, columns[0], columns[2], same)
    order, header = _folds(pairs, same, title)
    tab = pa.scalar("\t", pa.large_string())
    shorter = pc.binary_join_element_wise(columns[0], columns[1], columns[3], tab)
    longer = pc.binary_join_element_wise(*columns, tab)
    lines = pc.if_else(pairs["same"].combine_chunks(), shorter, longer).take(pa.array(order))
    return "\n".join([header, *lines.to_pylist(), ""])


def _agree(title: str, first: pa.Array, second: pa.Array, same: np.ndarray) -> None:
    """Nothing, if the flags are what the identities say, and these can be written."""
    for pair in np.flatnonzero(pc.equal(first, second).to_numpy(zero_copy_only=False) != same)[:1]:
        raise _wrong(title, pair, f"same is {bool(same[pair])}, and the identities say otherwise")
    for column in (first, second):
        pair = pc.index(pc.match_substring_regex(column, r"[\t\r\n]|^\s|^#|\s$"), True).as_py()
        if pair >= 0:
            raise _wrong(title, pair, f"{column[pair].as_py()!r} has blanks or a # around it")


def _folds(pairs: pa.Table, same: np.ndarray, title: str) -> tuple[np.ndarray, str]:
    """The order of the pairs in the list, and its first line."""
    folds = np.zeros(len(same), np.int64)
    if "fold" in pairs.column_names:
        labels = pairs["fold"].combine_chunks().dictionary_encode().indices
        folds = labels.to_numpy(zero_copy_only=False)
    counts = np.bincount(2 * folds + same) if len(same) else np.zeros(1, np.int64)
    if len(counts) % 2 or not counts[0] or (counts != counts[0]).any():
        raise ArcwiseError(
            f"{title}: LFW's list has as many pairs of the same identity as of others, the same "
            "number in each fold; these pairs have not, write them as .csv"
        )
    header = f"{len(counts) // 2}\t{counts[0]}" if "fold" in pairs.column_names else f"{counts[0]}"
    return np.lexsort((~same, folds)), header


def _wrong(title: str, pair: int | np.integer, reason: str) -> ArcwiseError:
    return ArcwiseError(f"{title}: pair {pair + 1}: {reason}; write the pairs as .csv")
