"""Queries and items that a gallery is given: checked, or refused with the number of the bad one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from arcwise.errors import GalleryError
from arcwise.gallery.contract import Enrolment
from arcwise.identity import written_form

UNIT_TOLERANCE = 1e-3


@dataclass(frozen=True)
class CheckedItems:
    """Items ready to be stored: N identities, vectors (N, D) float32, N JSON texts and qualities.

    Identities are in their written form (`arcwise.identity`).
    """

    identities: list[str]
    vectors: NDArray[np.float32]
    metadata: list[str]
    qualities: list[float | None]

    def __len__(self) -> int:
        return len(self.identities)


def norms(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the Euclidean lengths (N,) of vectors (N, D), summed in float64."""
    return np.sqrt(np.square(vectors, dtype=np.float64).sum(axis=1))


def units(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return vectors (N, D) of almost unit length scaled to exactly that, in float64."""
    return vectors.astype(np.float64) / norms(vectors)[:, None]


def checked_queries(vectors: ArrayLike, dim: int) -> NDArray[np.float64]:
    """Return the unit vectors (N, D) float64 of queries that are given as (N, D) or one (D,).

    Raises:
        GalleryError: a wrong shape, a NaN or infinity, or a length that is not 1.
    """
    array = _floats(vectors, "the queries")
    if array.ndim == 1 and array.size:
        array = array[None]
    if array.size == 0 and array.ndim <= 2:
        return np.empty((0, dim))
    if array.ndim != 2 or array.shape[1] != dim:
        raise GalleryError(
            f"the queries have the shape {array.shape}; this gallery takes "
            f"(N, {dim}) or ({dim},): embed with the model it was made with"
        )
    _refuse_bad_lengths(array, lambda row: f"query {row}")
    return units(array)


def checked_batch(items: Iterable[Enrolment], dim: int) -> CheckedItems:
    """Return the items, each checked; one bad item refuses all of them.

    Raises:
        GalleryError: names the item's number, and its identity where it has one.
    """
    identities: list[str] = []
    rows: list[NDArray[np.float32]] = []
    metadata: list[str] = []
    qualities: list[float | None] = []
    for number, item in enumerate(items):
        if not isinstance(item, tuple | list) or not 2 <= len(item) <= 4:
            raise GalleryError(
                f"item {number} is {type(item).__name__}; expected (identity, vector), (identity, "
                "vector, metadata) or (identity, vector, metadata, quality)"
            )
        identity = _identity(item[0], number)
        name = _name(number, identity)
        row = _floats(item[1], name)
        if row.shape != (dim,):
            raise GalleryError(
                f"{name}: the vector has the shape {row.shape}; this gallery takes ({dim},)"
            )
        identities.append(identity)
        rows.append(row)
        metadata.append(_json(item[2] if len(item) > 2 else None, name))
        qualities.append(_quality(item[3] if len(item) > 3 else None, name))
    vectors = np.stack(rows) if rows else np.empty((0, dim), np.float32)
    _refuse_bad_lengths(vectors, lambda row: _name(row, identities[row]))
    return CheckedItems(identities, vectors, metadata, qualities)


def _name(number: int, identity: str) -> str:
    return f"item {number} ({identity!r})"


def _identity(identity: object, number: int) -> str:
    if not isinstance(identity, str) or not written_form(identity):
        raise GalleryError(
            f"item {number}: the identity is {identity!r}; expected a string that is not blank"
        )
    try:
        identity.encode()
    except UnicodeEncodeError as error:
        raise GalleryError(f"item {number}: the identity {identity!r} is not text") from error
    return written_form(identity)


def _floats(values: ArrayLike, name: str) -> NDArray[np.float32]:
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "fiu":
            raise TypeError(f"they are {array.dtype}")
        with np.errstate(over="ignore"):  # a number too large becomes infinite, and is refused
            return np.ascontiguousarray(array, dtype=np.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise GalleryError(f"{name}: expected an array of real numbers; {error}") from error


def _json(metadata: Mapping[str, Any] | None, name: str) -> str:
    if metadata is None:
        return "{}"
    if not isinstance(metadata, Mapping) or not all(isinstance(key, str) for key in metadata):
        raise GalleryError(f"{name}: metadata is an object with string keys; got {metadata!r}")
    try:
        return json.dumps(dict(metadata), allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise GalleryError(f"{name}: metadata cannot be written as JSON: {error}") from error


def _quality(quality: object, name: str) -> float | None:
    if quality is None:
        return None
    if isinstance(quality, int | float | np.floating | np.integer) and 0 <= quality < math.inf:
        return float(quality)
    raise GalleryError(f"{name}: the quality is {quality!r}; expected 0 or more, or None")


def _refuse_bad_lengths(vectors: NDArray[np.float32], name: Callable[[int], str]) -> None:
    lengths = norms(vectors)
    bad = np.flatnonzero(~(np.abs(lengths - 1) <= UNIT_TOLERANCE))  # ~ so that NaN is bad too
    if not bad.size:
        return
    row = int(bad[0])
    more = f" (and {bad.size - 1} more)" if bad.size > 1 else ""
    if not np.isfinite(vectors[row]).all():
        raise GalleryError(f"{name(row)}: the vector holds a NaN or an infinity{more}")
    raise GalleryError(
        f"{name(row)}: the vector has length {lengths[row]:.4g}{more}; "
        "expected 1: divide it by its length"
    )
