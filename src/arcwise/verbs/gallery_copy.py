"""Gallery copy: everything that a gallery holds, into a new one, in whichever store."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from arcwise.errors import GalleryError
from arcwise.files import atomic_write
from arcwise.gallery import (
    Gallery,
    GalleryCalibration,
    NewTemplate,
    StoredTemplates,
    open_gallery,
    shown_address,
)
from arcwise.gallery.snapshot import snapshot_path
from arcwise.identity import written_form
from arcwise.recognition.opening import gallery_may_exist, no_such_gallery

Progress = Callable[[int, int, str], object]
"""Called with what is done, the total, and what is being done."""


@dataclass(frozen=True)
class CopiedGallery:
    """A gallery and its copy, which was read again and is the same.

    Attributes:
        source: the gallery.
        target: where its copy is.
        templates: in each, those in quarantine too.
        quarantined: of these, in quarantine.
        thumbnails: that were copied.
        calibrated: whether a calibration was copied.
    """

    source: str
    target: str
    templates: int
    quarantined: int
    thumbnails: int
    calibrated: bool


@dataclass(frozen=True)
class _RecordedModel:
    """The model that the gallery records, which need not be there."""

    fingerprint: str
    dim: int
    path: str


def copy_gallery(
    source: str | Path, target: str | Path, *, progress: Progress | None = None
) -> CopiedGallery:
    """Copy a gallery, as it is at one moment, and compare all of the copy with what was read.

    The gallery may be searched and changed meanwhile. Identities, vectors to the last bit,
    metadata, qualities, thumbnails, quarantine, calibration and model are copied; templates get
    other ids, in the same order. A copy in a file is there once it was compared, or not at all. On
    a server, one that fails leaves what it has written.

    Args:
        source: the gallery, a file or an address.
        target: a file or an address where no gallery is.
        progress: called while templates are copied and compared.

    Raises:
        GalleryError: there is no such gallery, or one at the target; or the copy differs.
        DamagedGallery: what is read is not what was written.
    """
    if not gallery_may_exist(source):
        raise no_such_gallery(source)
    report = progress or (lambda done, total, doing: None)
    with open_gallery(source, mode="r") as store:
        if "://" in str(target):
            copied = _copied(store, str(target), report)
        else:
            copied = _copied_to_file(store, Path(target), report)
    return replace(copied, source=shown_address(source), target=shown_address(target))


def _copied_to_file(source: Gallery, target: Path, report: Progress) -> CopiedGallery:
    """Write the copy beside its place, and let it take that once it was compared."""
    if not target.parent.is_dir():
        raise GalleryError(f"{target}: no folder {target.parent}; make it first")
    partial = target
    try:
        with atomic_write(target, overwrite=False, error=GalleryError) as partial:
            copied = _copied(source, str(partial), report)
        if snapshot_path(partial).exists():  # a large gallery leaves one
            snapshot_path(partial).replace(snapshot_path(target))
        return copied
    finally:
        if partial != target:  # what is left of a gallery that was not closed in order
            for left in (f"{partial}-wal", f"{partial}-shm", snapshot_path(partial)):
                Path(left).unlink(missing_ok=True)


def _copied(source: Gallery, place: str, report: Progress) -> CopiedGallery:
    """Fill the gallery at a place, and read it again."""
    about = source.about()
    model = None
    if about.fingerprint is not None:
        model = _RecordedModel(about.fingerprint, about.dim, about.model_path or "")
    first, rest, calibration = _at_one_moment(source)
    digests: list[bytes] = []
    old, new = np.empty(0, np.int64), np.empty(0, np.int64)
    held = shown = 0
    with closing(rest), open_gallery(place, create=True, model=model, dim=about.dim) as copy:
        if copy.about().changes:
            raise GalleryError(
                f"{shown_address(place)} exists, a gallery with templates; name another place"
            )
        for chunk in chain(first, rest):
            old = np.append(old, chunk.templates)
            new = np.append(new, _enrol(copy, chunk))
            digests += _digests(chunk)
            held += sum(reason is not None for reason in chunk.quarantined)
            shown += sum(image is not None for image in chunk.thumbnails)
            report(len(digests), max(about.templates, len(digests)), "copying")
        if calibration is not None:
            calibration = _renumbered(calibration, old, new)
            copy.keep_calibration(calibration)
    with open_gallery(place, mode="r") as copy:
        _compare(copy, digests, report)
        if copy.calibration != calibration:
            raise GalleryError("the calibration of the copy is not the gallery's")
    return CopiedGallery("", "", len(digests), held, shown, calibration is not None)


def _at_one_moment(
    source: Gallery,
) -> tuple[list[StoredTemplates], Generator[StoredTemplates], GalleryCalibration | None]:
    """Return the first chunk of what is stored, if any, the others, and the calibration then."""
    while True:
        calibration = source.calibration
        chunks = cast(Generator[StoredTemplates], source.stored())
        first = next(chunks, None)
        if source.calibration == calibration:
            return [] if first is None else [first], chunks, calibration
        chunks.close()


def _enrol(copy: Gallery, chunk: StoredTemplates) -> NDArray[np.int64]:
    """Return the ids of templates in the copy."""
    columns = (chunk.identities, chunk.vectors, chunk.metadata, chunk.qualities, chunk.thumbnails)
    with warnings.catch_warnings():  # that numbers are joined was said when they were enrolled
        warnings.filterwarnings("ignore", message=".*equal numbers are one identity")
        new = copy.enrol([NewTemplate(*row) for row in zip(*columns, strict=True)]).templates
    by_reason: dict[str, list[int]] = {}
    for template, reason in zip(new, chunk.quarantined, strict=True):
        if reason is not None:
            by_reason.setdefault(reason, []).append(template)
    for reason, templates in by_reason.items():
        copy.quarantine(templates, reason)
    return np.array(new, np.int64)


def _digests(chunk: StoredTemplates) -> Iterator[bytes]:
    """Yield a digest of everything but the id of each template."""
    for identity, vector, metadata, quality, image, reason in zip(
        chunk.identities, chunk.vectors, chunk.metadata, chunk.qualities, chunk.thumbnails,
        chunk.quarantined, strict=True,
    ):  # fmt: skip
        texts = json.dumps([written_form(identity), metadata, quality, reason], sort_keys=True)
        digest = hashlib.blake2b(texts.encode(), digest_size=16)
        digest.update(vector.astype("<f4").tobytes())
        digest.update(b"\0" if image is None else image)
        yield digest.digest()


def _compare(copy: Gallery, digests: list[bytes], report: Progress) -> None:
    """Read the copy, and refuse it where a template is not what was read from the gallery."""
    place = 0
    for chunk in copy.stored():
        for digest in _digests(chunk):
            if place >= len(digests) or digest != digests[place]:
                raise GalleryError(f"template {place + 1:,} of the copy is not the gallery's")
            place += 1
        report(place, len(digests), "comparing")
    if place < len(digests):
        raise GalleryError(f"the copy has {place:,} templates of {len(digests):,}")


def _renumbered(
    calibration: GalleryCalibration, old: NDArray[np.int64], new: NDArray[np.int64]
) -> GalleryCalibration:
    """Return the calibration with the id, in the copy, of the newest template that it knew."""
    if calibration.newest is None:
        return calibration
    known = int(np.searchsorted(old, calibration.newest, side="right"))
    return replace(calibration, newest=int(new[known - 1]) if known else 0)
