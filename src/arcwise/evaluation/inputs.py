"""Checks of the inputs of every protocol, each with one clear error."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TypeVar, get_type_hints

import numpy as np

from arcwise.errors import ArcwiseError

Identities = Sequence[str] | Sequence[int] | np.ndarray
"""(N,) identities: strings, or whole numbers."""

T = TypeVar("T")


def generator(seed: int) -> np.random.Generator:
    """Return the generator of a seed, which is any whole number from 0."""
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not whole or seed < 0:
        raise ArcwiseError(f"seed is {seed!r}; expected a whole number from 0")
    return np.random.default_rng(int(seed))


def scores(name: str, values: np.ndarray, dimensions: int) -> np.ndarray:
    """Return `values` as a finite floating array of so many dimensions; float32 stays float32."""
    array = np.asarray(values)
    if array.ndim != dimensions:
        raise ArcwiseError(
            f"{name} has shape {array.shape}, expected {dimensions} dimension(s): "
            f"give {'a flat list of scores' if dimensions == 1 else 'one row per sample'}"
        )
    if array.dtype.kind not in "fiub":
        raise ArcwiseError(f"{name} holds {array.dtype}, expected numbers: convert it first")
    if array.dtype != np.float32:
        array = array.astype(np.float64)
    if not np.isfinite(array).all():
        bad = int(np.count_nonzero(~np.isfinite(array)))
        raise ArcwiseError(
            f"{name} has {bad} value(s) that are NaN or infinite, expected finite numbers: "
            "look for images that could not be read or a training run that diverged"
        )
    return array


def embeddings(name: str, values: np.ndarray) -> np.ndarray:
    """Return (N, D) float32 rows of unit length; a zero row stays zero."""
    array = scores(name, values, 2).astype(np.float32)
    if not array.size:
        raise ArcwiseError(f"{name} has shape {array.shape}, expected at least one embedding")
    length = np.sqrt(np.einsum("nd,nd->n", array, array, dtype=np.float64))[:, None]
    return (array / np.where(length > 0, length, 1.0)).astype(np.float32)


def identities(name: str, values: Identities, count: int) -> np.ndarray:
    """Return (count,) identities as an array of strings or of integers."""
    array = np.asarray(values)
    if array.ndim != 1 or len(array) != count:
        raise ArcwiseError(
            f"{name} has shape {array.shape}, expected ({count},): one identity for each sample"
        )
    if array.dtype == object:
        missing = (row for row, one in enumerate(array) if one is None or _is_nan(one))
        if (none := next(missing, None)) is not None:
            raise ArcwiseError(
                f"{name}[{none}] is {array[none]}, expected an identity: leave such samples out"
            )
        array = array.astype(str)
    if array.dtype.kind not in "USiu":
        raise ArcwiseError(f"{name} holds {array.dtype}, expected strings or whole numbers")
    return array


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def codes(name: str, values: Identities, count: int) -> np.ndarray:
    """Return (count,) int64 numbers 0 … I-1, the same number for the same identity."""
    return numbered(identities(name, values, count))[1]


def numbered(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct values (I,), ascending, and the place of each (N,) among them, int64."""
    if values.dtype.kind in "iu" and len(values):
        low = values.min()
        # Unsigned, a difference of whole numbers of one kind always fits.
        place = np.subtract(values, low).view(f"u{values.itemsize}")
        if place.max() <= 4 * len(values):  # a table is many times faster than a sort
            present = np.zeros(int(place.max()) + 1, dtype=bool)
            present[place] = True
            names = np.flatnonzero(present).astype(values.dtype) + low
            return names, (np.cumsum(present) - 1)[place]
    if values.dtype.kind == "U":
        import pyarrow as pa

        # By hashing: a sort of the strings of millions of pairs takes half a minute.
        bits = pa.py_buffer(np.ascontiguousarray(values))
        width = pa.binary(values.itemsize)
        column = pa.Array.from_buffers(width, len(values), [None, bits]).dictionary_encode()
        buffer = column.dictionary.buffers()[1]
        names = np.frombuffer(buffer, values.dtype, len(column.dictionary))
        order = np.argsort(names, kind="stable")
        rank = np.empty(len(names), dtype=np.int64)
        rank[order] = np.arange(len(names))
        return names[order], rank[column.indices.to_numpy()]
    names, place = np.unique(values, return_inverse=True)
    return names, place.astype(np.int64)


def fraction(name: str, value: float) -> float:
    """Return `value` as a rate above 0 and at most 1."""
    rate = real(name, value)
    if not 0.0 < rate <= 1.0:
        raise ArcwiseError(f"{name} is {value}, expected a rate above 0 and at most 1, like 1e-3")
    return rate


def rates(name: str, values: Sequence[float]) -> tuple[float, ...]:
    """Return one rate or more, each above 0 and below 1."""
    several = (values,) if np.ndim(values) == 0 else values
    checked = tuple(fraction(name, value) for value in several)  # type: ignore[union-attr]
    if not checked or max(checked) >= 1:
        raise ArcwiseError(f"{name} is {values}, expected one or more rates between 0 and 1")
    return checked


def real(name: str, value: float) -> float:
    """Return `value` as a number that is not NaN."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number):
        raise ArcwiseError(f"{name} is {value!r}, expected a number")
    return number


def whole(name: str, value: int) -> int:
    """Return `value` as a whole number."""
    try:
        return operator.index(value)
    except TypeError:
        raise ArcwiseError(f"{name} is {value!r}, expected a whole number") from None


def positive(name: str, value: int) -> int:
    """Return `value` as a whole number from 1."""
    if (number := whole(name, value)) < 1:
        raise ArcwiseError(f"{name} is {number}, expected 1 or more")
    return number


def dataclass_from(cls: type[T], values: object, noun: str) -> T:
    """Return the dataclass that `dataclasses.asdict` turned into these values.

    Args:
        cls: a dataclass whose fields are float, int or bool, or a number or None.
        values: the plain values, from a file.
        noun: the name of the thing in an error.

    Raises:
        ArcwiseError: a key is unknown or missing, or a value is of another kind.
    """
    names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    if not isinstance(values, dict) or sorted(map(str, values)) != sorted(names):
        got = sorted(map(str, values)) if isinstance(values, dict) else type(values).__name__
        raise ArcwiseError(
            f"{noun} has {got}, expected exactly {sorted(names)}: "
            "the file was written by another version or edited by hand"
        )
    kinds = get_type_hints(cls)
    return cls(**{name: _checked(noun, name, kinds[name], values[name]) for name in names})


def _checked(noun: str, name: str, kind: Any, value: object) -> object:
    """Return the value of one field; raise where it is not of the field's type."""
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
        raise ArcwiseError(f"{noun}'s {name} is {value!r}, expected a number or a truth value")
    return value
