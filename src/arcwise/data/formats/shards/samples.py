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

from arcwise.data.containers.member_names import alike_notes
from arcwise.data.containers.positioned import PositionedFile
from arcwise.data.containers.tarred import buffered, members
from arcwise.data.containers.tarred.tar_headers import Lost, Member
from arcwise.data.formats.file_kinds import is_image, printable
from arcwise.data.formats.folder_identities import TopFolders, folder_columns
from arcwise.data.formats.shards.sidecars import (
    SIDECAR_ENDINGS,
    match_sidecars,
    read_sidecars,
    sample_key,
)
from arcwise.errors import ArcwiseError, ImageError

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_AT_ONCE = 2**13  # rows that become columns at once
_TO_SCAN = 2**14  # bytes
_MOST_COLUMNS = 256


@dataclass(frozen=True)
class ShardRows:
    """The rows of some shards.

    Attributes:
        table: `image` is `shard.tar/member`.
        understood: how identities were found.
        ignored: members that are no images, or not usable as such.
        notes: what the user has to know.
    """

    table: pa.Table
    understood: str
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class _Findings:
    """Findings about the shards, most of which become notes.

    Attributes:
        distant: image → columns from a sidecar in another part of its shard.
        left_out: images that are no rows after all.
        extra: images of a sample beside the one that its sidecars belong to.
        shared: images that have a sidecar in common with another.
        unmatched: sidecars of no image.
        overwritten: sidecars that a later one has the name of.
    """

    ignored: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    distant: dict[str, dict[str, Any]] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    extra: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    overwritten: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Yield a note on each of these that there is."""
        for names, what in (
            (self.extra, "images lie beside the one of their sample (masks?) and are left out"),
            (self.shared, "images share a .json, .cls or .txt with another"),
            (self.unmatched, "members .json, .cls or .txt belong to no image"),
            (
                self.overwritten,
                "members .json, .cls or .txt have the name of a later one: not read",
            ),
        ):
            if names:
                yield f"{len(names):,} {what}, the first is {names[0]}"


def read_samples(shards: list[Path], top_folders: TopFolders | None = None) -> ShardRows:
    """Return the rows of shards, whose headers and sidecars are read for them.

    The identity is what `.json` (`identity`, `label`, `class`, …), `.cls` or `.txt` state, in this
    order. Where none states one, it is the folder of the member. Other values of `.json` are
    columns.

    Raises:
        ArcwiseError: a file is no tar archive, or there is no image in any.
    """
    findings = _Findings()
    tables = list(_tables(row for one in shards for row in _rows(one, findings)))
    if findings.distant or findings.left_out:
        tables = [
            one for one in (_completed(table, findings) for table in tables) if one is not None
        ]
    if not tables:
        others = f", nor in {len(shards) - 1:,} other shards" if len(shards) > 1 else ""
        raise ArcwiseError(f"{shards[0]}: no image in it{others}")
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as problem:
        raise ArcwiseError(f"{shards[0].parent}: values in .json do not agree: {problem}") from None
    if _repeats(table.column("image")):
        kept = _last_of_each(table.column("image"))
        first = np.setdiff1d(np.arange(len(table)), kept)[:1]
        name = "".join(table.column("image").take(pa.array(first)).to_pylist())
        findings.notes.append(
            f"{len(table) - len(kept):,} members have the name of a later one: left out, the first "
            f"is {name}"
        )
        table = table.take(pa.array(kept))
    findings.notes += alike_notes(table.column("image"), shards[0].parent.name)
    understood = "identities from .json, .cls or .txt"
    folders = table.column("folder")
    table = table.drop_columns(["folder"])
    if "identity" not in table.column_names:
        distinct = pc.unique(folders)
        understood = "images without identities"
        if distinct.to_pylist() != [""]:
            by_folder = folder_columns(distinct.to_pylist(), str(shards[0].parent), top_folders)
            understood = by_folder.understood
            findings.notes.extend(by_folder.notes)
            places = pc.index_in(folders, distinct)
            for name, values in by_folder.columns.items():
                if name not in table.column_names:
                    table = table.append_column(name, pc.take(pa.array(values), places))
    elif unnamed := table.column("identity").null_count:
        first = pc.index(pc.is_null(table.column("identity")), True).as_py()
        findings.notes.append(
            f"{unnamed:,} images have no .json, .cls or .txt that names an identity, the first is "
            f"{table.column('image')[first].as_py()}"
        )
    return ShardRows(
        table,
        understood,
        (*findings.ignored, *findings.extra),
        (*findings.notes, *findings.lines()),
    )


def _rows(shard: Path, findings: _Findings) -> Iterator[dict[str, Any]]:
    """Yield a row for every image of a shard, with the columns that its sidecars give."""
    file = PositionedFile(str(shard))
    read = buffered(file, _TO_SCAN)
    lost: list[Lost] = []
    unread: list[ImageError] = []
    without_sidecar, unmatched = array("q"), list[Member]()  # hashes of names
    usually_has = False
    files = _files(members(shard, file, read), shard, findings.ignored, lost)
    for _, sample in groupby(files, lambda one: sample_key(one.name)):
        before = len(lost)
        images, sidecars = _parted(sample, shard, findings.ignored)
        by_name = {one.name: one for one in sidecars}
        if len(by_name) < len(sidecars):
            findings.overwritten += [
                f"{shard.name}/{printable(one.name)}" for one in _repeated(sidecars)
            ]
        match = match_sidecars([one.name for one in images], by_name)
        unmatched += [by_name[one] for one in match.unmatched]
        if match.extra or match.shared:
            findings.extra += [f"{shard.name}/{one}" for one in match.extra]
            findings.shared += [f"{shard.name}/{one}" for one in match.shared]
        may_be_lost = usually_has and not sidecars and len(lost) > before
        left_out = frozenset(match.extra)
        for name in (one.name for one in images if one.name not in left_out):
            ref = f"{shard.name}/{name}"
            try:
                if may_be_lost:
                    raise ImageError(ref, "the member after it is lost")
                columns = read_sidecars(
                    [by_name[one] for one in match.sidecars[name]], read, file.size, shard
                )
            except ImageError as error:
                unread.append(error)
                findings.ignored.append(ref)
                continue
            usually_has = usually_has or bool(columns)
            if not columns:
                without_sidecar.append(hash(name))
            yield {"image": ref, "folder": name.rpartition("/")[0]} | columns
    unread += _join_distant(shard, file, without_sidecar, unmatched, findings)
    findings.notes += _shard_notes(shard, unread, lost)


def _join_distant(
    shard: Path,
    file: PositionedFile,
    without_sidecar: array[int],
    unmatched: list[Member],
    findings: _Findings,
) -> Iterator[ImageError]:
    """Find sidecars that lie far from their image in a shard; yield why one cannot be read."""
    by_name = {one.name: one for one in unmatched}
    findings.overwritten += [f"{shard.name}/{printable(one.name)}" for one in _repeated(unmatched)]
    keys = set(map(sample_key, by_name))
    names: list[str] = []
    if keys and without_sidecar:  # the headers once more: what images are called is not kept
        hashes = set(without_sidecar)
        read = buffered(file, _TO_SCAN)
        files = (one for one in members(shard, file, read) if isinstance(one, Member))
        names = [
            one.name
            for one in files
            if hash(one.name) in hashes and one.is_file and sample_key(one.name) in keys
        ]
    match = match_sidecars(names, by_name)
    findings.extra += [f"{shard.name}/{one}" for one in match.extra]
    findings.shared += [f"{shard.name}/{one}" for one in match.shared]
    findings.left_out.update(f"{shard.name}/{one}" for one in match.extra)
    for name, sidecars in match.sidecars.items():
        ref = f"{shard.name}/{name}"
        try:
            columns = read_sidecars(
                [by_name[one] for one in sidecars], file.read_at, file.size, shard
            )
            if columns:
                findings.distant[ref] = columns
        except ImageError as error:
            findings.left_out.add(ref)
            findings.ignored.append(ref)
            yield error
    findings.unmatched += [f"{shard.name}/{printable(one)}" for one in match.unmatched]


def _completed(table: pa.Table, findings: _Findings) -> pa.Table:
    """Return the rows with the columns from distant sidecars."""
    rows = [row for row in table.to_pylist() if row["image"] not in findings.left_out]
    for row in rows:
        for name, value in findings.distant.get(row["image"], {}).items():
            if row.get(name) is None:
                row[name] = value
    return pa.concat_tables(_tables(iter(rows)), promote_options="permissive") if rows else None


def _shard_notes(shard: Path, unread: list[ImageError], lost: list[Lost]) -> Iterator[str]:
    if unread:
        yield (
            f"{shard.name}: {len(unread):,} images are left out, as their sidecars cannot be read; "
            f"the first: {unread[0]}"
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


def _repeated(sidecars: list[Member]) -> list[Member]:
    later = {one.name: one for one in sidecars}
    return [one for one in sidecars if later[one.name] is not one]


def _files(
    entries: Iterable[Member | Lost], shard: Path, ignored: list[str], lost: list[Lost]
) -> Iterator[Member]:
    for one in entries:
        if isinstance(one, Lost):
            lost.append(one)
        elif one.is_file:
            yield one
        elif not one.name.endswith("/"):  # a link or a device
            ignored.append(f"{shard.name}/{printable(one.name)}")


def _parted(
    sample: Iterable[Member], shard: Path, ignored: list[str]
) -> tuple[list[Member], list[Member]]:
    """Return the images of a sample and its sidecars."""
    images: list[Member] = []
    sidecars: list[Member] = []
    for one in sample:
        if is_image(one.name):
            images.append(one)
        elif one.name.lower().endswith(SIDECAR_ENDINGS):
            sidecars.append(one)
        else:
            ignored.append(f"{shard.name}/{printable(one.name)}")
    return images, sidecars


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
    """Return values of one type as they are, and mixed ones as text."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        texts = [one if one is None or isinstance(one, str) else json.dumps(one) for one in values]
        return pa.array(texts, pa.string())


def _repeats(names: pa.ChunkedArray) -> bool:
    """Return whether a name occurs twice (or, hardly ever, two names have one hash)."""
    texts = (one for chunk in names.chunks for one in chunk.to_pylist())
    hashes = np.fromiter(map(hash, texts), np.int64, len(names))
    hashes.sort()
    return bool((hashes[1:] == hashes[:-1]).any())


def _last_of_each(names: pa.ChunkedArray) -> np.ndarray:
    """Return the last row of every name, in order."""
    codes = names.combine_chunks().dictionary_encode().indices.to_numpy()
    _, from_the_end = np.unique(codes[::-1], return_index=True)
    return np.sort(len(codes) - 1 - from_the_end)
