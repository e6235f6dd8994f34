"""Sidecars (`.json`, `.cls`, `.txt`) in a tar shard: the image they belong to, and their content.

webdataset ends a sample's name at the first dot (`7.jpg`, `7.mask.png`, `7.meta.json`); people put
dots into names (`v1.0_a.jpg`, `v1.0_a.cls`). So names that are equal up to the last dot belong
together, and only where there are none, names that are equal up to an earlier one. How a name is
written (`./7.jpg`, NFC or NFD) does not count.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from arcwise.data.containers.member_names import plain_name
from arcwise.data.containers.tarred import payload
from arcwise.data.containers.tarred.tar_headers import Member, Read
from arcwise.data.formats.file_kinds import printable
from arcwise.errors import ImageError

SIDECAR_ENDINGS = (".json", ".cls", ".txt")

_OWN = ("image", "folder")

_IDENTITY = ("identity", "label", "class", "cls", "person", "subject")

_LONGEST = 2**20  # bytes of a sidecar


class SidecarMatch(NamedTuple):
    """The members of one sample, or of several whose names begin alike.

    Attributes:
        sidecars: image → its sidecars, both by name, the nearest last; an image without any has an
            empty list.
        extra: images beside the one that the sidecars belong to: a mask, or the like.
        shared: images that have a sidecar in common with another.
        unmatched: sidecars of no image.
    """

    sidecars: dict[str, list[str]]
    extra: list[str]
    shared: list[str]
    unmatched: list[str]


def sample_key(name: str) -> str:
    """Return a member's name up to the first dot of its file name."""
    folder, slash, file = _spelled(name).rpartition("/")
    return folder + slash + file.partition(".")[0]


def match_sidecars(images: Sequence[str], sidecars: Collection[str]) -> SidecarMatch:
    """Return which sidecars belong to which image.

    Args:
        images: their names, in order.
        sidecars: their names, in order.
    """
    matches: dict[str, list[str]] = {one: [] for one in images}
    if not sidecars or not images:  # nearly all of a tar of folders
        return SidecarMatch(matches, [], [], list(sidecars))
    if len(matches) == 1 and len({_stem(one) for one in (images[0], *sidecars)}) == 1:
        return SidecarMatch({images[0]: list(sidecars)}, [], [], [])
    by_stem: dict[str, str] = {}
    below: dict[str, list[str]] = {}
    for one in matches:
        by_stem.setdefault(_stem(one), one)
        for start in _starts(one):
            below.setdefault(start, []).append(one)
    shared: list[str] = []
    unmatched: list[str] = []
    for sidecar in sidecars:
        stem = _stem(sidecar)
        owner = next((by_stem[one] for one in (stem, *_starts(sidecar)) if one in by_stem), None)
        owners = below.get(stem, []) if owner is None else [owner]
        for one in owners:
            matches[one].append(sidecar)
        if not owners:
            unmatched.append(sidecar)
        shared += owners[1:]
    for one, names in matches.items():
        own = [name for name in names if _stem(name) == _stem(one)]
        names[:] = [name for name in names if _stem(name) != _stem(one)] + own
    with_sidecar = {_stem(one) for one, names in matches.items() if names}
    extra = [
        one
        for one, names in matches.items()
        if not names and any(start in with_sidecar for start in (_stem(one), *_starts(one)))
    ]
    return SidecarMatch(matches, extra, list(dict.fromkeys(shared)), unmatched)


def _stem(name: str) -> str:
    return _spelled(name).rpartition(".")[0]


def _spelled(name: str) -> str:
    """Return a name in the one form that is compared."""
    return plain_name(name if name.isascii() else unicodedata.normalize("NFC", name))


def _starts(name: str) -> Iterator[str]:
    """Yield a name up to each dot but the last, the longest first: `7.a` and `7` of `7.a.b.jpg`."""
    first = len(sample_key(name))
    stem = _stem(name)
    while len(stem) > first:
        stem = stem.rpartition(".")[0]
        yield stem


def read_sidecars(sidecars: list[Member], read: Read, end: int, shard: Path) -> dict[str, Any]:
    """Return the columns that sidecars give; `.json` has the last word, then `.cls`."""
    columns: dict[str, dict[str, Any]] = {}
    for member in sidecars:
        ref = f"{shard.name}/{printable(member.name)}"
        if member.size > _LONGEST:
            raise ImageError(ref, f"has {member.size:,} bytes; expected a few words")
        try:
            text = payload(read, member, end, ref).decode().strip()
            ending = member.name[member.name.rindex(".") :].lower()
            columns[ending] = _READERS[ending](text)
        except (ValueError, RecursionError) as problem:
            reason = getattr(problem, "reason", None) or str(problem)
            raise ImageError(ref, reason) from None
    return columns.get(".txt", {}) | columns.get(".cls", {}) | columns.get(".json", {})


def _values(text: str) -> dict[str, Any]:
    """Return the columns in a JSON object, the identity under that name."""
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
