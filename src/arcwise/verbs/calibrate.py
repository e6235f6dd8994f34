"""Calibrate: what a model's similarities mean, measured on labelled pictures of one's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from arcwise import evaluation, runtime
from arcwise.bundle import add_thresholds
from arcwise.data.manifest import Manifest, open_manifest
from arcwise.data.split import identity_digest
from arcwise.errors import ArcwiseError, ImageError
from arcwise.evaluation import Reliability, ScoreMap, SearchThreshold, Threshold
from arcwise.evaluation.calibration import FARS
from arcwise.evaluation.search_calibration import FPIRS
from arcwise.verbs.seed import check_seed
from arcwise.verbs.unseen import unseen


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
        search_thresholds: of a search, by false-positive identification rate.
        probability: similarity as a probability; None where it was not asked for.
        reliability: how far the map can be believed, on identities it was not fitted to.
        trained_images: how many pictures of the data set the model was trained on; None if it
            does not say.
        notes: what the user has to know of who was left out, a line each.
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
    trained_images: int | None = None
    notes: tuple[str, ...] = ()


def calibrate(
    model: str | Path,
    data: str | Path | Manifest,
    *,
    fars: Sequence[float] = FARS,
    fpirs: Sequence[float] = FPIRS,
    gallery_size: int | None = None,
    probability: bool = False,
    seed: int = 0,
    other_identities: bool = False,
    progress: Callable[[int, int], object] | None = None,
) -> Calibration:
    """Measure thresholds on identities that the model was not trained on; put them into its folder.

    Those that are resolved take the place of all that it has, a probability map included; the
    fingerprint stays, and with it every gallery. Identities that set the thresholds before may do
    so again, those that chose the checkpoint are taken only where there are no others.

    Args:
        model: the model folder.
        data: pictures with identities.
        fars: false-accept rates of a comparison.
        fpirs: false-positive identification rates of a search.
        gallery_size: identities enrolled in the galleries searched; half of those measured on
            where it is not given.
        probability: whether to fit the map from similarity to probability, too.
        seed: of the intervals, and of the halves that judge the map.
        other_identities: whether identities are others than in training, though they may be
            called alike; those of pictures that were trained on are left out all the same.
        progress: told (pictures done, pictures in all).

    Raises:
        ArcwiseError: a rate that is none, fewer than two identities that were not trained on, a
            gallery that leaves nobody unknown, a model that is no folder, or too few pictures for
            any of the rates; the model is then as it was.
    """
    check_seed(seed)
    for name, rates in (("far", fars), ("fpir", fpirs)):
        if not rates or not all(0 < rate < 1 for rate in rates):
            raise ArcwiseError(f"{name} is {tuple(rates)}; expected rates between 0 and 1")
    loaded = runtime.load(model)
    if loaded.bundle is None:
        raise ArcwiseError(
            f"{loaded.path}: a file, which has no place for thresholds; give a model folder"
        )
    manifest = open_manifest(data)
    if not manifest.has_images:
        raise ArcwiseError(f"{manifest.name}: holds vectors; a model is calibrated on pictures")
    found = unseen(manifest, [loaded], held_by=("choose",), other_identities=other_identities)
    wanted, used, left_out = found.manifest, found.used, found.left_out
    if gallery_size is not None and not 1 <= gallery_size < len(wanted.classes):
        raise ArcwiseError(
            f"a gallery of {gallery_size} identities; expected 1 to {len(wanted.classes) - 1}: "
            f"{manifest.name} has {len(wanted.classes)} that were not trained on, and whoever is "
            "searched for must not be enrolled"
        )
    embedded = runtime.embed_manifest(loaded, wanted, progress=progress)
    kept = wanted.select(embedded.rows)
    vectors, ids = embedded.vectors, kept.identities
    thresholds = evaluation.calibrate(vectors, ids, fars, seed=seed)
    searches = evaluation.calibrate_search(vectors, ids, fpirs, gallery_size, seed=seed)
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
    add_thresholds(
        loaded.path,
        resolved,
        search_thresholds=resolved_searches,
        probability=score_map,
        measured_on=f"{len(kept)} pictures of {people} identities of {manifest.name}",
        digests=[identity_digest(identity) for identity in kept.classes],
    )
    return Calibration(
        model=loaded.path,
        pictures=len(kept),
        identities=people,
        data=manifest.name,
        used=used,
        left_out=left_out,
        failures=tuple(embedded.failures),
        ignored=manifest.ignored,
        thresholds=thresholds,
        search_thresholds=searches,
        probability=score_map,
        reliability=judged,
        trained_images=found.trained_images,
        notes=found.notes,
    )
