"""What the members of tar shards mean (the webdataset layout): pictures and what is said of them.

Members that follow one another and are alike up to the first dot of the file name are one sample:
`12.jpg`, `12.cls`, `12.json`, `12.txt`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from arcwise.data.containers.positioned import PositionedFile
from arcwise.data.containers.tarred import buffered, members, payload
from arcwise.data.containers.tarred.headers import Lost, Member, Read
from arcwise.data.formats.layout import TopFolders, folder_columns, is_picture, shown
from arcwise.errors import ArcwiseError, ImageError

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

_SIDES = (".json", ".cls", ".txt")
_OWN = ("image", "folder")
_IDENTITY = ("identity", "label", "class", "cls", "person", "subject")
_AT_ONCE = 2**13  # rows that become columns at once
_TO_SCAN = 2**14  # bytes
_MOST_COLUMNS = 256
_LONGEST = 2**20  # bytes of what is said of one picture


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


def scanned(shards: list[Path], top_folders: TopFolders | None = None) -> Part:
    """The rows of shards that are looked through.

    The identity is what `.json` (`identity`, `label`, `class`, …), `.cls` or `.txt` say, in this
    order; where none says one, it is the folder of the member. Other values of `.json` are
    columns.

    Raises:
        ArcwiseError: a file is no tar archive, or there is no picture in any.
    """
    ignored, notes = [], []
    tables = list(_tables(row for one in shards for row in _rows(one, ignored, notes)))
    if not tables:
        others = f", nor in {len(shards) - 1:,} other shards" if len(shards) > 1 else ""
        raise ArcwiseError(f"{shards[0]}: no picture in it{others}")
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as problem:
        raise ArcwiseError(f"{shards[0].parent}: values in .json do not agree: {problem}") from None
    if _repeats(table.column("image")):
        kept = _last_of_each(table.column("image"))
        notes.append(f"{len(table) - len(kept):,} members have the name of a later one: left out")
        table = table.take(pa.array(kept))
    understood = "identities from .json, .cls or .txt"
    folders = table.column("folder")
    table = table.drop_columns(["folder"])
    if "identity" not in table.column_names:
        there = pc.unique(folders)
        understood = "pictures without identities"
        if there.to_pylist() != [""]:
            meant = folder_columns(there.to_pylist(), str(shards[0].parent), top_folders)
            understood, notes = meant.understood, [*notes, *meant.notes]
            places = pc.index_in(folders, there)
            for name, values in meant.columns.items():
                if name not in table.column_names:
                    table = table.append_column(name, pc.take(pa.array(values), places))
    return Part(table, understood, tuple(ignored), tuple(notes))


def _rows(shard: Path, ignored: list[str], notes: list[str]) -> Iterator[dict[str, Any]]:
    """Every picture of a shard with what is said of it."""
    file = PositionedFile(str(shard))
    read = buffered(file, _TO_SCAN)
    lost: list[Lost] = []
    unread: list[ImageError] = []
    usually_told = False
    for _, sample in groupby(_files(members(shard, file, read), shard, ignored, lost), _key):
        before = len(lost)
        pictures, sides = _parted(sample, shard, ignored)
        try:
            if usually_told and not sides and len(lost) > before and pictures:
                raise ImageError(f"{shard.name}/{pictures[0].name}", "the member after it is lost")
            told = _told(sides, read, file.size, shard)
            usually_told = usually_told or bool(sides)
        except ImageError as error:
            unread.append(error)
            ignored += [f"{shard.name}/{one.name}" for one in pictures]
            continue
        if sides:  # another picture of a sample is a mask, or the like
            ignored += [f"{shard.name}/{one.name}" for one in pictures[1:]]
            pictures = pictures[:1]
        for one in pictures:
            folder = one.name.rpartition("/")[0]
            yield {"image": f"{shard.name}/{one.name}", "folder": folder} | told
    if unread:
        notes.append(
            f"{shard.name}: {len(unread):,} pictures are left out, as what is said of them cannot "
            f"be read; the first: {unread[0]}"
        )
    if lost and lost[-1].start == lost[-1].end:
        notes.append(f"{shard.name}: stops without the end mark of a tar archive; perhaps cut off")
        lost.pop()
    if lost:
        size = sum(one.end - one.start for one in lost)
        notes.append(
            f"{shard.name}: damaged in {len(lost):,} places, {size:,} bytes in all, the first at "
            f"byte {lost[0].start:,}; members that lay there are lost"
        )


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


def _key(member: Member) -> str:
    folder, slash, name = member.name.rpartition("/")
    return folder + slash + name.partition(".")[0]


def _parted(
    sample: Iterable[Member], shard: Path, ignored: list[str]
) -> tuple[list[Member], list[Member]]:
    """The pictures of a sample, and what is said of them."""
    pictures, sides = [], []
    for one in sample:
        if is_picture(one.name):
            pictures.append(one)
        elif one.name.lower().endswith(_SIDES):
            sides.append(one)
        else:
            ignored.append(f"{shard.name}/{shown(one.name)}")
    return pictures, sides


def _told(sides: list[Member], read: Read, end: int, shard: Path) -> dict[str, Any]:
    """What is said of a sample; `.json` has the last word, then `.cls`."""
    said: dict[str, dict[str, Any]] = {}
    for member in sides:
        ref = f"{shard.name}/{shown(member.name)}"
        if member.size > _LONGEST:
            raise ImageError(ref, f"has {member.size:,} bytes; expected a few words")
        try:
            text = payload(read, member, end, ref).decode().strip()
            ending = member.name[member.name.rindex(".") :].lower()
            said[ending] = _READERS[ending](text)
        except (ValueError, RecursionError) as problem:
            reason = getattr(problem, "reason", None) or str(problem)
            raise ImageError(ref, reason) from None
    return said.get(".txt", {}) | said.get(".cls", {}) | said.get(".json", {})


def _values(text: str) -> dict[str, Any]:
    """The columns in a JSON object, the identity under that name."""
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError(f"holds {text[:20]!r}; expected names and values, as in {{...}}")
    if "\\ud" in text:  # half a character, which no column can hold
        values = json.loads(json.dumps(values, ensure_ascii=False).encode("utf-8", "replace"))
    for name in _IDENTITY:
        if isinstance(values.get(name), (str, int, float)):
            values["identity"] = str(values.pop(name))
            break
    return {name: value for name, value in values.items() if name not in _OWN}


_READERS = {
    ".json": _values,
    ".cls": lambda text: {"identity": text},
    ".txt": lambda text: {"identity": text, "text": text},
}


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
