"""Measured numbers in a file: written as plain values, and checked when they come back."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any, TypeVar, get_type_hints

from arcwise.errors import ArcwiseError

T = TypeVar("T")


def from_plain(cls: type[T], values: object, what: str) -> T:
    """Return the dataclass that `dataclasses.asdict` turned into these values.

    Args:
        cls: a dataclass whose fields are float, int or bool, or a number or None.
        values: what was read.
        what: what it is, for the error.

    Raises:
        ArcwiseError: a key is unknown or missing, or a value is of another kind.
    """
    names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    if not isinstance(values, dict) or sorted(map(str, values)) != sorted(names):
        got = sorted(map(str, values)) if isinstance(values, dict) else type(values).__name__
        raise ArcwiseError(
            f"{what} has {got}, expected exactly {sorted(names)}: "
            "the file was written by another version or edited by hand"
        )
    kinds = get_type_hints(cls)
    return cls(**{name: _checked(what, name, kinds[name], values[name]) for name in names})


def _checked(what: str, name: str, kind: Any, value: object) -> object:
    """Return the value of one field, refused when it is not what the field holds."""
    if value is None and kind in (float | None, int | None):
        return None
    if kind is bool:
        good = isinstance(value, bool)
    elif kind in (int, int | None):
        good = isinstance(value, int) and not isinstance(value, bool)
    else:
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        good = good and math.isfinite(float(value))  # type: ignore[arg-type]
        value = float(value) if good else value  # type: ignore[arg-type]
    if not good:
        raise ArcwiseError(f"{what}'s {name} is {value!r}, expected a number or a truth value")
    return value
