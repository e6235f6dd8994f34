"""Which picture of a tar shard a `.json`, `.cls` or `.txt` belongs to, by their names alone.

webdataset ends a sample's name at the first dot (`7.jpg`, `7.mask.png`, `7.meta.json`); people put
dots into names (`v1.0_a.jpg`, `v1.0_a.cls`). So what is alike up to the last dot belongs together,
and only where nothing is, what is alike up to an earlier one. How a name is written (`./7.jpg`, NFC
or NFD) does not count.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from arcwise.data.containers.spelled import plain


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
