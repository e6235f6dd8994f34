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
from arcwise.verbs.unseen import Unseen, unseen


@dataclass(frozen=True)
class Calibration:
    """What was measured and written into the model folder.

    Attributes:
        model: the model folder.
        pictures: how many were measured on.
        identities: how many they are of.
        data: the data set's name.
        used: in words, what these identities were used for before; empty for nothing.
        left_out: identities not measured on, because the model was made with them.
        failures: pictures that could not be read.
        ignored: files that are not pictures.
        thresholds: of a comparison, by false-accept rate.
        search_thresholds: of a search, by size of the gallery and false-positive identification
            rate.
        probability: similarity as a probability; None where it was not asked for.
        reliability: how far the map can be believed, on identities it was not fitted to.
        trained_images: how many pictures of the data set the model was trained on; None where the
            model does not say.
        notes: what the user has to know about the identities measured on.
        replaced: what the model's thresholds until now were measured on, where they went into its
            history; empty otherwise.
    """

    model: Path
    pictures: int
    identities: int
    data: str
    used: str
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
) -> Calibration:
    """Measure thresholds on identities that the model was not trained on; put them into its folder.

    Those that are resolved take the place of what it has; that goes into its history. Measured on
    the same identities again, thresholds for galleries of other sizes stay. The fingerprint stays,
    and with it every gallery. Identities that set the thresholds before may do so again, those that
    chose the checkpoint are taken only where there are no others.

    Args:
        model: the model folder.
        data: pictures with identities.
        fars: false-accept rates of a comparison.
        fpirs: false-positive identification rates of a search.
        gallery_size: identities enrolled in the galleries searched; several sizes, up to all but
            one of the identities measured on, where it is not given.
        templates: pictures enrolled of each; 1, 2, 5 and 10 where it is not given. An identity with
            fewer is searched with, but never enrolled.
        probability: whether to fit the map from similarity to probability, too.
        force: take the place of thresholds that were measured on more identities.
        seed: of the intervals, and of the halves that judge the map.
        other_identities: whether identities are others than in training, though they may be
            called alike; those of pictures that were trained on are left out all the same.
        progress: told (pictures done, pictures in all).

    Raises:
        ArcwiseError: a rate that is none, fewer than two identities that were not trained on, a
            gallery that leaves nobody unknown, a model that is no folder or was calibrated on more
            identities, or too few pictures for any of the rates; the model is then as it was.
    """
    check_seed(seed)
    check_rates(far=fars, fpir=fpirs)
    loaded = runtime.load(model)
    if loaded.bundle is None:
        raise ArcwiseError(
            f"{loaded.path}: a file, which has no place for thresholds; give a model folder"
        )
    manifest, found = measurable(loaded, data, other_identities)
    wanted = found.manifest
    if not force:
        _check_better(loaded.bundle, len(wanted.classes))
    kinds = _kinds(wanted, gallery_size, templates)
    embedded = runtime.embed_manifest(loaded, wanted, progress=progress)
    kept = wanted.select(embedded.rows)
    vectors, ids = embedded.vectors, kept.identities
    thresholds = evaluation.calibrate(vectors, ids, fars, seed=seed)
    searches = evaluation.calibrate_searches(vectors, ids, fpirs, kinds, seed=seed)
    score_map, judged = None, None
    if probability:
        score_map, judged = evaluation.calibrate_probability(vectors, ids, seed=seed)
    people = len(kept.classes)
    resolved = [one for one in thresholds if one.resolved]
    resolved_searches = [one for one in searches if one.resolved]
    if not resolved and not resolved_searches:
        raise ArcwiseError(
            f"{manifest.name}: {len(kept)} pictures of {people} identities resolve none of the "
            "rates; bring more, or ask for higher rates. The model is as it was"
        )
    digests = sorted(identity_digest(identity) for identity in kept.classes)
    before = read_bundle(loaded.path)  # others may have calibrated it meanwhile
    if not force:
        _check_better(before, people)
    again = digests == sorted(before.digests.get("calibrate", ()))
    add_thresholds(
        loaded.path,
        resolved,
        search_thresholds=[*(_others(before, kinds) if again else ()), *resolved_searches],
        probability=score_map,
        measured_on=f"{len(kept)} pictures of {people} identities of {manifest.name}",
        digests=digests,
    )
    had_some = before.thresholds or before.search_thresholds
    return Calibration(
        model=loaded.path,
        pictures=len(kept),
        identities=people,
        data=manifest.name,
        used=found.used,
        left_out=found.left_out,
        failures=tuple(embedded.failures),
        ignored=manifest.ignored,
        thresholds=thresholds,
        search_thresholds=searches,
        probability=score_map,
        reliability=judged,
        trained_images=found.trained_images,
        notes=found.notes,
        replaced=before.measured_on if had_some and not again else "",
    )


def check_rates(**named: Sequence[float]) -> None:
    """Refuse rates that are none.

    Raises:
        ArcwiseError: none is given, or one is not between 0 and 1.
    """
    for name, rates in named.items():
        if not rates or not all(0 < rate < 1 for rate in rates):
            raise ArcwiseError(f"{name} is {tuple(rates)}; expected rates between 0 and 1")


def measurable(
    model: Model, data: str | Path | Manifest, other_identities: bool
) -> tuple[Manifest, Unseen]:
    """The data set, and its identities that the model was not trained on.

    Raises:
        ArcwiseError: it holds vectors, or fewer than two such identities.
    """
    manifest = open_manifest(data)
    if not manifest.has_images:
        raise ArcwiseError(f"{manifest.name}: holds vectors; a model is calibrated on pictures")
    found = unseen(manifest, [model], held_by=("choose",), other_identities=other_identities)
    return manifest, found


def _kinds(
    wanted: Manifest, gallery_size: int | None, templates: int | None
) -> list[tuple[int, int]]:
    """The kinds of galleries to measure, each of them possible."""
    sizes = np.bincount(wanted.labels)
    kinds = usual_galleries(sizes, gallery_size, templates)
    if not kinds:
        gallery_of(sizes, gallery_size, templates)  # says what is wrong
    for size, each in kinds:
        gallery_of(sizes, size, each)
    return kinds


def _check_better(bundle: Bundle, identities: int) -> None:
    """Refuse to measure on fewer identities than before."""
    before = [one.identities for one in (*bundle.thresholds, *bundle.search_thresholds)]
    if before and max(before) > identities:
        raise ArcwiseError(
            f"{bundle.path}: its thresholds were measured on {max(before)} identities "
            f"({bundle.measured_on}), and these are {identities}; to put them in their place all "
            "the same, say --force (in Python force=True). The old ones stay in its history"
        )


def _others(bundle: Bundle, kinds: Sequence[tuple[int, int]]) -> list[SearchThreshold]:
    """The thresholds for galleries that are not measured now."""
    return [one for one in bundle.search_thresholds if (one.gallery, one.templates) not in kinds]
