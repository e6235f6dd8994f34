"""Calibrate a gallery as it is: strangers search it, and what was measured is kept with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from arcwise import evaluation, runtime
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, ImageError
from arcwise.evaluation import SearchThreshold, TwoScores
from arcwise.evaluation.intervals import FEW
from arcwise.evaluation.search_calibration import FPIRS
from arcwise.gallery import Gallery, GalleryCalibration, GallerySize, shown_address
from arcwise.gallery.decision import NEIGHBOURS, above_next
from arcwise.recognition import Recogniser
from arcwise.runtime import Model
from arcwise.verbs.calibrate import check_rates, images_to_calibrate_on
from arcwise.verbs.gallery_second_look import SecondLookTrial, try_second_look
from arcwise.verbs.seed import check_seed
from arcwise.verbs.unseen_identities import UnseenRows

SAME_IMAGE = 1 - 1e-5
"""Similarity from which on an image is taken for one that is enrolled."""


@dataclass(frozen=True)
class MeasuredGallery:
    """What was measured against a gallery and is kept with it.

    Attributes:
        gallery: its path.
        model: the model folder.
        size: of the gallery.
        calibration: the thresholds that are resolved, as kept: with a detection rate only where it
            is that of a gallery like this one.
        thresholds: all of them.
        strangers: images of identities that are not enrolled.
        stranger_identities: how many these are of; None where the data set does not say.
        mated: further images of enrolled identities, by which was measured how many are found.
        mated_identities: how many these are of.
        second_look: what comparing how far the best similarity is above the next ones is worth;
            None where it was not to be tried.
        dir_from: what the detection rates were measured with, in words; empty where they were not.
        left_out: identities not measured on, because the model was made with them.
        used_before: what these identities were used for before, in words; empty for nothing.
        failures: images that could not be read.
        ignored: files that are not images.
        trained_images: how many images of the data set the model was trained on; None where the
            model does not say.
        notes: what the user has to know about the identities measured on.
    """

    gallery: str
    model: Path
    size: GallerySize
    calibration: GalleryCalibration
    thresholds: tuple[SearchThreshold, ...]
    strangers: int
    stranger_identities: int | None
    mated: int
    mated_identities: int
    second_look: SecondLookTrial | None
    dir_from: str
    left_out: int
    used_before: str
    failures: tuple[ImageError, ...]
    ignored: tuple[str, ...]
    trained_images: int | None
    notes: tuple[str, ...]


def calibrate_gallery(
    gallery: str | Path,
    data: str | Path | Manifest,
    *,
    model: str | Path | Model | None = None,
    fpirs: Sequence[float] = FPIRS,
    gallery_size: int | None = None,
    templates: int | None = None,
    second_look: bool = True,
    force: bool = False,
    seed: int = 0,
    other_identities: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> MeasuredGallery:
    """Measure thresholds by searching a gallery with strangers; keep them with the gallery.

    Strangers may be images without identities: no interval is known then, because it is not known
    which of them are of one.

    Images of identities that are enrolled are no strangers: they tell how many are found, unless
    they are enrolled themselves. Without any, that is measured among the strangers, in galleries
    with as many identities and templates as this one, where its identities have as many each.

    With such images, two scores are measured: the similarity of the closest identity, and how far
    that is above the mean of the next ones. Searches decide by the second while nothing changes,
    if it finds more images beyond chance (`evaluation.detection_gain`, 95 %).

    Args:
        gallery: the file, with somebody enrolled.
        data: images with identities, of the kind that will be searched with.
        model: where the gallery's model is now, if it moved; or the model, loaded.
        fpirs: false-positive identification rates.
        gallery_size: identities of the galleries that tell how many are found; as in this one where
            it is not given.
        templates: images enrolled of each there; as in this one where it is not given.
        second_look: whether to measure the second score, too.
        force: take the place of thresholds that were measured on more identities.
        seed: of the intervals.
        other_identities: whether identities are others than in training, though they may be
            called alike; those of images that were trained on are left out all the same.
        progress: called with (images done, images in all).

    Raises:
        ArcwiseError: an empty gallery, a rate that is not between 0 and 1, no strangers or too
            few, or a gallery that was calibrated on more; it is then as it was.
    """
    check_seed(seed)
    check_rates(fpir=fpirs)
    for name, number in (("gallery_size", gallery_size), ("templates", templates)):
        if number is not None and number < 1:
            raise ArcwiseError(f"{name} is {number}; expected 1 or more")
    with Recogniser(model, gallery) as recogniser:
        loaded, store = recogniser.model, recogniser.gallery
        size = store.size()
        if not size.templates:
            raise ArcwiseError(
                f"{shown_address(gallery)}: empty, nobody is enrolled; enrol first, then "
                "calibrate against it"
            )
        opened, known = with_identities(data)
        notes = () if known else (_without_identities(opened),)
        manifest, unseen = images_to_calibrate_on(loaded, opened, other_identities)
        enrolled = {one for one in unseen.manifest.classes if store.forms(one)}
        _check_strangers(store, loaded, str(gallery), unseen, enrolled, known, force)
        embedded = runtime.embed_manifest(loaded, unseen.manifest, progress=progress)
        ids = np.array(unseen.manifest.select(embedded.rows).identities)
        unknown = ~np.isin(ids, list(enrolled))
        strangers, stranger_ids = embedded.vectors[unknown], ids[unknown]
        others = _scores_of_strangers(store, strangers, stranger_ids)
        further = _scores_of_enrolled(store, embedded.vectors[~unknown], ids[~unknown])
        mated, mated_ids = further.first, further.ids
        thresholds = evaluation.calibrate_in_gallery(
            others.first,
            stranger_ids if known else None,
            fpirs,
            gallery=size.identities,
            own=mated,
            own_ids=mated_ids,
            seed=seed,
        )
        dir_from = f"{len(mated)} other images of {len(set(mated_ids))} enrolled identities"
        kept = thresholds
        if not len(mated):
            most = size.identities if gallery_size is None else gallery_size
            each = size.each if templates is None else templates
            thresholds, most = _with_dir_among_strangers(
                thresholds, strangers, stranger_ids, most, each, seed
            )
            dir_from = f"the strangers themselves, {most} enrolled with {each} images each"
            if not most:
                dir_from = ""
            elif each == size.each and most >= size.identities:
                kept = thresholds
            else:
                dir_from += "; searches do not say it, because here are more, or others each"
        resolved = tuple(one for one in kept if one.resolved)
        if not resolved:
            raise ArcwiseError(
                f"{manifest.name}: {len(strangers)} images of strangers resolve none of the rates"
                f"{unseen.without}; bring more, or ask for higher rates. The gallery is as it was"
            )
        count = len(set(stranger_ids.tolist())) if known else None
        trial = try_second_look(others, further, fpirs, size, seed) if second_look else None
        calibration = GalleryCalibration(
            size.identities,
            size.templates,
            resolved,
            f"{len(strangers)} images of {manifest.name}, it is not known whose"
            if count is None
            else f"{len(strangers)} images of {count} identities of {manifest.name}",
            size.newest,
            None if trial is None else trial.kept,
        )
        if store.size() != size:
            raise ArcwiseError(
                f"{shown_address(gallery)}: changed while it was calibrated; calibrate it again"
            )
        if not force and store.calibration is not None:
            notes = (*notes, *_replaced(store.calibration, resolved))
        store.keep_calibration(calibration)
    return MeasuredGallery(
        gallery=shown_address(gallery),
        model=loaded.path,
        size=size,
        calibration=calibration,
        thresholds=thresholds,
        strangers=len(strangers),
        stranger_identities=count,
        mated=len(mated),
        mated_identities=len(set(mated_ids)),
        second_look=trial,
        dir_from=dir_from,
        left_out=unseen.left_out,
        used_before=unseen.used_before,
        failures=tuple(embedded.failures),
        ignored=manifest.ignored,
        trained_images=unseen.trained_images,
        notes=(*notes, *unseen.notes, *embedded.notes),
    )


def with_identities(data: str | Path | Manifest) -> tuple[Manifest, bool]:
    """Return the data set, and whether it knows identities; else each image is named by itself."""
    manifest = open_manifest(data, identities=False)
    if "identity" in manifest.table.column_names or not manifest.has_images:
        return manifest, True
    table = manifest.table.append_column("identity", manifest.table.column("image"))
    return replace(manifest, table=table), False


def _without_identities(data: Manifest) -> str:
    return (
        f"{data.name} does not say whose its images are, so no interval is known: images of one "
        "stranger are answered alike. Put those of each into a folder of its own"
    )


def _replaced(before: GalleryCalibration, after: Sequence[SearchThreshold]) -> Iterator[str]:
    """Yield a note on the rates that were measured before and are not now."""
    measured = {one.fpir for one in after}
    gone = [f"{one.fpir:g}" for one in before.thresholds if one.fpir not in measured]
    if gone:
        yield (
            f"thresholds for FPIR {', '.join(gone)}, measured in this gallery before, are gone; "
            "--fpir takes all rates at once"
        )


def _check_strangers(
    store: Gallery,
    model: Model,
    gallery: str,
    unseen: UnseenRows,
    enrolled: set[str],
    known: bool,
    force: bool,
) -> None:
    """Refuse a data set without strangers, or with too few to replace the old calibration."""
    manifest = unseen.manifest
    strangers = len(manifest.classes) - len(enrolled)
    if not strangers:
        raise ArcwiseError(
            f"{manifest.name}: all of its {len(enrolled)} identities are enrolled in "
            f"{shown_address(gallery)}; a gallery is calibrated with images of nobody enrolled"
        )
    if force:  # the old calibration may be of another version, or damaged
        return
    before = store.calibration
    most = max((one.identities or 0 for one in model.search_thresholds), default=0)
    if known and strangers < FEW <= most:
        raise ArcwiseError(
            f"{manifest.name}: {strangers} strangers{unseen.without} are too few to take the place "
            f"of the model's thresholds, which were measured on {most} identities: {FEW} or more "
            "identities are needed, however many images each has; bring more, or say --force (in "
            "Python force=True)"
        )
    if before is not None and (before.strangers or 0) > (strangers if known else 0):
        now = f"these are {strangers}" if known else "of these it is not known whose they are"
        raise ArcwiseError(
            f"{shown_address(gallery)}: calibrated on {before.strangers} identities "
            f"({before.measured_on}), and "
            f"{now}{unseen.without}; to put them in their place all the same, say "
            "--force (in Python force=True)"
        )


def _scores_of_strangers(store: Gallery, vectors: np.ndarray, ids: np.ndarray) -> TwoScores:
    """Return the similarity of each (N, D) vector to its closest identity, and its second look."""
    found = store.search(vectors, k=NEIGHBOURS + 1)
    closest = np.array([hits[0].similarity for hits in found])
    return TwoScores(closest, np.array([above_next(hits, NEIGHBOURS) for hits in found]), ids)


def _scores_of_enrolled(store: Gallery, vectors: np.ndarray, ids: np.ndarray) -> TwoScores:
    """Return the similarity of further images (Q,) to their own identity, and its second look.

    Both are minus infinity where another identity is closer. An image that is enrolled itself is
    left out.
    """
    first, second, owners = [], [], []
    for identity, vector, hits in zip(
        ids.tolist(), vectors, store.search(vectors, k=NEIGHBOURS + 1), strict=True
    ):
        own = store.verify(identity, vector).similarity
        if own < SAME_IMAGE:
            right = own >= hits[0].similarity
            first.append(own if right else -np.inf)
            second.append(above_next(hits, NEIGHBOURS) if right else -np.inf)
            owners.append(identity)
    return TwoScores(np.array(first), np.array(second), owners)


def _with_dir_among_strangers(
    thresholds: tuple[SearchThreshold, ...],
    vectors: np.ndarray,
    ids: np.ndarray,
    gallery_size: int,
    templates: int | None,
    seed: int,
) -> tuple[tuple[SearchThreshold, ...], int]:
    """Return the thresholds with the detection rates that they had, were strangers enrolled.

    Returns:
        The thresholds; how many identities were enrolled, at most as many as requested, or 0 where
        none could be.
    """
    if templates is None:
        return thresholds, 0  # the gallery's identities differ in how many they have
    able = np.count_nonzero(np.unique(ids, return_counts=True)[1] > templates)
    gallery_size = min(gallery_size, int(able) - 1)
    if gallery_size < 1:
        return thresholds, 0
    with_dir = []
    for threshold in thresholds:
        _, rate = evaluation.search_rates(
            vectors, ids, threshold.threshold, gallery_size, templates=templates, seed=seed
        )
        with_dir.append(
            threshold
            if rate is None
            else replace(threshold, dir=float(rate), dir_low=rate.low, dir_high=rate.high)
        )
    return tuple(with_dir), gallery_size
