"""Gallery info: what is enrolled, which model made it, and what its thresholds promise."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Literal, NamedTuple

from arcwise.bundle import Bundle, read_bundle
from arcwise.client import Client
from arcwise.errors import ArcwiseError, BundleError
from arcwise.gallery import (
    GalleryCalibration,
    OperatingPoint,
    open_gallery,
    operating_points,
    shown_address,
    usual_point,
)
from arcwise.recognition.opening import gallery_may_exist, no_such_gallery
from arcwise.recognition.together import images_of, unmeasured
from arcwise.verbs.asking import is_address, refuse_model


class TemplatesPerIdentity(NamedTuple):
    """The fewest templates of an identity, the median and the most."""

    min: int
    median: float
    max: int


@dataclass(frozen=True)
class RecordedModel:
    """The model of a gallery, as it is now.

    Attributes:
        path: where it was when the gallery was made, or where the caller says it is; None where
            the gallery was made without one.
        fingerprint: of the model that the vectors come from; None likewise.
        state: "sound": it is there and the right one; "missing": nothing is there; "another": its
            fingerprint is not the gallery's; "damaged": it cannot be read; "unchecked": a bare
            .onnx, whose fingerprint needs its preparation; "none": no model is recorded or named.
        problem: why it is damaged; empty otherwise.
        licence: under which its weights may be used, as its folder says; empty where it does not.
    """

    path: str | None
    fingerprint: str | None
    state: Literal["sound", "missing", "another", "damaged", "unchecked", "none"]
    problem: str = ""
    licence: str = ""


@dataclass(frozen=True)
class GalleryInfo:
    """What a gallery holds.

    Attributes:
        gallery: its path.
        identities: how many are enrolled.
        templates: how many vectors these have.
        quarantined: templates in quarantine, besides.
        templates_an_identity: the fewest, the median and the most; None in an empty gallery.
        dim: dimensions of every vector.
        bytes: of the file, and of the files that SQLite keeps next to it.
        changed: when it was last written; None where a server does not know.
        model: whose vectors they are.
        points: what each resolved threshold promises in this gallery, of the model and measured
            against the gallery; a server says only those that decide at some rate. Empty where
            the model cannot be asked, or nobody is enrolled.
        usual: the one that a search decides by where no rate is asked for; None without any.
        measured_on: what the model's thresholds were measured on, in its words.
        calibration: what was measured against this gallery; None where nothing was.
        outgrown: whether more is enrolled now.
        checked: whether every byte was read again and found to be what was written.
        of_several: how many templates are of several images together.
        images: how many images these are of.
    """

    gallery: str
    identities: int
    templates: int
    templates_an_identity: TemplatesPerIdentity | None
    dim: int
    bytes: int
    changed: datetime | None
    model: RecordedModel
    points: tuple[OperatingPoint, ...]
    usual: OperatingPoint | None
    measured_on: str
    calibration: GalleryCalibration | None
    outgrown: bool
    checked: bool
    quarantined: int = 0
    of_several: int = 0
    images: int = 0

    @property
    def unmeasured(self) -> str:
        """Why the rates of `points` do not hold here, in words; empty where they do."""
        own = self.usual is not None and self.usual.in_this_gallery
        return unmeasured(1, bool(self.of_several) and not own, self.gallery)


def gallery_info(
    gallery: str | Path, *, model: str | Path | None = None, check: bool = False
) -> GalleryInfo:
    """Return what a gallery holds; a missing or another model is reported, not refused.

    Args:
        gallery: the file, or its address on a server.
        model: where the gallery's model is now, if it moved.
        check: read every byte of the file again; without it, the vectors and names in use are.

    Raises:
        GalleryError: no gallery, or something else.
        DamagedGallery: its bytes are not those that were written.
    """
    if is_address(gallery):
        refuse_model(gallery, model)
        if check:
            raise ArcwiseError(
                f"{shown_address(gallery)}: --check reads a file; run it where the gallery lies"
            )
        return _on_server(str(gallery))
    if not gallery_may_exist(gallery):
        raise no_such_gallery(gallery)
    with open_gallery(gallery, mode="r") as store:
        if check:
            store.check()
        counts = list(store.counts().values())
        sizes = [len(images_of(one.metadata)) for one in store.templates()]
        size, calibration = store.size(), store.calibration
        held = len(store.quarantined())
        dim, fingerprint = store.dim, store.fingerprint
        path = store.model_path if model is None else str(model)
    files = [one for one in _files(gallery) if one.exists()]  # none in a database
    written = [
        datetime.fromtimestamp(one.stat().st_mtime).astimezone()
        for one in files
        if not one.name.endswith("-shm")
    ]
    recorded, bundle = _model(path, fingerprint, dim)
    points: list[OperatingPoint] = []
    if bundle is not None and counts:
        points = operating_points(size, bundle.thresholds, bundle.search_thresholds, calibration)
    return GalleryInfo(
        gallery=shown_address(gallery),
        identities=len(counts),
        templates=sum(counts),
        templates_an_identity=_spread(counts) if counts else None,
        dim=dim,
        bytes=sum(one.stat().st_size for one in files),
        changed=max(written, default=None),
        model=recorded,
        points=tuple(points),
        usual=usual_point(points),
        measured_on="" if bundle is None else bundle.measured_on,
        calibration=calibration,
        outgrown=calibration is not None and calibration.outgrown(size),
        checked=check,
        quarantined=held,
        of_several=sum(one > 1 for one in sizes),
        images=sum(one for one in sizes if one > 1),
    )


def _on_server(address: str) -> GalleryInfo:
    with Client(address) as client:
        about = client.about()
    spread = about.templates_an_identity
    return GalleryInfo(
        gallery=address,
        identities=about.size.identities,
        templates=about.size.templates,
        templates_an_identity=None if spread is None else TemplatesPerIdentity(*spread),
        dim=about.dim,
        bytes=about.bytes,
        changed=None if about.changed is None else datetime.fromisoformat(about.changed),
        model=RecordedModel(about.model, about.fingerprint, "sound", licence=about.licence),
        points=tuple(about.decides.points),
        usual=about.decides.point,
        measured_on=about.decides.measured_on,
        calibration=about.decides.calibration,
        outgrown=about.decides.outgrown,
        checked=False,
        of_several=about.of_several,
        images=about.images,
    )


def _spread(counts: list[int]) -> TemplatesPerIdentity:
    return TemplatesPerIdentity(min(counts), median(counts), max(counts))


def _files(gallery: str | Path) -> list[Path]:
    """Return the gallery's file, and those of SQLite next to it: recent writes, and locks."""
    return [Path(f"{gallery}{suffix}") for suffix in ("", "-wal", "-shm")]


def _model(
    path: str | None, fingerprint: str | None, dim: int
) -> tuple[RecordedModel, Bundle | None]:
    """Return the model at a path, and its description if it is the gallery's."""
    if path is None:
        return RecordedModel(None, fingerprint, "none"), None
    if not os.path.exists(path):  # nor where its folder may not be entered
        return RecordedModel(path, fingerprint, "missing"), None
    if Path(path).is_file() and path.lower().endswith(".onnx"):
        return RecordedModel(path, fingerprint, "unchecked"), None
    try:
        bundle = read_bundle(path)
    except BundleError as problem:
        return RecordedModel(path, fingerprint, "damaged", str(problem)), None
    if fingerprint not in (None, bundle.fingerprint) or dim != bundle.dim:
        return RecordedModel(path, fingerprint, "another"), None
    return RecordedModel(path, bundle.fingerprint, "sound", licence=bundle.licence), bundle
