"""The file of decisions that a page saved: what is wrong with it is said of the file itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from arcwise.errors import ArcwiseError
from arcwise.files import read_file

T = TypeVar("T")


def read_records(
    path: Path, make: Callable[..., T], *, kind: str, listed: str, command: str
) -> list[T]:
    """Return the records of a file that the page of a command saved.

    Args:
        path: the file.
        make: one of them from its fields; a TypeError, KeyError or ValueError says that it is none.
        kind: what the file has to say of itself.
        listed: the name of the list in it.
        command: whose page saves such files.

    Raises:
        ArcwiseError: the file is not there, is cut off, or holds something else.
    """
    expected = f"expected the file that the page of `{command}` saves"
    try:
        document: Any = json.loads(read_file(path))
    except ValueError as problem:  # not JSON, or not text
        place = f" (line {problem.lineno})" if isinstance(problem, json.JSONDecodeError) else ""
        raise ArcwiseError(
            f"{path}: not whole, broken or cut off{place}; save it again: {expected}"
        ) from None
    found = document.get("kind") if isinstance(document, dict) else None
    if found != kind:
        says = f"it is of the kind {found!r}" if found else "it says no kind"
        raise ArcwiseError(f"{path}: no such decisions, as {says}; {expected}")
    records = document.get(listed)
    if not isinstance(records, list):
        raise ArcwiseError(f"{path}: has no list {listed!r}; {expected}")
    made = []
    for place, one in enumerate(records, 1):
        try:
            made.append(make(**one))
        except (KeyError, TypeError, ValueError) as problem:
            reason: object = problem
            if not isinstance(problem, ValueError):
                reason = f"it has {', '.join(one)}" if isinstance(one, dict) else "no fields"
            raise ArcwiseError(
                f"{path}: number {place} of {listed!r} is no decision ({reason}); {expected}"
            ) from None
    return made
