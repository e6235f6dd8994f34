"""Members `.json`, `.cls` and `.txt` of a tar shard: which image they belong to, and what they say.

webdataset ends a sample's name at the first dot (`7.jpg`, `7.mask.png`, `7.meta.json`); people put
dots into names (`v1.0_a.jpg`, `v1.0_a.cls`). So what is alike up to the last dot belongs together,
and only where nothing is, what is alike up to an earlier one. How a name is written (`./7.jpg`, NFC
or NFD) does not count.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from arcwise.data.containers.member_names import plain
from arcwise.data.containers.tarred import payload
from arcwise.data.containers.tarred.tar_headers import Member, Read
from arcwise.data.formats.file_kinds import shown
from arcwise.errors import ImageError

SIDES = (".json", ".cls", ".txt")

_OWN = ("image", "folder")

_IDENTITY = ("identity", "label", "class", "cls", "person", "subject")

_LONGEST = 2**20  # bytes of what is said of one picture


class Belonging(NamedTuple):
    """The members of one sample, or of several whose names begin alike.

    Attributes:
        sides: picture → what is said of it, both by name, the nearest last; pictures of which
            nothing is said are here too.
        further: pictures beside one that something is said of: a mask, or the like.
        shared: pictures of which the same is said as of another.
        spare: what is said of no picture here.
    """

    sides: dict[str, list[str]]
    further: list[str]
    shared: list[str]
    spare: list[str]


def key(name: str) -> str:
    """A member's name up to the first dot of its file name."""
    folder, slash, file = _spelled(name).rpartition("/")
    return folder + slash + file.partition(".")[0]


def belonging(pictures: Sequence[str], sides: Collection[str]) -> Belonging:
    """What is said of which picture.

    Args:
        pictures: their names, in order.
        sides: the names of what is said, in order.
    """
    found: dict[str, list[str]] = {one: [] for one in pictures}
    if not sides or not pictures:  # nearly all of a tar of folders
        return Belonging(found, [], [], list(sides))
    if len(found) == 1 and len({_stem(one) for one in (pictures[0], *sides)}) == 1:
        return Belonging({pictures[0]: list(sides)}, [], [], [])
    by_stem: dict[str, str] = {}
    below: dict[str, list[str]] = {}
    for one in found:
        by_stem.setdefault(_stem(one), one)
        for start in _starts(one):
            below.setdefault(start, []).append(one)
    shared: list[str] = []
    spare: list[str] = []
    for side in sides:
        stem = _stem(side)
        owner = next((by_stem[one] for one in (stem, *_starts(side)) if one in by_stem), None)
        owners = below.get(stem, []) if owner is None else [owner]
        for one in owners:
            found[one].append(side)
        if not owners:
            spare.append(side)
        shared += owners[1:]
    for one, said in found.items():
        own = [side for side in said if _stem(side) == _stem(one)]
        said[:] = [side for side in said if _stem(side) != _stem(one)] + own
    told = {_stem(one) for one, said in found.items() if said}
    further = [
        one
        for one, said in found.items()
        if not said and any(start in told for start in (_stem(one), *_starts(one)))
    ]
    return Belonging(found, further, list(dict.fromkeys(shared)), spare)


def _stem(name: str) -> str:
    return _spelled(name).rpartition(".")[0]


def _spelled(name: str) -> str:
    """A name in the one form that is compared."""
    return plain(name if name.isascii() else unicodedata.normalize("NFC", name))


def _starts(name: str) -> Iterator[str]:
    """A name up to each dot of its file name but the last, the longest first: 7.a of 7.a.b.jpg."""
    first = len(key(name))
    stem = _stem(name)
    while len(stem) > first:
        stem = stem.rpartition(".")[0]
        yield stem


def told_by(sides: list[Member], read: Read, end: int, shard: Path) -> dict[str, Any]:
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
