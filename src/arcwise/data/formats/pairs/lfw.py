"""Pairs as text: LFW's `pairs.txt`, read and written, and lists of two paths and a flag."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from arcwise.data.formats.pairs import row_names as pair_names
from arcwise.data.formats.word_lines import WordLines, split_words
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_LINES = "expected 'name 1 2' or 'name 1 other-name 2'"


def parse_pairs_text(data: bytes, title: str, manifest: Manifest) -> pa.Table:
    """Return the pairs in a text: `a` and `b` (names of rows), `same`, perhaps `fold`.

    LFW's list (Huang et al., UMass TR 07-49) has a line `name 1 2` for two images of a person
    and `name 1 other-name 2` for those of two people, with the numbers in the files' names. Its
    first line says how many folds there are and how many pairs of each kind a fold has (`10 300`);
    where it says the latter only, or is absent, there are no folds. A list of paths has a line
    `path path 1` or `1 path path`; 1 is the same identity, 0 is not.

    Args:
        data: the text.
        title: what to call it in an error.
        manifest: what the names refer to.

    Raises:
        ArcwiseError: the first line that is no pair of this manifest is named.
    """
    words = split_words(data, title, tabs=True)
    if not len(words):
        raise ArcwiseError(f"{title}: no pair in it; {_LINES}, a line a pair")
    flag = _flag(words.line(0))
    return _lfw(words, manifest) if flag is None else _listed(words, manifest, flag)


def _flag(line: list[str]) -> int | None:
    """Return the place of the flag in a list of paths, by its first line; None if it is LFW's."""
    if len(line) != 3 or any(word.isdigit() for word in line[1:2]):
        return None
    return next((place for place in (2, 0) if line[place] in ("0", "1")), None)


def _listed(words: WordLines, manifest: Manifest, flag: int) -> pa.Table:
    for row in np.flatnonzero(words.counts != 3)[:1]:
        raise words.wrong(row, f"has {words.counts[row]} words; expected two paths and 1 or 0")
    flags = words.column(flag)
    wrong = pc.index(pc.is_in(flags, pa.array(["0", "1"], flags.type)), False).as_py()
    if wrong >= 0:
        raise words.wrong(wrong, f"has {flags[wrong].as_py()!r}; expected 1 (same) or 0")
    first, second = (
        pair_names.plain_paths(words.column(place)) for place in ((1, 2) if flag == 0 else (0, 1))
    )
    paths = pc.utf8_normalize(pair_names.plain_paths(pair_names.paths_inside(manifest)), form="NFC")
    if not pc.any(pc.is_in(pc.utf8_normalize(first, form="NFC"), paths)).as_py():
        paths = pair_names.below_common_folder(paths)
    return _pairs(words, manifest, paths, first, second, pc.equal(flags, "1"))


def _lfw(words: WordLines, manifest: Manifest) -> pa.Table:
    folds, words = _header(words)
    for row in np.flatnonzero((words.counts != 3) & (words.counts != 4))[:1]:
        raise words.wrong(row, f"is {' '.join(words.line(row))[:60]!r}; {_LINES}")
    same = words.counts == 3
    first = pair_names.with_numbers(words.column(0), words.column(1))
    other, number = np.where(same, 0, 2), np.where(same, 2, 3)
    second = pair_names.with_numbers(words.column(other), words.column(number))
    names = pair_names.identity_numbers(manifest)
    table = _pairs(words, manifest, names, first, second, pa.array(same))
    return table if folds is None else table.append_column("fold", pa.array(folds))


def _header(words: WordLines) -> tuple[np.ndarray | None, WordLines]:
    """Return the fold of each pair, from 1 on, or None where no folds are stated; and the pairs."""
    line = words.line(0)
    if len(line) > 2:
        return None, words
    if not all(word.isdecimal() and 0 < len(word) < 9 for word in line) or not all(map(int, line)):
        raise words.wrong(0, f"is {' '.join(line)[:60]!r}; {_LINES}, or '10 300' as a header")
    *folds, each = map(int, line)
    pairs, stated = words.after(1), 2 * each * (folds[0] if folds else 1)
    if len(pairs) != stated:
        raise words.wrong(
            0,
            f"({' '.join(line)}) states {stated:,} pairs, half of them same, and {len(pairs):,} "
            "follow; correct it, or take it out if there are no folds",
        )
    return (np.arange(stated) // (2 * each) + 1 if folds else None), pairs


def _pairs(
    words: WordLines,
    manifest: Manifest,
    row_names: pa.Array,
    first: pa.Array,
    second: pa.Array,
    same: pa.Array,
) -> pa.Table:
    """Return the table of pairs, both sides matched with `row_names` in any Unicode form."""
    row_names, first, second = (
        pc.utf8_normalize(one, form="NFC") for one in (row_names, first, second)
    )
    sides = [pair_names.find_rows(side, row_names) for side in (first, second)]
    lacking, several = [rows < 0 for rows, _ in sides], [twice for _, twice in sides]
    for wrong, what in ((lacking, "no image"), (several, "more than one image")):
        either = wrong[0] | wrong[1]
        for row in np.flatnonzero(either)[:1]:
            name = (first if wrong[0][row] else second)[row].as_py()
            raise words.wrong(
                row,
                f"has {name!r}, which is {what} of {manifest.name} ({either.sum():,} such lines)",
            )
    names = pair_names.row_names(manifest)
    a, b = (names.take(pa.array(rows)).cast(pa.string()) for rows, _ in sides)
    return pa.table({"a": a, "b": b, "same": same})


def lfw_text(pairs: pa.Table, manifest: Manifest, title: str) -> str:
    """Return the text that `parse_pairs_text` reads: fold by fold, the pairs of one identity first.

    Args:
        pairs: `a`, `b`, `same`, perhaps `fold`.
        manifest: what they refer to, with identities, and numbers in its files' names.
        title: what to call the text in an error.

    Raises:
        ArcwiseError: LFW's list has no form for one of the pairs, which is named.
    """
    every = pair_names.identity_numbers(manifest)
    identities = pair_names.flattened(manifest.table.column("identity"))
    numbers = pair_names.unpadded(pair_names.file_numbers(manifest))
    names, columns = pair_names.row_names(manifest), []
    for side in "ab":
        column = pair_names.flattened(pairs[side])
        rows, _ = pair_names.find_rows(column, names)
        for pair in np.flatnonzero(rows < 0)[:1]:
            raise _wrong(title, pair, f"{column[pair].as_py()!r} is not in {manifest.name}")
        own = every.take(pa.array(rows))
        matched, several = pair_names.find_rows(own, every)
        unclear = several | (matched < 0) | own.is_null().to_numpy(zero_copy_only=False)
        for pair in np.flatnonzero(unclear)[:1]:
            raise _wrong(
                title,
                pair,
                f"{column[pair].as_py()!r} is not identified by its identity and a number",
            )
        columns += [identities.take(pa.array(rows)), numbers.take(pa.array(rows))]
    same = pairs["same"].to_numpy()
    _check_identities(title, columns[0], columns[2], same)
    order, header = _folds(pairs, same, title)
    tab = pa.scalar("\t", pa.large_string())
    shorter = pc.binary_join_element_wise(columns[0], columns[1], columns[3], tab)
    longer = pc.binary_join_element_wise(*columns, tab)
    lines = pc.if_else(pairs["same"].combine_chunks(), shorter, longer).take(pa.array(order))
    return "\n".join([header, *lines.to_pylist(), ""])


def _check_identities(title: str, first: pa.Array, second: pa.Array, same: np.ndarray) -> None:
    """Raise an error unless the flags agree with the identities, and these can be written."""
    for pair in np.flatnonzero(pc.equal(first, second).to_numpy(zero_copy_only=False) != same)[:1]:
        raise _wrong(title, pair, f"same is {bool(same[pair])}, and the identities say otherwise")
    for column in (first, second):
        pair = pc.index(pc.match_substring_regex(column, r"[\t\r\n]|^\s|^#|\s$"), True).as_py()
        if pair >= 0:
            raise _wrong(title, pair, f"{column[pair].as_py()!r} has blanks or a # around it")


def _folds(pairs: pa.Table, same: np.ndarray, title: str) -> tuple[np.ndarray, str]:
    """Return the order of the pairs in the list, and its first line."""
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
