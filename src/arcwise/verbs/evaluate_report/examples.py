"""The errors as images: the pairs that are hardest to tell, and the searches that went wrong."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from arcwise.data.manifest import Manifest
from arcwise.evaluation.similarity_matrix import pair_rows
from arcwise.images import decode
from arcwise.protocols.result import EvaluationResult
from arcwise.protocols.search_protocol import SearchProtocol
from arcwise.report import CaptionedImage, ImageStrips, Section, Strip, Table, shrunk
from arcwise.report.sections import Cell, Frame
from arcwise.verbs.evaluate_report.curves import (
    MAX_TEMPLATES,
    ShownThreshold,
    sample,
    shown_threshold,
)

PAIRS_SHOWN = 8
"""Pairs of each kind."""

ENOUGH = 2**16
"""Hardest pairs of one kind among which there usually are as many identities as are shown."""

SEARCHES_SHOWN = 10
"""Searches of each kind."""

NEAREST = 5
"""Answers of each search."""


class HardestPairs(NamedTuple):
    """Pairs of templates, the hardest first.

    Attributes:
        score: (K,) their similarities.
        a: (K,) int64 one side.
        b: (K,) int64 the other.
    """

    score: np.ndarray
    a: np.ndarray
    b: np.ndarray


def hardest(result: EvaluationResult, count: int = PAIRS_SHOWN) -> list[Section]:
    """Return false accepts and false rejects, or what comes nearest to them."""
    templates, pairs = result.templates, result.pairs
    known = templates.identities is not None
    who = templates.ids if known else np.arange(len(templates.names))
    codes = np.unique(who, return_inverse=True)[1]
    limits = ""
    if pairs.listed:
        alike, unlike = of_pairs(result.scores, pairs.a, pairs.b, pairs.same, codes, count)
        limits = "Among the listed pairs. "
    else:
        rows = sample(len(codes), MAX_TEMPLATES, result.about.seed)
        alike, unlike = (
            HardestPairs(one.score, rows[one.a], rows[one.b])
            for one in of_all(result.template_vectors[rows], codes[rows], count)
        )
        if len(rows) < len(codes):
            limits = f"Among {len(rows):,} of {len(codes):,} {templates.kind}, drawn by the seed. "
    threshold = shown_threshold(result)
    note = limits
    if threshold:
        note += f"Accepted: at least {threshold.similarity:.3f}, {threshold.origin}."
    once = ("Each two identities once.", "Each one once.") if known else ("", "")
    sections = [
        _section(result, title, hardest_pairs, same, threshold, f"{note} {each}")
        for title, hardest_pairs, same, each in (
            ("Different identities that look alike", alike, False, once[0]),
            ("One identity that does not look it", unlike, True, once[1]),
        )
    ]
    return [section for section in sections if section is not None]


def of_all(unit: np.ndarray, codes: np.ndarray, count: int) -> tuple[HardestPairs, HardestPairs]:
    """Return the most similar impostors and the least similar mates among all pairs of rows.

    Args:
        unit: (N, D) float32 unit rows.
        codes: (N,) int64 identities.
        count: how many of each kind, every two identities once.
    """
    kept = [_none(), _none()]
    for block in pair_rows(unit, codes):
        for kind, (inside, sign) in enumerate(((block.impostor, 1), (block.mated, -1))):
            candidates = inside
            if len(kept[kind].score) == count:  # only what would displace one that is kept
                candidates = inside & (sign * block.similarity > sign * kept[kind].score[-1])
            row, column = np.nonzero(candidates)
            kept[kind] = _first(
                [kept[kind], HardestPairs(block.similarity[row, column], block.start + row,
                                   block.start + column)],
                codes, count, sign,
            )  # fmt: skip
    return kept[0], kept[1]


def of_pairs(
    scores: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    same: np.ndarray,
    codes: np.ndarray,
    count: int,
) -> tuple[HardestPairs, HardestPairs]:
    """Return the most similar impostors and the least similar mates among (P,) pairs."""

    def first(rows: np.ndarray, sign: int) -> HardestPairs:
        best = rows
        if len(rows) > ENOUGH:  # of millions only these are sorted, if they are enough
            best = np.sort(rows[np.argpartition(-sign * scores[rows], ENOUGH)[:ENOUGH]])
        pairs = _first([HardestPairs(scores[best], a[best], b[best])], codes, count, sign)
        if len(pairs.score) == count or best is rows:
            return pairs
        return _first([HardestPairs(scores[rows], a[rows], b[rows])], codes, count, sign)

    return first(np.flatnonzero(~same), 1), first(np.flatnonzero(same), -1)


def _first(parts: list[HardestPairs], codes: np.ndarray, count: int, sign: int) -> HardestPairs:
    """Return the highest scores (lowest, if the sign is -1), every two identities once."""
    score, a, b = (np.concatenate(part) for part in zip(*parts, strict=True))
    low, high = np.sort([codes[a], codes[b]], axis=0)
    order = np.argsort(-sign * score, kind="stable")
    _, places = np.unique((low * (codes.max() + 1) + high)[order], return_index=True)
    best = order[np.sort(places)[:count]]
    return HardestPairs(score[best], a[best], b[best])


def _none() -> HardestPairs:
    return HardestPairs(np.empty(0, np.float32), np.empty(0, np.int64), np.empty(0, np.int64))


def _section(
    result: EvaluationResult,
    title: str,
    pairs: HardestPairs,
    same: bool,
    threshold: ShownThreshold | None,
    note: str,
) -> Section | None:
    """Return pairs as images, or as names where there are none."""
    if not len(pairs.score):
        return None
    if not result.manifest.has_images:
        rows: list[list[Cell]] = [
            [result.templates.names[a], result.templates.names[b], f"{score:.3f}"]
            for score, a, b in zip(*pairs, strict=True)
        ]
        return Table(title, ["one", "other", "similarity"], rows, note)
    strips = []
    for score, a, b in zip(*pairs, strict=True):
        caption, frame = _verdict(float(score), same, threshold)
        images = [template_image(result, int(a)), template_image(result, int(b))]
        strips.append(Strip(images, caption, frame))
    return ImageStrips(title, strips, note)


def _verdict(score: float, same: bool, threshold: ShownThreshold | None) -> tuple[str, Frame]:
    """Return what a threshold makes of a pair, and whether that is right."""
    if threshold is None:
        return f"similarity {score:.3f}", "neutral"
    accepted = score >= threshold.similarity
    verdict = "accepted" if accepted else "rejected"
    how, frame = ("rightly", "right") if accepted == same else ("wrongly", "wrong")
    return f"{how} {verdict}: {score:.3f}, threshold {threshold.similarity:.3f}", frame


class SearchSides(NamedTuple):
    """Which templates search which.

    Attributes:
        queries: (Q,) int64 templates.
        entries: (G,) int64 templates that are searched.
        media: (U,) the medium of each template; None where that is not known.
    """

    queries: np.ndarray
    entries: np.ndarray
    media: np.ndarray | None


def searches(result: EvaluationResult, shown: int = SEARCHES_SHOWN) -> list[Section]:
    """Return the worst searches, and some that the seed drew."""
    if not result.manifest.has_images or result.search is None or result.retrieval is None:
        return []
    ids = result.templates.ids
    sides = search_sides(result.search, len(ids))
    queries = queries_with_mates(ids, sides)
    rank = result.retrieval.rank
    worst = [place for place in np.argsort(-rank, kind="stable") if rank[place] > 1]
    _, first = np.unique(ids[queries[worst]], return_index=True)
    worst = [worst[place] for place in np.sort(first)[:shown]]
    rng = np.random.default_rng(result.about.seed)
    drawn = np.sort(rng.choice(len(queries), min(shown, len(queries)), replace=False))
    missed = np.count_nonzero(rank > 1)
    answered_by = f"Answered by {result.model}." if result.baselines else ""
    sections: list[Section] = []
    for title, places, note in (
        (
            "The worst searches",
            worst,
            f"The query of each identity whose first mate comes last, among the {missed:,} of "
            f"{len(rank):,} queries whose nearest {result.templates.singular} is another "
            "identity's. They are the exceptions; the next section shows the rule.",
        ),
        ("Searches at random", drawn, f"{len(drawn)} of {len(rank):,} queries, drawn by the seed."),
    ):
        if len(places):
            strips = [
                _strip(result, sides, int(queries[place]), int(rank[place])) for place in places
            ]
            sections.append(ImageStrips(title, strips, f"{note} {answered_by}"))
    return sections


def search_sides(search: SearchProtocol, count: int) -> SearchSides:
    """Return which of `count` templates search which, as retrieval had it."""
    everyone = np.arange(count)
    if not search.stated:
        return SearchSides(everyone, everyone, search.media)
    return SearchSides(search.probes, np.concatenate(search.galleries), search.media)


def queries_with_mates(ids: np.ndarray, sides: SearchSides) -> np.ndarray:
    """Return the queries that have a mate to find, those that retrieval counts, in their order."""
    codes = np.unique(ids, return_inverse=True)[1]
    mates = np.bincount(codes[sides.entries], minlength=codes.max() + 1)[codes[sides.queries]]
    if sides.media is not None:
        media = np.unique(sides.media, return_inverse=True)[1]
        both = np.unique(codes * (media.max() + 1) + media, return_inverse=True)[1]
        of_same_medium = np.bincount(both[sides.entries], minlength=both.max() + 1)
        mates = mates - of_same_medium[both[sides.queries]]
    else:
        mates = mates - np.isin(sides.queries, sides.entries)
    return sides.queries[mates > 0]


def nearest(vectors: np.ndarray, ids: np.ndarray, sides: SearchSides, query: int) -> np.ndarray:
    """Return the searched templates, the nearest first, without the query and its medium.

    Of equally near ones the wrong come first, as retrieval counts them.
    """
    similarity = vectors[sides.entries] @ vectors[query]
    searched = sides.entries != query
    if sides.media is not None:
        searched &= sides.media[sides.entries] != sides.media[query]
    right = ids[sides.entries] == ids[query]
    order = np.lexsort((right, -similarity))
    return sides.entries[order[searched[order]]]


def image_of_row(
    manifest: Manifest, row: int, caption: str = "", frame: Frame = "neutral"
) -> CaptionedImage:
    """Return one row's image, small, with its identity (or name) and perhaps more below it."""
    pixels = shrunk(decode(manifest.read(row), manifest.image(row)))
    column = "identity" if "identity" in manifest.table.column_names else "image"
    title = manifest.table.column(column)[row].as_py()
    return CaptionedImage(pixels, f"{title}, {caption}" if caption else title, frame)


def template_image(
    result: EvaluationResult, template: int, caption: str = "", frame: Frame = "neutral"
) -> CaptionedImage:
    """Return the image of a template: where several are pooled, its first."""
    return image_of_row(result.manifest, int(result.templates.first_row[template]), caption, frame)


def _strip(result: EvaluationResult, sides: SearchSides, query: int, rank: int) -> Strip:
    """Return a query and its nearest answers."""
    vectors, ids = result.template_vectors, result.templates.ids
    images = [template_image(result, query, "the query")]
    for answer in nearest(vectors, ids, sides, query)[:NEAREST]:
        score = float(vectors[query] @ vectors[answer])
        frame = "right" if ids[answer] == ids[query] else "wrong"
        images.append(template_image(result, int(answer), f"{score:.2f}", frame))
    verdict = "its nearest is right" if rank == 1 else f"its first mate comes at place {rank:,}"
    return Strip(images, f"{ids[query]}: {verdict}")
