"""Queries and items that a gallery is given: checked, or refused with the number of the bad one."""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from arcwise.errors import GalleryError
from arcwise.gallery.contract import Enrolment, NewTemplate
from arcwise.identity import written_form

UNIT_TOLERANCE = 1e-3
LARGEST_THUMBNAIL = 2**20


@dataclass(frozen=True)
class CheckedItems:
    """N items ready to be stored: vectors (N, D) float32, metadata as N JSON texts.

    Identities are in their written form (`arcwise.identity`).
    """

    identities: list[str]
    vectors: NDArray[np.float32]
    metadata: list[str]
    qualities: list[float | None]
    thumbnails: list[bytes | None]

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
    thumbnails: list[bytes | None] = []
    given: Iterable[Any] = items
    for number, item in enumerate(given):
        short = isinstance(item, tuple | list) and 2 <= len(item) <= 4
        one = NewTemplate(*item) if short else item
        if not isinstance(one, NewTemplate):
            raise GalleryError(
                f"item {number} is {type(item).__name__}; expected (identity, vector), (identity, "
                "vector, metadata), (identity, vector, metadata, quality) or a NewTemplate"
            )
        identity = checked_identity(one.identity, f"item {number}")
        name = _name(number, identity)
        row = _floats(one.vector, name)
        if row.shape != (dim,):
            raise GalleryError(
                f"{name}: the vector has the shape {row.shape}; this gallery takes ({dim},)"
            )
        identities.append(identity)
        rows.append(row)
        metadata.append(checked_metadata(one.metadata, name))
        qualities.append(_quality(one.quality, name))
        thumbnails.append(_thumbnail(one.thumbnail, name))
    vectors = np.stack(rows) if rows else np.empty((0, dim), np.float32)
    _refuse_bad_lengths(vectors, lambda row: _name(row, identities[row]))
    return CheckedItems(identities, vectors, metadata, qualities, thumbnails)


def checked_identity(identity: object, name: str) -> str:
    """Return an identity in its written form.

    Raises:
        GalleryError: it is blank, or no text.
    """
    if not isinstance(identity, str) or not written_form(identity):
        raise GalleryError(
            f"{name}: the identity is {identity!r}; expected a string that is not blank"
        )
    if not _is_text(identity):
        raise GalleryError(f"{name}: the identity {identity!r} is not text")
    return written_form(identity)


def _is_text(value: str) -> bool:
    """Return whether it holds no half of a surrogate pair."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _name(number: int, identity: str) -> str:
    return f"item {number} ({identity!r})"


def _floats(values: ArrayLike, name: str) -> NDArray[np.float32]:
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "fiu":
            raise TypeError(f"they are {array.dtype}")
        if array.dtype == np.float32:
            return np.ascontiguousarray(array)
        with np.errstate(over="ignore"):  # a number too large becomes infinite, and is refused
            return np.ascontiguousarray(array, dtype=np.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise GalleryError(f"{name}: expected an array of real numbers; {error}") from error


def checked_metadata(metadata: Mapping[str, Any] | None, name: str) -> str:
    """Return metadata as a JSON text.

    Raises:
        GalleryError: they are no JSON object.
    """
    if metadata is None:
        return "{}"
    if not isinstance(metadata, Mapping) or not all(isinstance(key, str) for key in metadata):
        raise GalleryError(f"{name}: metadata is an object with string keys; got {metadata!r}")
    try:
        return json.dumps(dict(metadata), allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise GalleryError(f"{name}: metadata cannot be written as JSON: {error}") from error


def checked_count(k: int) -> int:
    """Return how many identities are wanted.

    Raises:
        GalleryError: it is no whole number from 1 on.
    """
    try:
        count = operator.index(k)
    except TypeError:
        count = 0
    if count < 1:
        raise GalleryError(f"k is {k!r}; expected how many identities to return, 1 or more")
    return count


def checked_reason(reason: object) -> str:
    """Return why a template is in quarantine, in a text that is not blank.

    Raises:
        GalleryError: it is something else.
    """
    if not isinstance(reason, str) or not reason.strip() or not _is_text(reason):
        raise GalleryError(f"the reason is {reason!r}; expected a text: why it is in quarantine")
    return reason.strip()


def checked_threshold(threshold: float) -> float:
    """Return the least similarity that is wanted.

    Raises:
        GalleryError: it is no number, or NaN.
    """
    if isinstance(threshold, int | float | np.floating | np.integer) and not np.isnan(threshold):
        return float(threshold)
    raise GalleryError(f"the threshold is {threshold!r}; expected a cosine, from -1 to 1")


def _quality(quality: object, name: str) -> float | None:
    if quality is None:
        return None
    if isinstance(quality, int | float | np.floating | np.integer) and 0 <= quality < math.inf:
        return float(quality)
    raise GalleryError(f"{name}: the quality is {quality!r}; expected 0 or more, or None")


def _thumbnail(image: object, name: str) -> bytes | None:
    if image is None:
        return None
    if isinstance(image, bytes) and 0 < len(image) <= LARGEST_THUMBNAIL:
        return image
    what = f"{len(image):,} bytes" if isinstance(image, bytes) else type(image).__name__
    raise GalleryError(
        f"{name}: the thumbnail is {what}; expected the bytes of a small image, at most "
        f"{LARGEST_THUMBNAIL:,}"
    )


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
