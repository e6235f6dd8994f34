"""Evaluate: the protocols that fit a data set, on identities the model was not trained on."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from arcwise import __version__
from arcwise.data.manifest import Manifest
from arcwise.images.preparation import Preparation
from arcwise.protocols import Plan, plan
from arcwise.protocols.layout import named, names
from arcwise.protocols.listed import of_itself, pair_list
from arcwise.protocols.measure import Measured, compare, here, here_in_search, measure
from arcwise.protocols.measures import measures
from arcwise.protocols.plan import THRESHOLDS
from arcwise.protocols.result import Beside, Evaluation, Protocol, Provenance
from arcwise.protocols.rows import rows_to_measure
from arcwise.runtime import Model
from arcwise.verbs.evaluated_files import claim, write_results
from arcwise.verbs.measurable import has_identities, notes, open_to_measure
from arcwise.verbs.reporting import can_report
from arcwise.verbs.seed import check_seed
from arcwise.verbs.unseen import Unseen, trained_images, unseen
from arcwise.verbs.vectors_of import System, open_systems, vectors_of

Progress = Callable[[int, int], object]

__all__ = ["Evaluation", "evaluate"]


def evaluate(
    model: str | Path | Model,
    data: str | Path | Manifest,
    *,
    beside: Sequence[str | Path | Model] = (),
    pairs: str | Path | None = None,
    by: Sequence[str] = (),
    out: str | Path | None = None,
    preparation: str | Path | Preparation | None = None,
    cached: bool = True,
    seed: int = 0,
    other_identities: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a model on the identities of a data set that it was not made with.

    What is measured depends on the columns: rows of a `split` "gallery" and "query" are searched,
    `template` and `media` are pooled, listed pairs verified, a `domain` or an `age` broken down
    by. A data set whose every identity was used is measured on the identities that were held out
    of training, and the result says so. Where identities are not known, as in a verification
    pack, the listed pairs are verified and nothing is left out.

    Args:
        model: a model folder, a bare `.onnx`, a loaded model, or "-" for the data set's vectors.
        data: pictures, or vectors, with identities; without them if it lists pairs to verify.
        beside: other models, measured on the same pictures and compared with the first;
            identities that any of them was trained on are left out.
        pairs: a CSV of `a`, `b`, `same`, perhaps `fold`, and columns to break down by, or a
            `.txt` as LFW's; instead of those that the data set lists.
        by: further columns to break down by, perhaps with bins: "age_gap:5,15".
        out: a folder for results.json, results.csv and report.html.
        preparation: how pictures are prepared for a bare `.onnx`, or a JSON file that says so.
        cached: whether embeddings are looked for, and kept, in the user's cache folder.
        seed: of the choice of galleries, of samples, and of the intervals.
        other_identities: whether identities are others than in training, though they may be
            called alike; those of pictures that were trained on are left out all the same.
        progress: told (pictures done, pictures in all).

    Raises:
        ArcwiseError: no identity that was not trained on, nothing to measure, columns that
            contradict themselves, or results of something else in `out`.
    """
    check_seed(seed)
    systems = open_systems([model, *beside], preparation)
    whole = named(open_to_measure(data, pairs=pairs is not None))
    listed = pair_list(None if pairs is None else Path(pairs), whole)
    if out is not None:
        claim(Path(out), systems[0].model, whole.name, "" if listed is None else listed.name)
    rows, taken = rows_to_measure(whole)
    models = [one.model for one in systems if one.model is not None]
    if listed is not None and not has_identities(rows):
        known = trained_images(rows, models)
        found = Unseen(rows, "", 0, None if known is None else int(known.sum()))
    else:
        found = unseen(rows, models, other_identities=other_identities)
    wanted = found.manifest

    def fitting(manifest: Manifest) -> Plan:
        return plan(manifest, names(whole), pairs=listed, by=by, seed=seed)

    fits = fitting(wanted)  # what is wrong with the data is said before anything is embedded
    embedded = vectors_of(systems, wanted, cached=cached, progress=progress)
    if embedded.failures:
        fits = fitting(wanted.select(embedded.rows))
    measured = [measure(fits, vectors) for vectors in embedded.vectors]
    itself = [] if fits.listed is None else of_itself(fits.listed, fits.layout, measured[0].scores)
    about = Provenance(
        data=whole.name,
        fingerprint=fits.layout.manifest.fingerprint(),
        rows=taken,
        used=found.used,
        left_out=found.left_out,
        trained_images=found.trained_images,
        untold=tuple(one.name for one in systems if one.model is None or one.model.bundle is None),
        failures=embedded.failures,
        ignored=whole.ignored,
        pairs="" if listed is None else listed.name,
        seed=seed,
        versions={
            "arcwise": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
        },
        reused=embedded.reused,
        notes=(*whole.notes, *found.notes, *notes(wanted, systems), *itself, *embedded.notes),
    )
    first, *others = (
        _evaluation(system, about, fits, vectors, one)
        for system, vectors, one in zip(systems, embedded.vectors, measured, strict=True)
    )
    beside_it = (
        Beside(other, compare(fits, measured[0], one), fits.pairs.words)
        for other, one in zip(others, measured[1:], strict=True)
    )
    result = replace(first, beside=tuple(beside_it))
    return result if out is None else write(result, Path(out))


def write(result: Evaluation, folder: Path) -> Evaluation:
    """Put the results, and the report where it can be made, into a folder; say where it is."""
    write_results(folder, result)
    if not can_report():
        return result
    from arcwise.verbs.evaluate_report import write_evaluation_report

    return replace(result, report=write_evaluation_report(folder / "report.html", result))


def _evaluation(
    system: System, about: Provenance, fits: Plan, vectors: np.ndarray, found: Measured
) -> Evaluation:
    thresholds = here(system.thresholds, found.verification)
    searches = here_in_search(
        system.search_thresholds, found.open, fits.search, found.items.identities
    )
    why = f"{len(thresholds)} of the model's {len(system.thresholds)}"
    if not system.thresholds:
        why = "the model has none" if system.model else "there is no model"
    return Evaluation(
        model=system.name,
        fingerprint=system.fingerprint,
        path=None if system.model is None else system.model.path,
        about=about,
        protocols=(*fits.protocols, Protocol(THRESHOLDS, bool(thresholds), why)),
        manifest=fits.layout.manifest,
        vectors=vectors,
        items=found.items,
        verification=found.verification,
        pairs=found.pairs,
        breakdowns=found.breakdowns,
        retrieval=found.retrieval,
        closed=found.closed,
        open=found.open,
        search=fits.search,
        thresholds=thresholds,
        search_thresholds=searches,
        measures=measures(fits, found, thresholds, searches),
    )
