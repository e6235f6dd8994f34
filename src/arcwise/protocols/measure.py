"""What one model reaches in the protocols of a plan, and the table of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from arcwise import evaluation
from arcwise.errors import ArcwiseError
from arcwise.evaluation import (
    Comparison,
    Identification,
    Retrieval,
    SearchThreshold,
    Threshold,
    TwoGalleries,
    Verification,
)
from arcwise.evaluation.thresholds import resolved
from arcwise.gallery import GallerySize, nearest, operating_points
from arcwise.protocols.age_gaps import BY_AGE_GAP
from arcwise.protocols.pair_groups import Grouping
from arcwise.protocols.pair_set import identity_numbers
from arcwise.protocols.plan import (
    ALL_PAIRS,
    CLOSED,
    LISTED,
    OPEN,
    RETRIEVAL,
    THRESHOLDS,
    EvaluationPlan,
)
from arcwise.protocols.result import (
    AppliedSearchThreshold,
    AppliedThreshold,
    Breakdown,
    GapRetrieval,
    Metric,
)
from arcwise.protocols.search_protocol import SearchProtocol

COMPARED_AT = (1e-3, 1e-2)
"""False-accept rates at which models are compared, the lowest that is resolved."""

FARS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
FPIRS = (1e-1, 1e-2)

_TAR = (
    "largest part of the mated pairs accepted at a threshold that accepts at most this part of the "
    "impostor pairs; accepted: similarity at or above it"
)
_EER = "where as large a part of the impostor pairs is accepted as of the mated pairs is rejected"


class ProtocolResults(NamedTuple):
    """The results of every protocol that fits; None where one does not.

    Attributes:
        template_vectors: (U, D) float32 unit vectors of the templates.
        scores: (P,) similarities of the plan's pairs.
        verification: of the listed pairs, or of all.
        breakdowns: verification in groups, one for each grouping.
        retrieval: leave one out, or of the stated queries.
        by_age_gap: the same in groups of the gap between the ages of query and mate.
        closed: closed-set identification.
        open: open-set identification.
    """

    template_vectors: np.ndarray
    scores: np.ndarray
    verification: Verification
    breakdowns: tuple[Breakdown, ...]
    retrieval: Retrieval | None
    by_age_gap: GapRetrieval | None
    closed: Identification | TwoGalleries | None
    open: Identification | TwoGalleries | None


def measure(
    plan: EvaluationPlan, vectors: np.ndarray, quality: np.ndarray | None = None
) -> ProtocolResults:
    """Return the results of a model in the protocols of a plan.

    Args:
        plan: of the rows.
        vectors: (N, D) embeddings of the rows.
        quality: (N,) as the model estimates it, which weights the rows of a template; None for a
            model that estimates none.
    """
    templates, pairs, search = plan.templates, plan.pairs, plan.search
    pooled = templates.pool(vectors, quality)
    scores = pairs.similarities(pooled)
    if pairs.listed:
        verification = pairs.verification(scores, templates.identities, plan.seed)
    else:
        verification = evaluation.verification_from_embeddings(
            pooled, templates.ids, seed=plan.seed
        )
    retrieval, by_age_gap, closed, open_ = None, None, None, None
    if search is not None:
        if plan.gaps is not None:
            by_age_gap = plan.gaps.retrieve(search, pooled, templates.ids, plan.seed)
        retrieval = search.retrieve(pooled, templates.ids, plan.seed)
        closed, open_ = search.identify(pooled, templates.ids, plan.seed)
    breakdowns = tuple(_break_down(one, plan, scores) for one in plan.groupings)
    return ProtocolResults(
        pooled, scores, verification, breakdowns, retrieval, by_age_gap, closed, open_
    )


def _break_down(grouping: Grouping, plan: EvaluationPlan, scores: np.ndarray) -> Breakdown:
    """Return verification of each group that has pairs of both kinds."""
    pairs, rows = plan.pairs, np.flatnonzero(grouping.codes >= 0)
    ids_a, ids_b = identity_numbers(plan.templates.identities, pairs.a[rows], pairs.b[rows])
    by_group = evaluation.by_group(
        scores[rows],
        pairs.same[rows],
        grouping.codes[rows],
        ids_a=ids_a,
        ids_b=ids_b,
        seed=plan.seed,
    )
    return Breakdown(
        grouping.column,
        f"{grouping.definition}; {pairs.description}",
        {grouping.names[int(code)]: result for code, result in by_group.measured.items()},
        {
            grouping.names[int(code)]: f"{mated:,} mated and {impostors:,} impostor pairs"
            for code, (mated, impostors) in by_group.unmeasured.items()
        },
    )


def compare_models(
    plan: EvaluationPlan, first: ProtocolResults, second: ProtocolResults
) -> Comparison:
    """Return two models on the plan's pairs, at the lowest usual FAR that these resolve."""
    pairs = plan.pairs
    impostors = int(np.count_nonzero(~pairs.same))
    far = next((rate for rate in COMPARED_AT if resolved(rate, impostors)), COMPARED_AT[-1])
    ids_a, ids_b = identity_numbers(plan.templates.identities, pairs.a, pairs.b)
    return evaluation.compare(
        first.scores,
        second.scores,
        pairs.same,
        pairs.folds,
        far=far,
        ids_a=ids_a,
        ids_b=ids_b,
        seed=plan.seed,
    )


def applied_thresholds(
    thresholds: Sequence[Threshold], verification: Verification
) -> tuple[AppliedThreshold, ...]:
    """Return what a model's resolved thresholds do to the pairs, where scores were kept."""
    applied = []
    for threshold in sorted((one for one in thresholds if one.resolved), key=lambda one: -one.far):
        try:
            far = verification.far_with(threshold.threshold)
        except ArcwiseError:  # lower than all impostor scores that were kept of very many
            continue
        tar = verification.tar_with(threshold.threshold)
        applied.append(AppliedThreshold(threshold, far, tar))
    return tuple(applied)


def applied_search_thresholds(
    thresholds: Sequence[SearchThreshold],
    identification: Identification | TwoGalleries | None,
    search: SearchProtocol | None,
    identities: np.ndarray | None,
) -> tuple[AppliedSearchThreshold, ...]:
    """Return what a model's thresholds for searches do to the probes, if they fit the gallery.

    For each rate it is the threshold that a search in such a gallery would decide by.

    Args:
        thresholds: the model's.
        identification: of the probes, some of them unknown.
        search: which templates are enrolled.
        identities: (U,) of the templates; None where they are not known.
    """
    if not isinstance(identification, Identification) or search is None or identities is None:
        return ()
    entries = search.galleries[0] if search.enrolled is None else search.enrolled
    counts = np.unique(identities[entries], return_counts=True)[1]
    size = GallerySize(len(counts), len(entries), int(counts.min()), int(counts.max()))
    fitting = [one for one in operating_points(size, (), thresholds) if one.fits]
    rates = sorted({one.fpir for one in fitting}, reverse=True)
    chosen = [nearest(fitting, rate) for rate in rates]
    return tuple(
        AppliedSearchThreshold(
            point.basis,
            identification.fpir_with(point.threshold),
            identification.dir_with(point.threshold),
        )
        for point in chosen
        if point is not None and isinstance(point.basis, SearchThreshold)
    )


def metrics(
    plan: EvaluationPlan,
    results: ProtocolResults,
    thresholds: Sequence[AppliedThreshold],
    searches: Sequence[AppliedSearchThreshold],
) -> tuple[Metric, ...]:
    """Return every number, resolved or not, protocol by protocol, each with its definition."""
    return (
        *_retrieval_metrics(plan.search, results.retrieval),
        *_verification_metrics(plan.pairs.listed, results.verification),
        *_identification_metrics(plan.search, results.closed, results.open),
        *_threshold_metrics(thresholds, _pair_counts(results.verification)),
        *_search_threshold_metrics(searches, results.open),
        *(one for breakdown in results.breakdowns for one in _group_metrics(breakdown)),
        *_gap_metrics(results.by_age_gap),
    )


def _retrieval_metrics(search: SearchProtocol | None, result: Retrieval | None) -> Iterator[Metric]:
    if search is None or result is None:
        return
    where = "in the gallery" if search.stated else "leave one out"
    counts = {
        "queries": result.queries,
        "searched": result.gallery,
        "without mate": result.left_out,
    }
    for name, rate, definition in (
        ("recall@1", result.recall_at(1), "part of the queries whose nearest is of their identity"),
        ("recall@5", result.recall_at(5), "part of the queries with a mate among the nearest 5"),
        (
            "R-precision",
            result.r_precision,
            "mean part of mates among the nearest R, R being the mates that a query has",
        ),
        (
            "MAP@R",
            result.map_at_r,
            "mean average precision among the nearest R (Musgrave et al., ECCV 2020)",
        ),
        ("mAP", result.map, "mean over the queries of the average precision of all their mates"),
    ):
        yield Metric(RETRIEVAL, f"{name}, {where}", rate, definition, counts)


def _verification_metrics(listed: bool, result: Verification) -> Iterator[Metric]:
    protocol, counts = LISTED if listed else ALL_PAIRS, _pair_counts(result)
    if result.folds is not None:
        yield Metric(
            protocol,
            "accuracy over the folds",
            result.accuracy,
            "mean over the folds of the pairs decided rightly, each fold at the threshold that is "
            "best on the others",
            counts | {"folds": len(result.folds.names)},
            result.accuracy_std,
        )
    fars = [far for far in FARS if far >= FARS[2] or resolved(far, result.impostors)]
    for far, rate in zip(fars, result.tars_at(fars), strict=True):
        yield Metric(protocol, f"TAR at FAR {far:g}", rate, _TAR, counts)
    yield Metric(protocol, "equal-error rate", result.eer, _EER, counts)
    definition = "part of the mated and impostor pairs in right order, a tie being half"
    yield Metric(protocol, "area under the ROC", result.auc, definition, counts)


def _identification_metrics(
    search: SearchProtocol | None,
    closed: Identification | TwoGalleries | None,
    open_: Identification | TwoGalleries | None,
) -> Iterator[Metric]:
    if search is None:
        return
    mean = "; mean of both galleries" if len(search.galleries) == 2 else ""
    if closed is not None:
        for k in (1, 5):
            yield Metric(
                CLOSED,
                f"rank {k}, gallery: {search.description}",
                closed.rank(k),
                f"part of the known probes whose identity is among the {k} best{mean}",
                _probe_counts(closed),
            )
    if open_ is not None:
        unknown = "" if search.stated else ", half unknown"
        for fpir, rate in zip(FPIRS, open_.dirs_at(FPIRS), strict=True):
            yield Metric(
                OPEN,
                f"DIR at FPIR {fpir:g}{unknown}",
                rate,
                "part of the known probes whose identity comes first, at or above the lowest "
                f"threshold that at most this part of the unknown probes reaches{mean}",
                _probe_counts(open_),
            )


def _threshold_metrics(
    applied: Sequence[AppliedThreshold], counts: dict[str, int]
) -> Iterator[Metric]:
    for one in applied:
        threshold = one.threshold
        at = f"at the threshold for FAR {threshold.far:g}"
        words = f"pairs accepted here at {threshold.threshold:.4f}, as the model was calibrated"
        yield Metric(THRESHOLDS, f"FAR {at}", one.far, f"part of the impostor {words}", counts)
        yield Metric(THRESHOLDS, f"TAR {at}", one.tar, f"part of the mated {words}", counts)


def _search_threshold_metrics(
    applied: Sequence[AppliedSearchThreshold], open_: Identification | TwoGalleries | None
) -> Iterator[Metric]:
    counts = {} if open_ is None else _probe_counts(open_)
    for one in applied:
        threshold = one.threshold
        at = f"at the threshold for FPIR {threshold.fpir:g}"
        words = f"at {threshold.threshold:.4f}, calibrated for {threshold.gallery} identities"
        unknown, known = "part of the unknown probes answered", "part of the known probes found"
        yield Metric(THRESHOLDS, f"FPIR {at}", one.fpir, f"{unknown} {words}", counts)
        yield Metric(THRESHOLDS, f"DIR {at}", one.dir, f"{known} {words}", counts)


def _group_metrics(breakdown: Breakdown) -> Iterator[Metric]:
    protocol = f"groups by {breakdown.column}"
    of_group = f" ({breakdown.definition})"
    far = FARS[0]
    for group, result in breakdown.groups.items():
        where = (_pair_counts(result), None, breakdown.column, group)
        tar = result.tar_at(far)
        yield Metric(protocol, f"TAR at FAR {far:g}", tar, _TAR + of_group, *where)
        yield Metric(protocol, "equal-error rate", result.eer, _EER + of_group, *where)


def _gap_metrics(result: GapRetrieval | None) -> Iterator[Metric]:
    if result is None:
        return
    for group, one in result.groups.items():
        counts = {"queries": one.queries, "searched": one.gallery}
        for name, rate, definition in (
            ("recall@1", one.recall_at(1), "part of the queries whose nearest is such a mate"),
            ("MAP@R", one.map_at_r, "mean average precision among the nearest R such mates"),
        ):
            words = f"{definition} ({result.definition})"
            yield Metric(BY_AGE_GAP, name, rate, words, counts, None, result.column, group)


def _pair_counts(result: Verification) -> dict[str, int]:
    return {"mated pairs": len(result.mated), "impostor pairs": result.impostors}


def _probe_counts(result: Identification | TwoGalleries) -> dict[str, int]:
    parts = (result,) if isinstance(result, Identification) else (result.first, result.second)
    return {
        "known probes": sum(len(part.rank_of_mate) for part in parts),
        "unknown probes": sum(len(part.unknown) for part in parts),
        "identities in the gallery": sum(part.identities for part in parts),
    }
