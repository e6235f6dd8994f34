"""Upgrade a gallery to another model: its images are embedded again, into a new gallery."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from arcwise import runtime
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, GalleryError
from arcwise.files import locked
from arcwise.gallery import (
    Gallery,
    GalleryAbout,
    GallerySize,
    OperatingPoint,
    check_free,
    open_gallery,
    shown_address,
    swap,
)
from arcwise.identity import identity_key
from arcwise.recognition.opening import gallery_may_exist, no_such_gallery, recorded_model
from arcwise.recognition.thresholds import search_operating_point
from arcwise.runtime import Model
from arcwise.verbs.calibrate_gallery import MeasuredGallery, calibrate_gallery
from arcwise.verbs.enrolled_images import EnrolledImages
from arcwise.verbs.gallery_comparison import GalleryComparison, compare_galleries
from arcwise.verbs.upgraded_templates import (
    UPGRADED_FROM,
    MissingTemplate,
    Progress,
    take_in,
    templates_now,
)

__all__ = [
    "UPGRADED_FROM",
    "MissingTemplate",
    "UpgradedGallery",
    "swap_upgraded",
    "upgrade_gallery",
]


@dataclass(frozen=True)
class UpgradedGallery:
    """A gallery of another model, and the one that it was made from.

    Attributes:
        gallery: the old one.
        upgraded: the new one.
        model: the new model's folder.
        upgraded_before: whether the old gallery is of this model; nothing was done then.
        sizes: of the old gallery and of the new one, without templates in quarantine.
        states: what both said of themselves when they were compared.
        embedded: templates that this run put into the new gallery.
        removed: templates that it took out of it, because the old one has them no more.
        missing: templates of the old gallery that are not in the new one.
        lost_identities: identities that have no template in the new gallery.
        calibration: what was measured against the new gallery; None where it was not asked for.
        uncalibrated: why nothing was, though it was asked for; empty otherwise.
        comparison: what changed on the labelled images; None where there are none, or the old
            model cannot be asked.
        point: what a search in the new gallery decides by; None where nothing does.
        notes: what the user has to know.
    """

    gallery: Path
    upgraded: Path
    model: Path
    upgraded_before: bool
    sizes: tuple[GallerySize, GallerySize] | None = None
    states: tuple[GalleryAbout, GalleryAbout] | None = None
    embedded: int = 0
    removed: int = 0
    missing: tuple[MissingTemplate, ...] = ()
    lost_identities: tuple[str, ...] = ()
    calibration: MeasuredGallery | None = None
    uncalibrated: str = ""
    comparison: GalleryComparison | None = None
    point: OperatingPoint | None = None
    notes: tuple[str, ...] = ()


def upgrade_gallery(
    gallery: str | Path,
    upgraded: str | Path,
    *,
    model: str | Path,
    calibrate: str | Path | Manifest | None = None,
    images: str | Path | None = None,
    force: bool = False,
    other_identities: bool = False,
    measure_incomplete: bool = True,
    progress: Progress | None = None,
) -> UpgradedGallery:
    """Embed a gallery's images again with another model, into a new gallery; go on where it is.

    The old gallery stays as it is. What is in the new one is not embedded again, and what the old
    one got or lost since is taken in.

    Args:
        gallery: the old one.
        upgraded: the new one; it is made where there is none.
        model: the new model's folder.
        calibrate: labelled images, as `calibrate_gallery` takes them: the new gallery's thresholds
            are measured with them, and what changed is reported.
        images: a folder or archive in which images that moved are found again.
        force: take the place of thresholds that were measured on more identities.
        other_identities: whether identities of the labelled images are others than in training.
        measure_incomplete: whether to calibrate and compare although templates are missing.
        progress: called while images are embedded.

    Raises:
        ArcwiseError: no gallery, one without a model, a new gallery that is not of this upgrade,
            no model, or a mistake in the labelled images; the new gallery has what was done.
    """
    if "://" in str(upgraded):
        raise GalleryError(f"{shown_address(upgraded)}: an upgrade goes into a file; name one")
    old_path, new_path = Path(shown_address(gallery)), Path(upgraded)
    _check_paths(gallery, new_path)
    with open_gallery(gallery, mode="r") as old:
        if old.fingerprint is None:
            raise GalleryError(
                f"{shown_address(gallery)}: made without a model, from vectors alone; embed their "
                "images, and enrol them into a new gallery"
            )
        loaded = runtime.load(model)
        if old.fingerprint == loaded.fingerprint:
            return UpgradedGallery(old_path, new_path, loaded.path, upgraded_before=True)
        places = EnrolledImages(gallery, images)
        labelled = None if calibrate is None else open_manifest(calibrate, identities=False)
        report = progress or (lambda done, total, doing: None)
        with locked(new_path.with_name(f"{new_path.name}.upgrade"), "an upgrade"):
            _check_new(new_path, old, loaded)
            with open_gallery(upgraded, create=True, model=loaded) as new:
                taken_in = take_in(old, new, loaded, places, report)
                sizes, states = (old.size(), new.size()), (taken_in.state, new.about())
            calibration = comparison = None
            uncalibrated = ""
            notes = loaded.notes_on_whole(taken_in.whole, taken_in.embedded)
            if labelled is not None and (measure_incomplete or not taken_in.missing):
                try:
                    calibration = calibrate_gallery(
                        upgraded,
                        labelled,
                        model=loaded,
                        force=force,
                        other_identities=other_identities,
                        progress=lambda done, total: report(done, total, "calibrating"),
                    )
                except ArcwiseError as problem:  # what was embedded, and what changes, still counts
                    uncalibrated = str(problem)
                try:
                    before = recorded_model(old, gallery)
                except ArcwiseError as problem:
                    notes = (*notes, f"what changes cannot be measured: {problem}")
                else:
                    comparison = compare_galleries(
                        (gallery, upgraded),
                        (before, loaded),
                        labelled,
                        other_identities=other_identities,
                        progress=lambda done, total: report(done, total, "comparing"),
                    )
            with open_gallery(upgraded, mode="r") as new:
                point = search_operating_point(loaded, new.size(), new.calibration)
                kept = {identity_key(one.identity) for one in templates_now(new)}
            lost = {
                one.identity for one in taken_in.missing if identity_key(one.identity) not in kept
            }
    return UpgradedGallery(
        old_path,
        new_path,
        loaded.path,
        upgraded_before=False,
        sizes=sizes,
        states=states,
        embedded=taken_in.embedded,
        removed=taken_in.removed,
        missing=tuple(taken_in.missing),
        lost_identities=tuple(sorted(lost)),
        calibration=calibration,
        uncalibrated=uncalibrated,
        comparison=comparison,
        point=point,
        notes=notes,
    )


def kept_name(gallery: str | Path) -> Path:
    """Return where a gallery stays when another takes its place.

    Raises:
        GalleryError: there is another file.
    """
    path = Path(gallery).resolve()
    with open_gallery(path, mode="r") as store:
        kept = path.with_name(f"{path.name}.before-{(store.fingerprint or '')[:8]}")
    check_free(kept, path)
    return kept


def swap_upgraded(result: UpgradedGallery, *, drop_missing: bool = False) -> Path | None:
    """Put the new gallery in the place of the old one; return where the old one is.

    Args:
        result: of `upgrade_gallery`.
        drop_missing: whether templates may be missing in the new one.

    Returns:
        The path of the old gallery; None where the gallery was of the new model already.

    Raises:
        GalleryError: templates are missing, calibrating failed, a gallery changed meanwhile or is
            open elsewhere, or the name of the old gallery is taken; both are as they were.
    """
    if result.upgraded_before or result.states is None:
        return None
    if result.missing and not drop_missing:
        raise GalleryError(
            f"{result.gallery}: not swapped: {len(result.missing):,} templates would be gone, and "
            f"{len(result.lost_identities):,} identities with all of theirs; find their images "
            "(--images), or say --drop-missing"
        )
    if result.uncalibrated:
        raise GalleryError(
            f"{result.gallery}: not swapped: the new gallery is not calibrated; bring other "
            "images, or leave --calibrate out"
        )
    kept = kept_name(result.gallery)
    swap(result.gallery.resolve(), result.upgraded.resolve(), kept, states=result.states)
    return kept


def _check_paths(old: str | Path, new: Path) -> None:
    if not gallery_may_exist(old):
        raise no_such_gallery(old)
    if new.exists() and Path(old).exists() and new.samefile(old):
        raise GalleryError(f"{new}: the old and the new gallery are one file; name another")
    if not new.parent.is_dir():
        raise GalleryError(f"{new}: no folder {new.parent}; make it first")


def _check_new(path: Path, old: Gallery, model: Model) -> None:
    """Refuse a new gallery that exists and was not made by an upgrade of the old one."""
    if not path.exists():
        return
    with open_gallery(path, mode="r") as new:
        templates, fingerprint = templates_now(new), new.fingerprint
    if fingerprint != model.fingerprint:
        made_by = "no model" if fingerprint is None else f"another model ({fingerprint[:8]})"
        raise GalleryError(f"{path} exists, a gallery of {made_by}; name a new file")
    own = sorted({one.identity for one in templates if not isinstance(one.origin, int)})
    if len(own) == len({one.identity for one in templates}) > 0:
        raise GalleryError(f"{path} exists, and is no upgrade of another gallery; name a new file")
    if own:
        raise GalleryError(
            f"{path}: {len(own):,} identities were enrolled into it ({', '.join(own[:3])}); enrol "
            "them into the old gallery, whose changes are taken in, and remove them from this one"
        )
    before = {(one.template, one.identity) for one in templates_now(old)}
    if templates and before and before.isdisjoint((one.origin, one.identity) for one in templates):
        raise GalleryError(f"{path} exists, an upgrade of another gallery; name a new file")
