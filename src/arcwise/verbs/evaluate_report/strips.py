"""Searches as pictures: a query, and what is nearest to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from arcwise.report import Pictures, Section, Strip
from arcwise.verbs.evaluate_report.shown import item

if TYPE_CHECKING:
    from arcwise.protocols.result import Evaluation
    from arcwise.protocols.search import Search

SHOWN = 10
"""Queries of each choice."""

NEAREST = 5
"""Answers of each."""


class Sides(NamedTuple):
    """Who searches where.

    Attributes:
        queries: (Q,) int64 items.
        entries: (G,) int64 items that are searched.
        media: (U,) the medium of each item; None where that is not known.
    """

    queries: np.ndarray
    entries: np.ndarray
    media: np.ndarray | None


def searches(result: Evaluation, shown: int = SHOWN) -> list[Section]:
    """Return the worst queries, and some that the seed drew."""
    if not result.manifest.has_images or result.search is None or result.retrieval is None:
        return []
    where = sides(result.search, len(result.items.ids))
    asked = with_mates(result.items.ids, where)
    rank = result.retrieval.rank
    worst = [place for place in np.argsort(-rank, kind="stable") if rank[place] > 1]
    _, first = np.unique(result.items.ids[asked[worst]], return_index=True)
    worst = [worst[place] for place in np.sort(first)[:shown]]
    rng = np.random.default_rng(result.about.seed)
    drawn = np.sort(rng.choice(len(asked), min(shown, len(asked)), replace=False))
    missed = np.count_nonzero(rank > 1)
    kind = result.items.kind.removesuffix("s")
    sections: list[Section] = []
    for title, places, note in (
        (
            "The worst searches",
            worst,
            f"The query of each identity whose first mate comes last, among the {missed:,} of "
            f"{len(rank):,} queries whose nearest {kind} is another identity's. They are the "
            "exceptions; the next section shows the rule.",
        ),
        ("Searches at random", drawn, f"{len(drawn)} of {len(rank):,} queries, drawn by the seed."),
    ):
        if len(places):
            strips = [
                _strip(result, where, int(asked[place]), int(rank[place])) for place in places
            ]
            sections.append(Pictures(title, strips, f"{note} {_whose(result)}"))
    return sections


def sides(found: Search, items: int) -> Sides:
    """Return who searches where: as retrieval did."""
    everyone = np.arange(items)
    if not found.stated:
        return Sides(everyone, everyone, found.media)
    return Sides(found.probes, np.concatenate(found.galleries), found.media)


def with_mates(ids: np.ndarray, where: Sides) -> np.ndarray:
    """Return the queries, in their order, that have something to find: those that were counted."""
    keys = np.unique(ids, return_inverse=True)[1]
    mates = np.bincount(keys[where.entries], minlength=keys.max() + 1)[keys[where.queries]]
    if where.media is not None:
        media = np.unique(where.media, return_inverse=True)[1]
        both = np.unique(keys * (media.max() + 1) + media, return_inverse=True)[1]
        near = np.bincount(both[where.entries], minlength=both.max() + 1)
        mates = mates - near[both[where.queries]]
    else:
        mates = mates - np.isin(where.queries, where.entries)
    return where.queries[mates > 0]


def nearest(vectors: np.ndarray, ids: np.ndarray, where: Sides, query: int) -> np.ndarray:
    """Return the items that were searched, the nearest first, without itself and its medium.

    Of equally near ones the wrong come first, as retrieval counts them.
    """
    similarity = vectors[where.entries] @ vectors[query]
    asked = where.entries != query
    if where.media is not None:
        asked &= where.media[where.entries] != where.media[query]
    right = ids[where.entries] == ids[query]
    order = np.lexsort((right, -similarity))
    return where.entries[order[asked[order]]]


def _strip(result: Evaluation, where: Sides, query: int, rank: int) -> Strip:
    items = result.items
    answers = nearest(items.vectors, items.ids, where, query)[:NEAREST]
    shown = [item(result, query, "the query")]
    for answer in answers:
        score = float(items.vectors[query] @ items.vectors[answer])
        right = items.ids[answer] == items.ids[query]
        shown.append(item(result, int(answer), f"{score:.2f}", "right" if right else "wrong"))
    said = "its nearest is right" if rank == 1 else f"its first mate comes at place {rank:,}"
    return Strip(shown, f"{items.ids[query]}: {said}")


def _whose(result: Evaluation) -> str:
    """Return which model answered, where there are several."""
    return f"Answered by {result.model}." if result.beside else ""
