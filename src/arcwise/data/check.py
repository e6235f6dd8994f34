"""A look at a data set before it is trained on: what there is, and what is wrong with it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from arcwise.data.check_report import CheckReport, Duplicates, Unreadable
from arcwise.data.manifest import Manifest
from arcwise.data.parallel import Progress, each_row
from arcwise.data.spelling import suspects
from arcwise.errors import ImageError
from arcwise.images import decode

T = TypeVar("T")


def check(
    manifest: Manifest,
    *,
    against: Sequence[Manifest] = (),
    workers: int | None = None,
    progress: Progress | None = None,
) -> CheckReport:
    """Everything that decoding each picture once can tell about a data set.

    Args:
        manifest: the data set.
        against: others that must share no picture and no identity with it, say the one that
            will be evaluated on.
        workers: threads that decode; as many as there are cores when not given.
        progress: called with the pictures done and their total, from the calling thread.
    """
    together = (manifest, *against)
    rows = [row for number, one in enumerate(together) for row in _rows(one, number)]
    looks: list[_Look] = []
    for look in _looks(together, workers):
        looks.append(look)
        if progress is not None and (len(looks) % 64 == 0 or len(looks) == len(rows)):
            progress(len(looks), len(rows))
    own = rows[: len(manifest)]
    return CheckReport(
        name=manifest.name,
        understood=manifest.understood,
        images=len(manifest),
        per_identity=_counts(row.identity for row in own),
        splits=_counts(manifest.column("split") or ()),
        sizes=_counts(look.size for look in looks[: len(manifest)]),
        unreadable=tuple(
            Unreadable(look.error.name, look.error.reason) for look in looks if look.error
        ),
        duplicates=tuple(_duplicates(rows, looks)),
        shared=tuple(_shared(rows)),
        suspects=tuple(suspects(row.identity for row in rows if row.identity)),
        ignored=tuple(file for one in together for file in one.ignored),
    )


class _Row(NamedTuple):
    name: str
    identity: str | None
    place: str  # data set and split: the same identity in two places is a leak


class _Look(NamedTuple):
    content: bytes = b""  # hash of the pixels, or of the vector
    size: tuple[int, int] | None = None  # width, height
    error: ImageError | None = None


def _rows(manifest: Manifest, number: int) -> Iterator[_Row]:
    title = f"{manifest.name} ({number + 1})" if number else manifest.name
    nothing = [None] * len(manifest)
    names = manifest.column("image") or [f"row {row + 1}" for row in range(len(manifest))]
    identities = manifest.column("identity") or nothing
    splits = manifest.column("split") or nothing
    for name, identity, split in zip(names, identities, splits, strict=True):
        yield _Row(name, identity or None, f"{title}, {split}" if split else title)


def _looks(manifests: Sequence[Manifest], workers: int | None) -> Iterator[_Look]:
    for manifest in manifests:
        if manifest.has_images:
            yield from each_row(partial(_look, manifest), len(manifest), workers=workers)
        else:
            yield from (_Look(_digest(vector.tobytes())) for vector in manifest.vectors)


def _look(manifest: Manifest, row: int) -> _Look:
    try:
        image = decode(manifest.read(row), manifest.image(row))
    except ImageError as error:
        return _Look(error=error)
    height, width = image.shape[:2]
    return _Look(_digest(image.tobytes(), f"{width}x{height}".encode()), (width, height))


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.sha1(usedforsecurity=False)
    for part in parts:
        digest.update(part)
    return digest.digest()


def _counts(values: Iterable[T | None]) -> dict[T, int]:
    """How often each value occurs, in order; what is absent is not counted."""
    return dict(sorted(Counter(value for value in values if value).items()))


def _duplicates(rows: list[_Row], looks: list[_Look]) -> Iterator[Duplicates]:
    groups: dict[bytes, list[_Row]] = defaultdict(list)
    for row, look in zip(rows, looks, strict=True):
        if not look.error:
            groups[look.content].append(row)
    for group in groups.values():
        if len(group) > 1:
            yield Duplicates(
                images=tuple(row.name for row in group),
                identities=tuple(sorted({row.identity for row in group if row.identity})),
                places=tuple(sorted({row.place for row in group})),
            )


def _shared(rows: list[_Row]) -> list[str]:
    places: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.identity:
            places[row.identity].add(row.place)
    return sorted(identity for identity, found in places.items() if len(found) > 1)
