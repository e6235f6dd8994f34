"""Files whose names state a number and a count: `train-00003-of-00005.parquet`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePath

_NUMBERED = re.compile(r"(?P<start>.*?)[-_.]?(?P<number>\d{1,9})-of-(?P<count>\d{1,9})(?P<end>.*)")


def stem_of(name: str) -> str | None:
    """Return the part of a file's name before its number; None where it is not numbered so."""
    match = _NUMBERED.fullmatch(PurePath(name).name)
    return match["start"] if match else None


def missing_notes(files: Iterable[str]) -> tuple[str, ...]:
    """Return a note for every set of files of which some are not there.

    Args:
        files: paths, as the user may call them.
    """
    sets: dict[tuple[str, int], dict[int, str]] = defaultdict(dict)
    for file in files:
        path = PurePath(file)
        if match := _NUMBERED.fullmatch(path.name):
            name = str(path.with_name(match["start"]) if match["start"] else path.parent)
            sets[name, int(match["count"])][int(match["number"])] = file
    notes = []
    for (name, count), numbers in sorted(sets.items()):
        first = 1 if count in numbers and 0 not in numbers else 0
        lacking = [one for one in range(first, first + min(count, 10**6)) if one not in numbers]
        if lacking:
            notes.append(
                f"of the {count:,} files {name}-…-of-… {len(numbers):,} are there, and "
                f"{len(lacking):,} are missing, the first is number {lacking[0]}"
            )
    return tuple(notes)
