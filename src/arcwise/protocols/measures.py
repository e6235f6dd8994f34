"""The table of an evaluation: every number with its name, definition and what it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from arcwise.evaluation import Identification, Retrieval, TwoGalleries, Verification
from arcwise.evaluation.thresholds import resolved
from arcwise.protocols.measure import Measured
from arcwise.protocols.plan import (
    ALL_PAIRS,
    CLOSED,
    LISTED,
    OPEN,
    RETRIEVAL,
    THRESHOLDS,
    Plan,
)
from arcwise.protocols.result import Breakdown, Measure, SearchThresholdHere, ThresholdHere
from arcwise.protocols.search import Search

FARS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
FPIRS = (1e-1, 1e-2)

TAR = (
    "largest part of the mated pairs accepted at a threshold that accepts at most this part of the "
    "impostor pairs; accepted: similarity at or above it"
)
EER = "where as large a part of the impostor pairs is accepted as of the mated pairs is rejected"


def measures(
    plan: Plan,
    found: Measured,
    thresholds: Sequence[ThresholdHere],
    searches: Sequence[SearchThresholdHere],
) -> tuple[Measure, ...]:
    """Every number, resolved or not, protocol by protocol."""
    return (
        *_retrieval(plan.search, found.retrieval),
        *_verification(plan, found.verification),
        *_identification(plan.search, found.closed, found.open),
        *_thresholds(thresholds, _pairs(found.verification)),
        *_searches(searches, found.open),
        *(one for breakdown in found.breakdowns for one in _groups(plan, breakdown)),
    )


def _retrieval(search: Search | None, found: Retrieval | None) -> Iterator[Measure]:
    if search is None or found is None:
        return
    where = "in the gallery" if search.stated else "leave one out"
    counts = {"queries": found.queries, "searched": found.gallery, "without mate": found.left_out}
    for name, rate, definition in (
        ("recall@1", found.recall_at(1), "part of the queries whose nearest is of their identity"),
        ("recall@5", found.recall_at(5), "part of the queries with a mate among the nearest 5"),
        (
            "R-precision",
            found.r_precision,
            "mean part of mates among the nearest R, R being the mates that a query has",
        ),
        (
            "MAP@R",
            found.map_at_r,
            "mean average precision among the nearest R (Musgrave et al., ECCV 2020)",
        ),
        ("mAP", found.map, "mean over the queries of the average precision of all their mates"),
    ):
        yield Measure(RETRIEVAL, f"{name}, {where}", rate, definition, counts)


def _verification(plan: Plan, found: Verification) -> Iterator[Measure]:
    protocol, counts = ALL_PAIRS if plan.listed is None else LISTED, _pairs(found)
    if found.folds is not None:
        yield Measure(
            protocol,
            "accuracy over the folds",
            found.accuracy,
            "mean over the folds of the pairs decided rightly, each fold at the threshold that is "
            "best on the others",
            counts | {"folds": len(found.folds.names)},
            found.accuracy_std,
        )
    fars = [far for far in FARS if far >= FARS[2] or resolved(far, found.impostors)]
    for far, rate in zip(fars, found.tars_at(fars), strict=True):
        yield Measure(protocol, f"TAR at FAR {far:g}", rate, TAR, counts)
    yield Measure(protocol, "equal-error rate", found.eer, EER, counts)
    definition = "part of the mated and impostor pairs in right order, a tie being half"
    yield Measure(protocol, "area under the ROC", found.auc, definition, counts)


def _identification(
    search: Search | None,
    closed: Identification | TwoGalleries | None,
    open_: Identification | TwoGalleries | None,
) -> Iterator[Measure]:
    if search is None:
        return
    two = "; mean of both galleries" if len(search.galleries) == 2 else ""
    if closed is not None:
        for k in (1, 5):
            yield Measure(
                CLOSED,
                f"rank {k}, gallery: {search.words}",
                closed.rank(k),
                f"part of the known probes whose identity is among the {k} best{two}",
                _probes(closed),
            )
    if open_ is not None:
        who = "" if search.stated else ", half unknown"
        for fpir, rate in zip(FPIRS, open_.dirs_at(FPIRS), strict=True):
            yield Measure(
                OPEN,
                f"DIR at FPIR {fpir:g}{who}",
                rate,
                "part of the known probes whose identity comes first, at or above the lowest "
                f"threshold that at most this part of the unknown probes reaches{two}",
                _probes(open_),
            )


def _thresholds(found: Sequence[ThresholdHere], counts: dict[str, int]) -> Iterator[Measure]:
    for one in found:
        threshold = one.threshold
        at = f"at the threshold for FAR {threshold.far:g}"
        words = f"pairs accepted here at {threshold.threshold:.4f}, as the model was calibrated"
        yield Measure(THRESHOLDS, f"FAR {at}", one.far, f"part of the impostor {words}", counts)
        yield Measure(THRESHOLDS, f"TAR {at}", one.tar, f"part of the mated {words}", counts)


def _searches(
    found: Sequence[SearchThresholdHere], open_: Identification | TwoGalleries | None
) -> Iterator[Measure]:
    counts = {} if open_ is None else _probes(open_)
    for one in found:
        threshold = one.threshold
        at = f"at the threshold for FPIR {threshold.fpir:g}"
        words = f"at {threshold.threshold:.4f}, calibrated for {threshold.gallery} identities"
        unknown, known = "part of the unknown probes answered", "part of the known probes found"
        yield Measure(THRESHOLDS, f"FPIR {at}", one.fpir, f"{unknown} {words}", counts)
        yield Measure(THRESHOLDS, f"DIR {at}", one.dir, f"{known} {words}", counts)


def _groups(plan: Plan, breakdown: Breakdown) -> Iterator[Measure]:
    protocol = f"groups by {breakdown.column}"
    of = f" ({breakdown.definition})"
    for group, found in breakdown.groups.items():
        where = (_pairs(found), None, breakdown.column, group)
        far = FARS[0]
        yield Measure(protocol, f"TAR at FAR {far:g}", found.tar_at(far), TAR + of, *where)
        yield Measure(protocol, "equal-error rate", found.eer, EER + of, *where)


def _pairs(found: Verification) -> dict[str, int]:
    return {"mated pairs": len(found.mated), "impostor pairs": found.impostors}


def _probes(found: Identification | TwoGalleries) -> dict[str, int]:
    parts = (found,) if isinstance(found, Identification) else (found.first, found.second)
    return {
        "known probes": sum(len(part.rank_of_mate) for part in parts),
        "unknown probes": sum(len(part.unknown) for part in parts),
        "identities in the gallery": sum(part.identities for part in parts),
    }
