"""The samples in tar shards (the webdataset layout): images, and what is stated about them.

Members whose names are alike are one sample: `12.jpg`, `12.cls`, `12.json`, `12.txt` (see
`arcwise.data.formats.shards.sidecars`). They nearly always follow one another. Where they do not,
the headers of a shard are read twice.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from arcwise.data.containers.member_names import alike
from arcwise.data.containers.positioned import PositionedFile
from arcwise.data.containers.tarred import buffered, members
from arcwise.data.containers.tarred.tar_headers import Lost, Member
from arcwise.data.formats.file_kinds import is_picture, shown
from arcwise.data.formats.folder_identities import TopFolders, folder_columns
from arcwise.data.formats.shards.sidecars import SIDES, belonging, key, told_by
from arcwise.errors import ArcwiseError, ImageError

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_AT_ONCE = 2**13  # rows that become columns at once
_TO_SCAN = 2**14  # bytes
_MOST_COLUMNS = 256


@dataclass(frozen=True)
class Part:
    """The rows of some shards.

    Attributes:
        table: `image` is `shard.tar/member`.
        understood: how identities were found.
        ignored: members that are no pictures, or not usable as such.
        notes: what the user has to know.
    """

    table: pa.Table
    understood: str
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class _Seen:
    """What was met in the shards.

    Attributes:
        elsewhere: picture → what is said of it in another part of its shard.
        left_out: pictures that are no rows after all.
        further: pictures beside one that something is said of.
        shared: pictures of which the same is said as of another.
        spare: members that say something, of no picture.
        twice: such members of which a later one has the name.
    """

    ignored: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    elsewhere: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    further: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    spare: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """What the user has to know of all this."""
        for names, what in (
            (self.further, "pictures lie beside the one of their sample (masks?) and are left out"),
            (self.shared, "pictures share a .json, .cls or .txt with another"),
            (self.spare, "members .json, .cls or .txt belong to no picture"),
            (self.twice, "members .json, .cls or .txt have the name of a later one: not read"),
        ):
            if names:
                yield f"{len(names):,} {what}, the first is {names[0]}"


def scanned(shards: list[Path], top_folders: TopFolders | None = None) -> Part:
    """The rows of shards that are looked through.

    The identity is what `.json` (`identity`, `label`, `class`, …), `.cls` or `.txt` say, in this
    order; where none says one, it is the folder of the member. Other values of `.json` are
    columns.

    Raises:
        ArcwiseError: a file is no tar archive, or there is no picture in any.
    """
    seen = _Seen()
    tables = list(_tables(row for one in shards for row in _rows(one, seen)))
    if seen.elsewhere or seen.left_out:
        tables = [one for one in (_completed(table, seen) for table in tables) if one is not None]
    if not tables:
        others = f", nor in {len(shards) - 1:,} other shards" if len(shards) > 1 else ""
        raise ArcwiseError(f"{shards[0]}: no picture in it{others}")
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as problem:
        raise ArcwiseError(f"{shards[0].parent}: values in .json do not agree: {problem}") from None
    if _repeats(table.column("image")):
        kept = _last_of_each(table.column("image"))
        first = np.setdiff1d(np.arange(len(table)), kept)[:1]
        name = "".join(table.column("image").take(pa.array(first)).to_pylist())
        seen.notes.append(
            f"{len(table) - len(kept):,} members have the name of a later one: left out, the first "
            f"is {name}"
        )
        table = table.take(pa.array(kept))
    seen.notes += alike(table.column("image"), shards[0].parent.name)
    understood = "identities from .json, .cls or .txt"
    folders = table.column("folder")
    table = table.drop_columns(["folder"])
    if "identity" not in table.column_names:
        there = pc.unique(folders)
        understood = "pictures without identities"
        if there.to_pylist() != [""]:
            meant = folder_columns(there.to_pylist(), str(shards[0].parent), top_folders)
            understood = meant.understood
            seen.notes.extend(meant.notes)
            places = pc.index_in(folders, there)
            for name, values in meant.columns.items():
                if name not in table.column_names:
                    table = table.append_column(name, pc.take(pa.array(values), places))
    elif untold := table.column("identity").null_count:
        first = pc.index(pc.is_null(table.column("identity")), True).as_py()
        seen.notes.append(
            f"{untold:,} pictures have no .json, .cls or .txt that names an identity, the first is "
            f"{table.column('image')[first].as_py()}"
        )
    return Part(table, understood, (*seen.ignored, *seen.further), (*seen.notes, *seen.lines()))


def _rows(shard: Path, seen: _Seen) -> Iterator[dict[str, Any]]:
    """Every picture of a shard with what the members beside it say of it."""
    file = PositionedFile(str(shard))
    read = buffered(file, _TO_SCAN)
    lost: list[Lost] = []
    unread: list[ImageError] = []
    untold, spare = array("q"), list[Member]()  # hashes of names
    usually_told = False
    found = _files(members(shard, file, read), shard, seen.ignored, lost)
    for _, sample in groupby(found, lambda one: key(one.name)):
        before = len(lost)
        pictures, sides = _parted(sample, shard, seen.ignored)
        by_name = {one.name: one for one in sides}
        if len(by_name) < len(sides):
            seen.twice += [f"{shard.name}/{shown(one.name)}" for one in _repeated(sides)]
        known = belonging([one.name for one in pictures], by_name)
        spare += [by_name[one] for one in known.spare]
        if known.further or known.shared:
            seen.further += [f"{shard.name}/{one}" for one in known.further]
            seen.shared += [f"{shard.name}/{one}" for one in known.shared]
        may_be_lost = usually_told and not sides and len(lost) > before
        left_out = frozenset(known.further)
        for name in (one.name for one in pictures if one.name not in left_out):
            ref = f"{shard.name}/{name}"
            try:
                if may_be_lost:
                    raise ImageError(ref, "the member after it is lost")
                told = told_by([by_name[one] for one in known.sides[name]], read, file.size, shard)
            except ImageError as error:
                unread.append(error)
                seen.ignored.append(ref)
                continue
            usually_told = usually_told or bool(told)
            if not told:
                untold.append(hash(name))
            yield {"image": ref, "folder": name.rpartition("/")[0]} | told
    unread += _told_elsewhere(shard, file, untold, spare, seen)
    seen.notes += _shard_notes(shard, unread, lost)


def _told_elsewhere(
    shard: Path, file: PositionedFile, untold: array[int], spare: list[Member], seen: _Seen
) -> Iterator[ImageError]:
    """Joins what lies far from its picture in a shard; yields what of it cannot be read."""
    by_name = {one.name: one for one in spare}
    seen.twice += [f"{shard.name}/{shown(one.name)}" for one in _repeated(spare)]
    keys = set(map(key, by_name))
    names: list[str] = []
    if keys and untold:  # the headers once more: what pictures are called is not kept
        hashes = set(untold)
        read = buffered(file, _TO_SCAN)
        files = (one for one in members(shard, file, read) if isinstance(one, Member))
        names = [
            one.name
            for one in files
            if hash(one.name) in hashes and one.is_file and key(one.name) in keys
        ]
    known = belonging(names, by_name)
    seen.further += [f"{shard.name}/{one}" for one in known.further]
    seen.shared += [f"{shard.name}/{one}" for one in known.shared]
    seen.left_out.update(f"{shard.name}/{one}" for one in known.further)
    for name, sides in known.sides.items():
        ref = f"{shard.name}/{name}"
        try:
            told = told_by([by_name[one] for one in sides], file.read_at, file.size, shard)
            if told:
                seen.elsewhere[ref] = told
        except ImageError as error:
            seen.left_out.add(ref)
            seen.ignored.append(ref)
            yield error
    seen.spare += [f"{shard.name}/{shown(one)}" for one in known.spare]


def _completed(table: pa.Table, seen: _Seen) -> pa.Table:
    """The rows with what is said of them elsewhere in their shard."""
    rows = [row for row in table.to_pylist() if row["image"] not in seen.left_out]
    for row in rows:
        for name, value in seen.elsewhere.get(row["image"], {}).items():
            if row.get(name) is None:
                row[name] = value
    return pa.concat_tables(_tables(iter(rows)), promote_options="permissive") if rows else None


def _shard_notes(shard: Path, unread: list[ImageError], lost: list[Lost]) -> Iterator[str]:
    if unread:
        yield (
            f"{shard.name}: {len(unread):,} pictures are left out, as what is said of them cannot "
            f"be read; the first: {unread[0]}"
        )
    if lost and lost[-1].start == lost[-1].end:
        yield f"{shard.name}: stops without the end mark of a tar archive; perhaps cut off"
        lost.pop()
    if lost:
        size = sum(one.end - one.start for one in lost)
        yield (
            f"{shard.name}: damaged in {len(lost):,} places, {size:,} bytes in all, the first at "
            f"byte {lost[0].start:,}; members that lay there are lost"
        )


def _repeated(sides: list[Member]) -> list[Member]:
    later = {one.name: one for one in sides}
    return [one for one in sides if later[one.name] is not one]


def _files(
    found: Iterable[Member | Lost], shard: Path, ignored: list[str], lost: list[Lost]
) -> Iterator[Member]:
    for one in found:
        if isinstance(one, Lost):
            lost.append(one)
        elif one.is_file:
            yield one
        elif not one.name.endswith("/"):  # a link or a device
            ignored.append(f"{shard.name}/{shown(one.name)}")


def _parted(
    sample: Iterable[Member], shard: Path, ignored: list[str]
) -> tuple[list[Member], list[Member]]:
    """The pictures of a sample, and what is said of them."""
    pictures: list[Member] = []
    sides: list[Member] = []
    for one in sample:
        if is_picture(one.name):
            pictures.append(one)
        elif one.name.lower().endswith(SIDES):
            sides.append(one)
        else:
            ignored.append(f"{shard.name}/{shown(one.name)}")
    return pictures, sides


def _tables(rows: Iterator[dict[str, Any]]) -> Iterator[pa.Table]:
    while some := list(islice(rows, _AT_ONCE)):
        names = dict.fromkeys(name for row in some for name in row)
        if len(names) > _MOST_COLUMNS:
            raise ArcwiseError(
                f"{some[0]['image']}: .json members have {len(names):,} different names; expected "
                f"the same few in each, at most {_MOST_COLUMNS}"
            )
        yield pa.table({name: _column([row.get(name) for row in some]) for name in names})


def _column(values: list[Any]) -> pa.Array:
    """Values of one type as they are, and mixed ones as text."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        texts = [one if one is None or isinstance(one, str) else json.dumps(one) for one in values]
        return pa.array(texts, pa.string())


def _repeats(names: pa.ChunkedArray) -> bool:
    """Whether a name occurs twice (or, hardly ever, two names have one hash)."""
    texts = (one for chunk in names.chunks for one in chunk.to_pylist())
    hashes = np.fromiter(map(hash, texts), np.int64, len(names))
    hashes.sort()
    return bool((hashes[1:] == hashes[:-1]).any())


def _last_of_each(names: pa.ChunkedArray) -> np.ndarray:
    """The last row of every name, in order."""
    codes = names.combine_chunks().dictionary_encode().indices.to_numpy()
    _, from_the_end = np.unique(codes[::-1], return_index=True)
    return np.sort(len(codes) - 1 - from_the_end)
