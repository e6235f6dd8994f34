"""Which numbers and names a margin accepts; anything else is refused in one line."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, get_args

from arcwise.errors import ArcwiseError


def check_range(
    margin: object, field: str, low: float, high: float = math.inf, unit: str = ""
) -> None:
    """Refuse a field that is no number in low..high, NaN included; without a high, infinity too."""
    value = getattr(margin, field)
    number = float(value) if isinstance(value, Real) else math.nan
    if low <= number <= high and number < math.inf:
        return
    span = f"{low:.4g} to {high:.4g}" if high < math.inf else f"{low:.4g} or more"
    expected = f"{span} {unit}".rstrip()
    raise ArcwiseError(f"{type(margin).__name__}: {field}={value!r}; expected {expected}")


def check_choice(margin: object, field: str, choices: Any) -> None:
    """Refuse a field that is none of a Literal's names."""
    value = getattr(margin, field)
    if value not in get_args(choices):
        known = " or ".join(f'"{name}"' for name in get_args(choices))
        raise ArcwiseError(f"{type(margin).__name__}: {field}={value!r}; expected {known}")
