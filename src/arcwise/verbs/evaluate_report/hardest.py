"""The pairs that are hardest to tell: impostors that are closest, mates that are farthest apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from arcwise.evaluation.blocks import upper_blocks
from arcwise.report import Pictures, Section, Strip, Table
from arcwise.report.sections import Cell, Frame
from arcwise.verbs.evaluate_report.curves import MOST, sample
from arcwise.verbs.evaluate_report.line import Line, line
from arcwise.verbs.evaluate_report.shown import item

if TYPE_CHECKING:
    from arcwise.protocols.result import Evaluation

SHOWN = 8
"""Pairs of each kind."""

ENOUGH = 2**16
"""Hardest pairs of one kind among which there usually are as many identities as are shown."""


class Found(NamedTuple):
    """Pairs of items, the hardest first.

    Attributes:
        score: (K,) their similarities.
        a: (K,) int64 one side.
        b: (K,) int64 the other.
    """

    score: np.ndarray
    a: np.ndarray
    b: np.ndarray


def hardest(result: Evaluation, count: int = SHOWN) -> list[Section]:
    """Return false accepts and false rejects, or what comes nearest to them."""
    items = result.items
    known = items.identities is not None
    codes = np.unique(items.ids if known else np.arange(len(items.names)), return_inverse=True)[1]
    limits = ""
    if result.pairs is not None:
        pairs = result.pairs
        alike, unlike = of_pairs(pairs.scores, pairs.a, pairs.b, pairs.same, codes, count)
        limits = "Among the listed pairs. "
    else:
        rows = sample(len(codes), MOST, result.about.seed)
        alike, unlike = (
            Found(one.score, rows[one.a], rows[one.b])
            for one in of_all(items.vectors[rows], codes[rows], count)
        )
        if len(rows) < len(codes):
            limits = f"Among {len(rows):,} of {len(codes):,} {items.kind}, drawn by the seed. "
    where = line(result)
    note = limits + (f"Accepted: at least {where.place:.3f}, {where.words}." if where else "")
    once = ("Each two identities once.", "Each one once.") if known else ("", "")
    sections = [
        _section(result, title, found, same, where, f"{note} {each}")
        for title, found, same, each in (
            ("Different identities that look alike", alike, False, once[0]),
            ("One identity that does not look it", unlike, True, once[1]),
        )
    ]
    return [one for one in sections if one is not None]


def of_all(unit: np.ndarray, codes: np.ndarray, count: int) -> tuple[Found, Found]:
    """Return the most similar impostors and the least similar mates among all pairs of rows.

    Args:
        unit: (N, D) float32 unit rows.
        codes: (N,) int64 identities.
        count: how many of each kind, every two identities once.
    """
    kept = [_none(), _none()]
    for block in upper_blocks(unit, codes):
        for kind, (inside, sign) in enumerate(((block.impostor, 1), (block.mated, -1))):
            wanted = inside
            if len(kept[kind].score) == count:  # only what would displace one that is kept
                wanted = inside & (sign * block.similarity > sign * kept[kind].score[-1])
            row, column = np.nonzero(wanted)
            kept[kind] = _first(
                [kept[kind], Found(block.similarity[row, column], block.start + row,
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
) -> tuple[Found, Found]:
    """Return the most similar impostors and the least similar mates among (P,) pairs."""

    def first(rows: np.ndarray, sign: int) -> Found:
        best = rows
        if len(rows) > ENOUGH:  # of millions only these are sorted, if they are enough
            best = np.sort(rows[np.argpartition(-sign * scores[rows], ENOUGH)[:ENOUGH]])
        found = _first([Found(scores[best], a[best], b[best])], codes, count, sign)
        if len(found.score) == count or best is rows:
            return found
        return _first([Found(scores[rows], a[rows], b[rows])], codes, count, sign)

    return first(np.flatnonzero(~same), 1), first(np.flatnonzero(same), -1)


def _first(parts: list[Found], codes: np.ndarray, count: int, sign: int) -> Found:
    """Return the highest scores (lowest, if the sign is -1), every two identities once."""
    score, a, b = (np.concatenate(part) for part in zip(*parts, strict=True))
    low, high = np.sort([codes[a], codes[b]], axis=0)
    order = np.argsort(-sign * score, kind="stable")
    _, places = np.unique((low * (codes.max() + 1) + high)[order], return_index=True)
    best = order[np.sort(places)[:count]]
    return Found(score[best], a[best], b[best])


def _none() -> Found:
    return Found(np.empty(0, np.float32), np.empty(0, np.int64), np.empty(0, np.int64))


def _section(
    result: Evaluation, title: str, found: Found, same: bool, where: Line | None, note: str
) -> Section | None:
    """Return pairs as pictures, or as names where there are none."""
    if not len(found.score):
        return None
    if not result.manifest.has_images:
        rows: list[list[Cell]] = [
            [result.items.names[a], result.items.names[b], f"{score:.3f}"]
            for score, a, b in zip(*found, strict=True)
        ]
        return Table(title, ["one", "other", "similarity"], rows, note)
    strips = []
    for score, a, b in zip(*found, strict=True):
        said, frame = _verdict(float(score), same, where)
        strips.append(Strip([item(result, int(a)), item(result, int(b))], said, frame))
    return Pictures(title, strips, note)


def _verdict(score: float, same: bool, where: Line | None) -> tuple[str, Frame]:
    """Return what a threshold makes of a pair, and whether that is right."""
    if where is None:
        return f"similarity {score:.3f}", "neutral"
    accepted = score >= where.place
    verdict = "accepted" if accepted else "rejected"
    how, frame = ("rightly", "right") if accepted == same else ("wrongly", "wrong")
    return f"{how} {verdict}: {score:.3f}, threshold {where.place:.3f}", frame
