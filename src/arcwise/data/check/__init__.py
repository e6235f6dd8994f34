"""The check of a data set before training: what there is, and what is wrong with it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arcwise.data.check.check_report import CheckReport
from arcwise.data.check.columns import look_at_columns
from arcwise.data.check.findings import Duplicates, NearDuplicates, Unreadable
from arcwise.data.check.grouping import connected, equal
from arcwise.data.check.merged_rows import MergedRows, suspects
from arcwise.data.check.near_duplicates import SIDE, make_thumbnail, near_duplicates
from arcwise.data.formats.pairs.consistency import (
    contradiction_text,
    contradictions,
    self_pair_notes,
    self_pairs,
)
from arcwise.data.manifest import Manifest
from arcwise.data.parallel import Progress, each_row
from arcwise.errors import ArcwiseError, ImageError
from arcwise.images import decode
from arcwise.images.landmarks import five_points
from arcwise.images.plausible import doubtful, impossible

_DIGEST = 20  # bytes


def check(
    manifest: Manifest,
    *,
    against: Sequence[Manifest] = (),
    other_identities: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
    comparing: Progress | None = None,
) -> CheckReport:
    """Check a data set by decoding each image once.

    Memory: the manifests, and some 1.1 kB per image.

    Args:
        manifest: the data set.
        against: others that must share no image and no identity with it, say the one that
            will be evaluated on.
        other_identities: whether the identities of the others are distinct from this one's, even
            where they have the same names.
        workers: threads that decode; as many as there are cores when not given.
        progress: called with the images done and their total, from the calling thread.
        comparing: called with the images that were compared with all others, and their total.
    """
    rows = MergedRows([manifest, *against], other_identities=other_identities)
    seen = _decode_all(rows, workers, progress)
    return CheckReport(
        name=manifest.name,
        understood=manifest.understood,
        notes=manifest.notes,
        images=len(manifest),
        per_identity=_counts(manifest.column("identity")),
        splits=_counts(manifest.column("split")),
        sizes=dict(sorted(seen.sizes.items())),
        unreadable=tuple(seen.unreadable),
        landmarks=tuple(seen.impossible),
        odd_landmarks=tuple(seen.doubtful),
        duplicates=tuple(_duplicates(rows, seen.content, seen.usable)),
        near=tuple(_near(rows, seen, comparing)),
        shared=tuple(rows.shared()),
        suspects=tuple(suspects(rows.identities)),
        ignored=tuple(file for one in rows.manifests for file in one.ignored),
        nobody=tuple(rows.nobody()),
        pairs=_of_pairs(manifest, seen),
        domains=_counts(manifest.column("domain")),
        columns=look_at_columns(manifest),
    )


def _of_pairs(manifest: Manifest, seen: _AllRows) -> tuple[str, ...]:
    """Return what is wrong with the pairs that the data set states, one line per kind and pair."""
    pairs = manifest.pairs
    if pairs is None:
        return ()
    codes = np.unique(seen.content, return_inverse=True)[1]
    content = np.where(seen.usable, codes, -1)[: len(manifest)]
    flipped = [
        f"row {pair + 1}: {contradiction_text(pairs, manifest, pair)}: they contradict each other"
        for pair in contradictions(pairs, manifest)
    ]
    return (*flipped, *self_pair_notes(pairs, self_pairs(pairs, manifest, content)))


class _RowResult(NamedTuple):
    """What decoding one row's image gives."""

    content: bytes  # hash of the pixels, or of the vector
    size: tuple[int, int] | None = None  # width, height
    thumbnail: NDArray[np.uint8] | None = None
    impossible: Unreadable | None = None
    doubtful: Unreadable | None = None


class _AllRows(NamedTuple):
    """What is kept of all rows: (N,) digests and thumbnails; sizes of the first data set."""

    content: NDArray[np.void]
    thumbnail: NDArray[np.uint8]
    has_thumbnail: NDArray[np.bool_]
    usable: NDArray[np.bool_]
    sizes: Counter[tuple[int, int]]
    unreadable: list[Unreadable]
    impossible: list[Unreadable]  # landmarks, as the next
    doubtful: list[Unreadable]


def _decode_all(rows: MergedRows, workers: int | None, progress: Progress | None) -> _AllRows:
    count, own = len(rows), len(rows.manifests[0])
    content = np.zeros(count, f"V{_DIGEST}")
    thumbnail = np.zeros((count, SIDE, SIDE), np.uint8)
    has_thumbnail, usable = np.zeros(count, bool), np.zeros(count, bool)
    seen = _AllRows(content, thumbnail, has_thumbnail, usable, Counter(), [], [], [])
    for row, result in enumerate(_results(rows.manifests, workers)):
        if isinstance(result, ImageError):
            seen.unreadable.append(Unreadable(result.name, result.reason))
        else:
            content[row], seen.usable[row] = np.void(result.content), True
            if result.thumbnail is not None:
                thumbnail[row], seen.has_thumbnail[row] = result.thumbnail, True
            seen.impossible.extend(filter(None, [result.impossible]))
            seen.doubtful.extend(filter(None, [result.doubtful]))
            if result.size is not None and row < own:
                seen.sizes[result.size] += 1
        if progress is not None and ((row + 1) % 64 == 0 or row + 1 == count):
            progress(row + 1, count)
    return seen


def _results(
    manifests: Sequence[Manifest], workers: int | None
) -> Iterator[_RowResult | ImageError]:
    for manifest in manifests:
        if manifest.has_images:
            yield from each_row(partial(_result, manifest), len(manifest), workers=workers)
        else:
            yield from (_RowResult(_digest(vector.tobytes())) for vector in manifest.vectors)


def _result(manifest: Manifest, row: int) -> _RowResult | ImageError:
    try:
        image = decode(manifest.read(row), manifest.image(row))
    except ImageError as error:
        return error
    height, width = image.shape[:2]
    content = _digest(image.tobytes(), f"{width}x{height}".encode())
    result = _RowResult(content, (width, height), make_thumbnail(image))
    if "landmarks" not in manifest.table.column_names:
        return result
    return _with_landmarks(result, manifest.image(row), manifest.table["landmarks"][row].as_py())


def _with_landmarks(result: _RowResult, image: str, landmarks: list[float] | None) -> _RowResult:
    if landmarks is None or result.size is None:
        return result
    width, height = result.size
    try:
        points = five_points(landmarks)
    except ArcwiseError as problem:
        return result._replace(impossible=Unreadable(image, str(problem)))
    if reason := impossible(points, height, width):
        return result._replace(impossible=Unreadable(image, reason))
    if reason := doubtful(points, height, width):
        return result._replace(doubtful=Unreadable(image, reason))
    return result


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.sha1(usedforsecurity=False)
    for part in parts:
        digest.update(part)
    return digest.digest()


def _counts(values: list[str] | None) -> dict[str, int]:
    """Return how often each value occurs, in order; empty values are not counted."""
    return dict(sorted(Counter(filter(None, values or ())).items()))


def _duplicates(
    rows: MergedRows, content: NDArray[np.void], usable: NDArray[np.bool_]
) -> Iterator[Duplicates]:
    usable_rows = np.flatnonzero(usable)
    for group in equal(content[usable_rows]):
        yield Duplicates(*rows.described(usable_rows[group]))


def _near(rows: MergedRows, seen: _AllRows, comparing: Progress | None) -> list[NearDuplicates]:
    """Return groups of nearly the same images, including exact copies of each."""
    decoded = np.flatnonzero(seen.has_thumbnail)
    first, content = np.unique(seen.content[decoded], return_index=True, return_inverse=True)[1:]
    links = near_duplicates(seen.thumbnail[decoded[first]], progress=comparing)
    order = np.argsort(content, kind="stable")
    ends = np.cumsum(np.bincount(content))
    groups = []
    for group in connected(links, len(first)):
        copies = [order[ends[one - 1] if one else 0 : ends[one]] for one in group.members]
        members = decoded[np.sort(np.concatenate(copies))]
        groups.append(NearDuplicates(*rows.described(members), group.least))
    return sorted(groups, key=NearDuplicates.order)
