"""What one model reaches in the protocols of a plan."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from arcwise import evaluation
from arcwise.errors import ArcwiseError
from arcwise.evaluation import Identification, Retrieval, Threshold, TwoGalleries, Verification
from arcwise.verbs.evaluated import Breakdown, Items, Pairs, ThresholdHere
from arcwise.verbs.protocols.drawn import cosines
from arcwise.verbs.protocols.groups import Grouping
from arcwise.verbs.protocols.listed import verify
from arcwise.verbs.protocols.plan import Plan


class Measured(NamedTuple):
    """The results of every protocol that fits; None where one does not."""

    items: Items
    verification: Verification
    pairs: Pairs | None
    breakdowns: tuple[Breakdown, ...]
    retrieval: Retrieval
    closed: Identification | TwoGalleries | None
    open: Identification | TwoGalleries | None
    scores: np.ndarray
    """(P,) similarities of the plan's pairs."""


def measure(plan: Plan, vectors: np.ndarray) -> Measured:
    """The results of (N, D) embeddings of the rows that the plan was made for."""
    items = plan.layout.items(vectors)
    if plan.listed is None:
        pairs, scores = None, cosines(items.vectors, plan.pairs.a, plan.pairs.b)
        same = evaluation.verification_from_embeddings(items.vectors, items.ids, seed=plan.seed)
    else:
        pairs = plan.listed.scored(items)
        scores = pairs.scores
        same = verify(pairs, scores, items.ids, plan.seed)
    closed, open_ = plan.search.identify(items, plan.seed)
    return Measured(
        items,
        same,
        pairs,
        tuple(_broken_down(one, plan, items, scores) for one in plan.groupings),
        plan.search.retrieve(items, plan.seed),
        closed,
        open_,
        scores,
    )


def here(thresholds: tuple[Threshold, ...], same: Verification) -> tuple[ThresholdHere, ...]:
    """What a model's thresholds do to these pairs, those that lie where scores were kept."""
    found = []
    for threshold in sorted(thresholds, key=lambda one: -one.far):
        try:
            far = same.far_with(threshold.threshold)
        except ArcwiseError:  # lower than all impostor scores that were kept of very many
            continue
        found.append(ThresholdHere(threshold, far, same.tar_with(threshold.threshold)))
    return tuple(found)


def _broken_down(grouping: Grouping, plan: Plan, items: Items, scores: np.ndarray) -> Breakdown:
    """Verification of each group that has pairs of both kinds."""
    pairs = plan.pairs
    measured, others = {}, {}
    for code, name in enumerate(grouping.names):
        rows = np.flatnonzero(grouping.codes == code)
        mated = int(np.count_nonzero(pairs.same[rows]))
        if mated in (0, len(rows)):
            others[name] = f"{mated:,} mated and {len(rows) - mated:,} impostor pairs"
            continue
        measured[name] = evaluation.verification(
            scores[rows],
            pairs.same[rows],
            None,
            ids_a=items.ids[pairs.a[rows]],
            ids_b=items.ids[pairs.b[rows]],
            seed=plan.seed,
        )
    definition = f"{grouping.definition}; {pairs.words}"
    return Breakdown(grouping.column, definition, measured, others)
