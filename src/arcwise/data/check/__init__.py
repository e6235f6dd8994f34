"""A look at a data set before it is trained on: what there is, and what is wrong with it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arcwise.data.check.findings import Duplicates, NearDuplicates, Unreadable
from arcwise.data.check.grouping import connected, equal
from arcwise.data.check.near_duplicates import SIDE, near_duplicates, thumbnail
from arcwise.data.check.report import CheckReport
from arcwise.data.check.rows import Rows
from arcwise.data.check.spelling import suspects
from arcwise.data.formats.pairs.consistency import (
    contradiction,
    contradictions,
    itself_note,
    of_itself,
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
    """Everything that decoding each picture once can tell about a data set.

    Besides the manifests, some 1.1 kB a picture are held.

    Args:
        manifest: the data set.
        against: others that must share no picture and no identity with it, say the one that
            will be evaluated on.
        other_identities: whether identities of the others are none of this one's, though they may
            be called alike.
        workers: threads that decode; as many as there are cores when not given.
        progress: called with the pictures done and their total, from the calling thread.
        comparing: called with the pictures that were compared with all others, and their total.
    """
    rows = Rows([manifest, *against], other_identities=other_identities)
    seen = _look_at(rows, workers, progress)
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
    )


def _of_pairs(manifest: Manifest, seen: _Seen) -> tuple[str, ...]:
    """What is wrong with the pairs that the data set states, a line each kind and pair."""
    pairs = manifest.pairs
    if pairs is None:
        return ()
    codes = np.unique(seen.content, return_inverse=True)[1]
    content = np.where(seen.usable, codes, -1)[: len(manifest)]
    flipped = [
        f"row {pair + 1}: {contradiction(pairs, manifest, pair)}: they contradict each other"
        for pair in contradictions(pairs, manifest)
    ]
    return (*flipped, *itself_note(pairs, of_itself(pairs, manifest, content)))


class _Look(NamedTuple):
    content: bytes  # hash of the pixels, or of the vector
    size: tuple[int, int] | None = None  # width, height
    small: NDArray[np.uint8] | None = None
    impossible: Unreadable | None = None
    doubtful: Unreadable | None = None


class _Seen(NamedTuple):
    """What is kept of all rows: (N,) content and thumbnails, and counts of the first data set."""

    content: NDArray[np.void]
    small: NDArray[np.uint8]
    pictured: NDArray[np.bool_]
    usable: NDArray[np.bool_]
    sizes: Counter[tuple[int, int]]
    unreadable: list[Unreadable]
    impossible: list[Unreadable]  # landmarks, as the next
    doubtful: list[Unreadable]


def _look_at(rows: Rows, workers: int | None, progress: Progress | None) -> _Seen:
    count, own = len(rows), len(rows.manifests[0])
    content = np.zeros(count, f"V{_DIGEST}")
    small = np.zeros((count, SIDE, SIDE), np.uint8)
    pictured, usable = np.zeros(count, bool), np.zeros(count, bool)
    seen = _Seen(content, small, pictured, usable, Counter(), [], [], [])
    for row, look in enumerate(_looks(rows.manifests, workers)):
        if isinstance(look, ImageError):
            seen.unreadable.append(Unreadable(look.name, look.reason))
        else:
            content[row], seen.usable[row] = np.void(look.content), True
            if look.small is not None:
                small[row], seen.pictured[row] = look.small, True
            seen.impossible.extend(filter(None, [look.impossible]))
            seen.doubtful.extend(filter(None, [look.doubtful]))
            if look.size is not None and row < own:
                seen.sizes[look.size] += 1
        if progress is not None and ((row + 1) % 64 == 0 or row + 1 == count):
            progress(row + 1, count)
    return seen


def _looks(manifests: Sequence[Manifest], workers: int | None) -> Iterator[_Look | ImageError]:
    for manifest in manifests:
        if manifest.has_images:
            yield from each_row(partial(_look, manifest), len(manifest), workers=workers)
        else:
            yield from (_Look(_digest(vector.tobytes())) for vector in manifest.vectors)


def _look(manifest: Manifest, row: int) -> _Look | ImageError:
    try:
        image = decode(manifest.read(row), manifest.image(row))
    except ImageError as error:
        return error
    height, width = image.shape[:2]
    content = _digest(image.tobytes(), f"{width}x{height}".encode())
    look = _Look(content, (width, height), thumbnail(image))
    if "landmarks" not in manifest.table.column_names:
        return look
    return _with_landmarks(look, manifest.image(row), manifest.table["landmarks"][row].as_py())


def _with_landmarks(look: _Look, image: str, landmarks: list[float] | None) -> _Look:
    if landmarks is None or look.size is None:
        return look
    width, height = look.size
    try:
        points = five_points(landmarks)
    except ArcwiseError as problem:
        return look._replace(impossible=Unreadable(image, str(problem)))
    if reason := impossible(points, height, width):
        return look._replace(impossible=Unreadable(image, reason))
    if reason := doubtful(points, height, width):
        return look._replace(doubtful=Unreadable(image, reason))
    return look


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.sha1(usedforsecurity=False)
    for part in parts:
        digest.update(part)
    return digest.digest()


def _counts(values: list[str] | None) -> dict[str, int]:
    """How often each value occurs, in order; what is absent is not counted."""
    return dict(sorted(Counter(filter(None, values or ())).items()))


def _duplicates(
    rows: Rows, content: NDArray[np.void], usable: NDArray[np.bool_]
) -> Iterator[Duplicates]:
    known = np.flatnonzero(usable)
    for group in equal(content[known]):
        yield Duplicates(*rows.described(known[group]))


def _near(rows: Rows, seen: _Seen, comparing: Progress | None) -> list[NearDuplicates]:
    """Groups of nearly the same pictures, the exact copies of each among them."""
    known = np.flatnonzero(seen.pictured)
    first, content = np.unique(seen.content[known], return_index=True, return_inverse=True)[1:]
    links = near_duplicates(seen.small[known[first]], progress=comparing)
    order = np.argsort(content, kind="stable")
    ends = np.cumsum(np.bincount(content))
    found = []
    for group in connected(links, len(first)):
        copies = [order[ends[one - 1] if one else 0 : ends[one]] for one in group.members]
        members = known[np.sort(np.concatenate(copies))]
        found.append(NearDuplicates(*rows.described(members), group.least))
    return sorted(found, key=NearDuplicates.order)
