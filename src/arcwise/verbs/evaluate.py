"""Evaluate: the protocols that fit a data set, on identities the model was not trained on."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.compute

from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.images.preparation import Preparation
from arcwise.protocols import EvaluationPlan, plan_evaluation
from arcwise.protocols.measure import (
    ProtocolResults,
    applied_search_thresholds,
    applied_thresholds,
    compare_models,
    measure,
    metrics,
)
from arcwise.protocols.pair_set import read_pair_list, self_pairs_note
from arcwise.protocols.plan import TEMPLATES, THRESHOLDS
from arcwise.protocols.result import (
    BaselineResult,
    EvaluationResult,
    ProtocolFit,
    Provenance,
)
from arcwise.protocols.template_set import names_of_rows, rows_to_measure, with_names
from arcwise.runtime import Model
from arcwise.verbs.embedding_source import EmbeddingSource, embeddings_of, open_sources
from arcwise.verbs.evaluate_files import check_folder, write_results
from arcwise.verbs.length_estimate import measure_estimate
from arcwise.verbs.reporting import can_report
from arcwise.verbs.seed import check_seed
from arcwise.verbs.unseen_identities import (
    UnseenRows,
    says_its_training,
    trained_images,
    unseen_rows,
)
from arcwise.version import __version__

pc: Any = pyarrow.compute  # its functions are made while it is imported; no checker sees them

Progress = Callable[[int, int], object]

__all__ = ["EvaluationResult", "evaluate", "open_to_measure"]


def evaluate(
    model: str | Path | Model,
    data: str | Path | Manifest,
    *,
    baselines: Sequence[str | Path | Model] = (),
    pairs: str | Path | None = None,
    group_by: Sequence[str] = (),
    out: str | Path | None = None,
    preparation: str | Path | Preparation | None = None,
    cached: bool = True,
    seed: int = 0,
    other_identities: bool = False,
    progress: Progress | None = None,
) -> EvaluationResult:
    """Measure a model on the identities of a data set that it was not made with.

    What is measured depends on the columns: rows of a `split` "gallery" and "query" are searched,
    `template` and `media` are pooled (weighted by the quality that the model estimates, if it
    does), listed pairs verified, and pairs grouped by a `domain`, an `age` or the size of a
    template. A data set whose every identity was used is measured on the identities that were held
    out of training, and the result says so. Where identities are not known, as in a verification
    pack, the listed pairs are verified and nothing is left out.

    Args:
        model: a model folder, a bare `.onnx`, a loaded model, or "-" for the data set's vectors.
        data: images, or vectors, with identities; without them if it lists pairs to verify.
        baselines: other models, measured on the same images and compared with the first;
            identities that any of them was trained on are left out.
        pairs: a CSV of `a`, `b`, `same`, perhaps `fold`, and columns to group by, or a `.txt` as
            LFW's; instead of those that the data set lists.
        group_by: further columns to group pairs by, perhaps with bins: "age_gap:5,15".
        out: a folder for results.json, results.csv and report.html.
        preparation: how images are prepared for a bare `.onnx`, or a JSON file that says so.
        cached: whether embeddings are looked for, and kept, in the user's cache folder.
        seed: of the choice of galleries, of samples, and of the intervals.
        other_identities: whether identities are others than in training, though they may be
            called alike; those of images that were trained on are left out all the same.
        progress: called with (images done, images in all).

    Raises:
        ArcwiseError: no identity that was not trained on, nothing to measure, columns that
            contradict themselves, or results of something else in `out`.
    """
    check_seed(seed)
    sources = open_sources([model, *baselines], preparation)
    whole = with_names(open_to_measure(data, pairs=pairs is not None))
    pair_list = read_pair_list(None if pairs is None else Path(pairs), whole)
    if out is not None:
        list_name = "" if pair_list is None else pair_list.name
        check_folder(Path(out), sources[0].model, whole.name, list_name)
    rows, rows_in_words = rows_to_measure(whole)
    models = [source.model for source in sources if source.model is not None]
    if pair_list is not None and not _has_identities(rows):
        in_training = trained_images(rows, models)
        count = None if in_training is None else int(in_training.sum())
        unseen = UnseenRows(rows, "", 0, count)
    else:
        unseen = unseen_rows(rows, models, other_identities=other_identities)
    manifest = unseen.manifest

    def plan_of(measured: Manifest) -> EvaluationPlan:
        known_names = names_of_rows(whole)
        return plan_evaluation(measured, known_names, pairs=pair_list, group_by=group_by, seed=seed)

    plan = plan_of(manifest)  # what is wrong with the data is said before anything is embedded
    embeddings = embeddings_of(sources, manifest, cached=cached, progress=progress)
    if embeddings.failures:
        plan = plan_of(manifest.select(embeddings.rows))
    measured = [
        measure(plan, vectors, quality)
        for vectors, quality in zip(embeddings.vectors, embeddings.quality, strict=True)
    ]
    self_pairs = []
    if plan.pairs.listed:
        self_pairs = self_pairs_note(plan.pairs, plan.templates, measured[0].scores)
    undeclared = [one.name for one in sources if not says_its_training(one.model)]
    about = Provenance(
        data=whole.name,
        fingerprint=plan.templates.manifest.fingerprint(),
        rows=rows_in_words,
        used_before=unseen.used_before,
        left_out=unseen.left_out,
        trained_images=unseen.trained_images,
        undeclared=tuple(undeclared),
        failures=embeddings.failures,
        ignored=whole.ignored,
        pairs="" if pair_list is None else pair_list.name,
        seed=seed,
        versions={
            "arcwise": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
        },
        reused=embeddings.reused,
        notes=(
            *whole.notes,
            *unseen.notes,
            *_notes(manifest, sources),
            *self_pairs,
            *embeddings.notes,
            *([plan.search.note] if plan.search and plan.search.note else []),
        ),
    )
    first, *others = (
        _result(source, about, plan, vectors, results)
        for source, vectors, results in zip(sources, embeddings.vectors, measured, strict=True)
    )
    compared = (
        BaselineResult(other, compare_models(plan, measured[0], results), plan.pairs.description)
        for other, results in zip(others, measured[1:], strict=True)
    )
    result = replace(first, baselines=tuple(compared))
    return result if out is None else _write(result, Path(out))


def open_to_measure(
    data: str | Path | Manifest, *, pairs: bool = False, **columns: Any
) -> Manifest:
    """Return the manifest of a data set that knows its identities, or lists pairs to verify.

    Args:
        data: anything `open_manifest` takes.
        pairs: whether pairs are listed elsewhere.
        columns: how a table names its columns, as of `open_manifest`.

    Raises:
        ArcwiseError: what `open_manifest` says.
    """
    manifest = open_manifest(data, identities=False, **columns)
    if not _has_identities(manifest):
        complete = pairs or manifest.pairs is not None
    else:
        identity = pc.fill_null(manifest.table.column("identity"), "")
        complete = not pc.any(pc.equal(identity, "")).as_py()
    return manifest if complete else open_manifest(data, **columns)  # it says what is missing


def _write(result: EvaluationResult, folder: Path) -> EvaluationResult:
    """Write the results, and the report where it can be made, into a folder."""
    write_results(folder, result)
    if not can_report():
        return result
    from arcwise.verbs.evaluate_report import write_evaluation_report

    return replace(result, report=write_evaluation_report(folder / "report.html", result))


def _has_identities(manifest: Manifest) -> bool:
    return "identity" in manifest.table.column_names


def _notes(manifest: Manifest, sources: Sequence[EmbeddingSource]) -> list[str]:
    """Return what a reader of numbers measured on these data has to know, a line each."""
    notes = []
    if not _has_identities(manifest):
        notes.append(
            "whose these are is not known, so people that a model was made with may be among "
            "them, and intervals take the pairs for independent"
        )
    columns = manifest.table.column_names
    if "landmarks" in columns and manifest.has_images and "vector" not in columns:
        notes += [
            f"{source.name} does not align faces, and these are not aligned (they come with "
            "landmarks): arcwise data align makes images that are"
            for source in sources
            if source.model is not None and not source.model.aligns
        ]
    return notes


def _as_weighted(source: EmbeddingSource, plan: EvaluationPlan) -> Sequence[ProtocolFit]:
    """Return the plan's protocols; of a model that estimates qualities, with its own weighting."""
    if source.model is None or not source.model.estimates_quality:
        return plan.protocols
    own, other = "weighted by the quality that the model estimates", plan.templates.weighting
    return [
        replace(one, why=one.why.replace(other, own)) if one.name == TEMPLATES and other else one
        for one in plan.protocols
    ]


def _result(
    source: EmbeddingSource,
    about: Provenance,
    plan: EvaluationPlan,
    vectors: np.ndarray,
    results: ProtocolResults,
) -> EvaluationResult:
    """Return one model's results, with its own thresholds applied to the data."""
    thresholds = applied_thresholds(source.thresholds, results.verification)
    searches = applied_search_thresholds(
        source.search_thresholds, results.open, plan.search, plan.templates.identities
    )
    why = f"{len(thresholds)} of the model's {len(source.thresholds)} thresholds"
    if not any(one.resolved for one in source.thresholds):
        why = (
            f"none of the {len(source.thresholds)} that the model has is resolved: it was "
            "calibrated on too few pairs; arcwise calibrate MODEL DATA measures them anew"
        )
    if not source.thresholds:
        why = "the model has none" if source.model else "there is no model"
    return EvaluationResult(
        model=source.name,
        fingerprint=source.fingerprint,
        path=None if source.model is None else source.model.path,
        about=about,
        protocols=(*_as_weighted(source, plan), ProtocolFit(THRESHOLDS, bool(thresholds), why)),
        templates=plan.templates,
        vectors=vectors,
        template_vectors=results.template_vectors,
        pairs=plan.pairs,
        scores=results.scores,
        verification=results.verification,
        breakdowns=results.breakdowns,
        retrieval=results.retrieval,
        by_age_gap=results.by_age_gap,
        closed=results.closed,
        open=results.open,
        search=plan.search,
        thresholds=thresholds,
        search_thresholds=searches,
        metrics=metrics(plan, results, thresholds, searches),
        estimate=measure_estimate(source.model, plan.templates.manifest),
    )
