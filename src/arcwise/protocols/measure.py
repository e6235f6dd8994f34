"""What one model reaches in the protocols of a plan."""

from __future__ import annotations

from collections.abc import Sequence
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
from arcwise.protocols.groups import Grouping
from arcwise.protocols.listed import verify
from arcwise.protocols.plan import Plan
from arcwise.protocols.result import (
    Breakdown,
    Items,
    Pairs,
    SearchThresholdHere,
    ThresholdHere,
    sides,
)
from arcwise.protocols.search import Search

COMPARED_AT = (1e-3, 1e-2)
"""False-accept rates at which models are compared, the lowest that is resolved."""


class Measured(NamedTuple):
    """The results of every protocol that fits; None where one does not."""

    items: Items
    verification: Verification
    pairs: Pairs | None
    breakdowns: tuple[Breakdown, ...]
    retrieval: Retrieval | None
    closed: Identification | TwoGalleries | None
    open: Identification | TwoGalleries | None
    scores: np.ndarray
    """(P,) similarities of the plan's pairs."""


def measure(plan: Plan, vectors: np.ndarray) -> Measured:
    """The results of (N, D) embeddings of the rows that the plan was made for."""
    items = plan.layout.items(vectors)
    if plan.listed is None:
        pairs, scores = None, evaluation.pair_similarity(items.vectors, plan.pairs.a, plan.pairs.b)
        same = evaluation.verification_from_embeddings(items.vectors, items.ids, seed=plan.seed)
    else:
        pairs = plan.listed.scored(items)
        scores = pairs.scores
        same = verify(pairs, scores, items.identities, plan.seed)
    search, retrieval, closed, open_ = plan.search, None, None, None
    if search is not None:
        retrieval = search.retrieve(items, plan.seed)
        closed, open_ = search.identify(items, plan.seed)
    return Measured(
        items,
        same,
        pairs,
        tuple(_broken_down(one, plan, items, scores) for one in plan.groupings),
        retrieval,
        closed,
        open_,
        scores,
    )


def here(thresholds: Sequence[Threshold], same: Verification) -> tuple[ThresholdHere, ...]:
    """What a model's resolved thresholds do to these pairs, where scores were kept."""
    found = []
    known = (one for one in thresholds if one.resolved)
    for threshold in sorted(known, key=lambda one: -one.far):
        try:
            far = same.far_with(threshold.threshold)
        except ArcwiseError:  # lower than all impostor scores that were kept of very many
            continue
        found.append(ThresholdHere(threshold, far, same.tar_with(threshold.threshold)))
    return tuple(found)


def here_in_search(
    thresholds: Sequence[SearchThreshold],
    found: Identification | TwoGalleries | None,
    search: Search | None,
    ids: np.ndarray | None,
) -> tuple[SearchThresholdHere, ...]:
    """What a model's thresholds for searches do to these probes, where they fit the gallery.

    For each rate it is the one that a search in such a gallery would decide by.

    Args:
        thresholds: the model's.
        found: what was measured.
        search: what was enrolled.
        ids: (U,) the items' identities; None where they are not known.
    """
    if not isinstance(found, Identification) or search is None or ids is None:
        return ()
    entries = search.galleries[0] if search.enrolled is None else search.enrolled
    counts = np.unique(ids[entries], return_counts=True)[1]
    size = GallerySize(len(counts), len(entries), int(counts.min()), int(counts.max()))
    fitting = [one for one in operating_points(size, (), thresholds) if one.fits]
    rates = sorted({one.fpir for one in fitting}, reverse=True)
    chosen = [nearest(fitting, rate) for rate in rates]
    return tuple(
        SearchThresholdHere(
            one.basis, found.fpir_with(one.threshold), found.dir_with(one.threshold)
        )
        for one in chosen
        if one is not None and isinstance(one.basis, SearchThreshold)
    )


def compare(plan: Plan, first: Measured, second: Measured) -> Comparison:
    """Two models on the plan's pairs, at the lowest usual false-accept rate that these resolve."""
    pairs = plan.pairs
    impostors = int(np.count_nonzero(~pairs.same))
    far = next((rate for rate in COMPARED_AT if resolved(rate, impostors)), COMPARED_AT[-1])
    folds = None if plan.listed is None else plan.listed.folds
    ids_a, ids_b = sides(first.items.identities, pairs.a, pairs.b)
    return evaluation.compare(
        first.scores,
        second.scores,
        pairs.same,
        folds,
        far=far,
        ids_a=ids_a,
        ids_b=ids_b,
        seed=plan.seed,
    )


def _broken_down(grouping: Grouping, plan: Plan, items: Items, scores: np.ndarray) -> Breakdown:
    """Verification of each group that has pairs of both kinds."""
    pairs, rows = plan.pairs, np.flatnonzero(grouping.codes >= 0)
    ids_a, ids_b = sides(items.identities, pairs.a[rows], pairs.b[rows])
    found = evaluation.by_group(
        scores[rows],
        pairs.same[rows],
        grouping.codes[rows],
        ids_a=ids_a,
        ids_b=ids_b,
        seed=plan.seed,
    )
    return Breakdown(
        grouping.column,
        f"{grouping.definition}; {pairs.words}",
        {grouping.names[int(code)]: same for code, same in found.measured.items()},
        {
            grouping.names[int(code)]: f"{mated:,} mated and {impostors:,} impostor pairs"
            for code, (mated, impostors) in found.unmeasured.items()
        },
    )
