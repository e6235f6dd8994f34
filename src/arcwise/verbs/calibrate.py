"""Calibrate: what a model's similarities mean, measured on labelled images of one's own.

Thresholds for galleries of any kind go into the model folder. Thresholds measured against one
gallery as it is are kept with that gallery.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arcwise import evaluation, runtime
from arcwise.bundle import Bundle, add_thresholds, read_bundle
from arcwise.data.digests import identity_digest
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, ImageError
from arcwise.evaluation import Reliability, ScoreMap, SearchThreshold, Threshold
from arcwise.evaluation.calibration import FARS
from arcwise.evaluation.search_calibration import FPIRS, gallery_of, usual_galleries
from arcwise.runtime import Model
from arcwise.verbs.seed import check_seed
from arcwise.verbs.unseen_identities import UnseenRows, says_its_training, unseen_rows


@dataclass(frozen=True)
class ModelCalibration:
    """What was measured and written into the model folder.

    Attributes:
        model: the model folder.
        images: how many were measured on.
        identities: how many they are of.
        data: the data set's name.
        used_before: what these identities were used for before, in words; empty for nothing.
        left_out: identities not measured on, because the model was made with them.
        failures: images that could not be read.
        ignored: files that are not images.
        thresholds: for comparisons, by false-accept rate.
        search_thresholds: for searches, by size of the gallery and false-positive identification
            rate.
        probability: the map from similarity to probability; None where none was requested.
        reliability: how well calibrated the map is, on identities it was not fitted to.
        trained_images: how many images of the data set the model was trained on; None where the
            model does not say.
        notes: what the user has to know about the identities measured on.
        replaced: what the model's thresholds until now were measured on, where they went into its
            history; empty otherwise.
    """

    model: Path
    images: int
    identities: int
    data: str
    used_before: str
    left_out: int
    failures: tuple[ImageError, ...]
    ignored: tuple[str, ...]
    thresholds: tuple[Threshold, ...]
    search_thresholds: tuple[SearchThreshold, ...]
    probability: ScoreMap | None
    reliability: Reliability | None
    trained_images: int | None
    notes: tuple[str, ...]
    replaced: str


def calibrate(
    model: str | Path,
    data: str | Path | Manifest,
    *,
    fars: Sequence[float] = FARS,
    fpirs: Sequence[float] = FPIRS,
    gallery_size: int | None = None,
    templates: int | None = None,
    probability: bool = False,
    force: bool = False,
    seed: int = 0,
    other_identities: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> ModelCalibration:
    """Measure thresholds on identities that the model was not trained on; put them into its folder.

    Those that are resolved take the place of what it has; that goes into its history. Measured on
    the same identities again, thresholds for galleries of other sizes stay. The fingerprint stays,
    and with it every gallery. Identities that set the thresholds before may do so again, those that
    chose the checkpoint are taken only where there are no others.

    Args:
        model: the model folder.
        data: images with identities.
        fars: false-accept rates of a comparison.
        fpirs: false-positive identification rates of a search.
        gallery_size: identities enrolled in the galleries searched; several sizes, up to all but
            one of the identities measured on, where it is not given.
        templates: images enrolled of each; 1, 2, 5 and 10 where it is not given. An identity with
            fewer is searched with, but never enrolled.
        probability: whether to fit the map from similarity to probability, too.
        force: take the place of thresholds that were measured on more identities.
        seed: of the intervals, and of the halves that judge the map.
        other_identities: whether identities are others than in training, though they may be
            called alike; those of images that were trained on are left out all the same.
        progress: called with (images done, images in all).

    Raises:
        ArcwiseError: a rate that is not between 0 and 1, fewer than two identities that were not
            trained on, a gallery that leaves nobody unknown, a model that is no folder or was
            calibrated on more identities, or too few images for any of the rates; the model is
            then as it was.
    """
    check_seed(seed)
    check_rates(far=fars, fpir=fpirs)
    loaded = runtime.load(model)
    if loaded.bundle is None:
        raise ArcwiseError(
            f"{loaded.path}: a file, which has no place for thresholds; give a model folder"
        )
    manifest, unseen = images_to_calibrate_on(loaded, data, other_identities)
    if not force:
        _check_better(loaded.bundle, len(unseen.manifest.classes), unseen.without)
    galleries = _gallery_kinds(unseen.manifest, gallery_size, templates)
    embedded = runtime.embed_manifest(loaded, unseen.manifest, progress=progress)
    measured = unseen.manifest.select(embedded.rows)
    vectors, ids, count = embedded.vectors, measured.identities, len(measured.classes)
    thresholds = evaluation.calibrate(vectors, ids, fars, seed=seed)
    searches = evaluation.calibrate_searches(vectors, ids, fpirs, galleries, seed=seed)
    score_map, reliability = None, None
    if probability:
        score_map, reliability = evaluation.calibrate_probability(vectors, ids, seed=seed)
    resolved = [one for one in thresholds if one.resolved]
    resolved_searches = [one for one in searches if one.resolved]
    if not resolved and not resolved_searches:
        raise ArcwiseError(
            f"{manifest.name}: {len(measured)} images of {count} identities resolve none of the "
            f"rates{unseen.without}; bring more, or ask for higher rates. The model is as it was"
        )
    digests = sorted(identity_digest(identity) for identity in measured.classes)
    before = read_bundle(loaded.path)  # others may have calibrated it meanwhile
    if not force:
        _check_better(before, count, unseen.without)
    same_identities = digests == sorted(before.digests.get("calibrate", ()))
    kept = _of_other_galleries(before, galleries) if same_identities else []
    add_thresholds(
        loaded.path,
        resolved,
        search_thresholds=[*kept, *resolved_searches],
        probability=score_map,
        measured_on=f"{len(measured)} images of {count} identities of {manifest.name}",
        digests=digests,
    )
    had_some = before.thresholds or before.search_thresholds
    return ModelCalibration(
        model=loaded.path,
        images=len(measured),
        identities=count,
        data=manifest.name,
        used_before=unseen.used_before,
        left_out=unseen.left_out,
        failures=tuple(embedded.failures),
        ignored=manifest.ignored,
        thresholds=thresholds,
        search_thresholds=searches,
        probability=score_map,
        reliability=reliability,
        trained_images=unseen.trained_images,
        notes=(*unseen.notes, *embedded.notes),
        replaced=before.measured_on if had_some and not same_identities else "",
    )


def check_rates(**rates_by_name: Sequence[float]) -> None:
    """Refuse rates that are not between 0 and 1, and none at all.

    Raises:
        ArcwiseError: naming the argument.
    """
    for name, rates in rates_by_name.items():
        if not rates or not all(0 < rate < 1 for rate in rates):
            raise ArcwiseError(f"{name} is {tuple(rates)}; expected rates between 0 and 1")


def images_to_calibrate_on(
    model: Model, data: str | Path | Manifest, other_identities: bool
) -> tuple[Manifest, UnseenRows]:
    """Return the data set, and its rows of identities that the model was not trained on.

    Raises:
        ArcwiseError: it holds vectors, or fewer than two such identities.
    """
    manifest = open_manifest(data)
    if not manifest.has_images:
        raise ArcwiseError(f"{manifest.name}: holds vectors; a model is calibrated on images")
    unseen = unseen_rows(
        manifest, [model], other_uses=("choose",), other_identities=other_identities
    )
    if not says_its_training(model):
        note = f"{model.name} does not say what it was made with; it may know these identities"
        unseen = unseen._replace(notes=(*unseen.notes, note))
    return manifest, unseen


def _gallery_kinds(
    manifest: Manifest, gallery_size: int | None, templates: int | None
) -> list[tuple[int, int]]:
    """Return the kinds of galleries to measure, (identities, templates of each), all possible."""
    images_of_each = np.bincount(manifest.labels)
    kinds = usual_galleries(images_of_each, gallery_size, templates)
    if not kinds:
        gallery_of(images_of_each, gallery_size, templates)  # raises, and says what is wrong
    for size, each in kinds:
        gallery_of(images_of_each, size, each)
    return kinds


def _check_better(bundle: Bundle, identities: int, without: str) -> None:
    """Refuse to measure on fewer identities than before."""
    before = [one.identities or 0 for one in (*bundle.thresholds, *bundle.search_thresholds)]
    if before and max(before) > identities:
        raise ArcwiseError(
            f"{bundle.path}: its thresholds were measured on {max(before)} identities "
            f"({bundle.measured_on}), and these are {identities}{without}; to put them in their "
            "place all the same, say --force (in Python force=True). The old ones stay in its "
            "history"
        )


def _of_other_galleries(
    bundle: Bundle, galleries: Sequence[tuple[int, int]]
) -> list[SearchThreshold]:
    """Return the thresholds for galleries that are not measured now."""
    return [
        one for one in bundle.search_thresholds if (one.gallery, one.templates) not in galleries
    ]
