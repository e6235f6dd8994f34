"""The result of a command as one JSON document on standard output, for programs.

A command with `--json` prints this and nothing else there: progress, warnings and errors go to
standard error. Whatever the locale, the document is UTF-8, as JSON is.
"""

from __future__ import annotations

import io
import json
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from arcwise.errors import ImageError
from arcwise.evaluation.intervals import Rate


def print_json(document: Mapping[str, Any]) -> None:
    """Print a document whose values are anything that `plain` knows."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # bytes of a path that are no text: \udcff
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    print(json.dumps(plain(document), ensure_ascii=False, allow_nan=False, indent=2))


def plain(value: Any) -> Any:
    """Return a value as JSON has it: objects, arrays, text, numbers, true, false and null.

    Dataclasses and named tuples become objects of their fields, a `Rate` its value, interval and
    whether it is resolved, an image that failed its name and the reason. JSON has no number for
    what is not finite: that becomes null.

    Raises:
        TypeError: a value is of a type with no agreed form; ours to mend, not the user's.
    """
    if isinstance(value, Rate):
        ends = {"value": float(value), "low": value.low, "high": value.high}
        value = ends | {"resolved": value.resolved}
    elif isinstance(value, ImageError):
        value = {"image": value.name, "reason": value.reason}
    elif isinstance(value, os.PathLike):
        value = os.fspath(value)
    elif isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    elif is_dataclass(value) and not isinstance(value, type):
        value = {one.name: getattr(value, one.name) for one in fields(value)}
    elif isinstance(value, tuple) and hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"no JSON for a {type(value).__name__}: {value!r}")
