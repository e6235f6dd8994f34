"""Pairs to verify, drawn: as many of one identity as of two, in folds that share no identity.

Every identity is as likely as another, however many pictures it has. Pairs of one identity are
dealt in rounds: each identity gives one before any gives a second, as long as it has one. For pairs
of two, both identities are taken from shuffled lists of all, begun again when they are through,
and then a picture of each.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arcwise.data.pair_rule import PairRule, distinct
from arcwise.errors import ArcwiseError

Rows = NDArray[np.int64]

_TRIES = 30  # rounds without enough new pairs before all that there are are listed


class DrawnPairs(NamedTuple):
    """Pairs of rows, fold by fold, those of one identity first.

    Attributes:
        a: (P,) the first row of each pair.
        b: (P,) the second.
        same: (P,) bool.
        fold: (P,) int64, from 1.
    """

    a: Rows
    b: Rows
    same: NDArray[np.bool_]
    fold: NDArray[np.int64]


def draw_pairs(
    owner: NDArray[np.integer], rule: PairRule, *, pairs: int, folds: int, seed: int
) -> DrawnPairs:
    """Pairs among N rows.

    Args:
        owner: (N,) identities, numbered from 0.
        rule: which rows may make a pair.
        pairs: how many; a multiple of twice the folds.
        folds: how many.
        seed: of everything that is drawn.

    Raises:
        ArcwiseError: the numbers do not divide, or there are too few such pairs: how many there
            are is said.
    """
    if folds < 1 or pairs < 1 or pairs % (2 * folds):
        nearest = max(1, round(pairs / (2 * max(folds, 1)))) * 2 * max(folds, 1)
        raise ArcwiseError(
            f"{pairs} pairs in {folds} folds; expected a multiple of twice the folds, so that each "
            f"has as many same as different ones: say {nearest}"
        )
    need = pairs // (2 * folds)
    rng = np.random.default_rng(seed)
    order = np.argsort(owner, kind="stable")
    identities = np.split(order, np.flatnonzero(np.diff(owner[order])) + 1) if len(order) else []
    available = np.array([_count(rule, rows) for rows in identities], np.int64)
    dealt = _deal(available, need, folds, rng)
    same = np.array([available[members].sum() for members in dealt])
    if same.min() < need:
        raise _too_few("of one identity", same, need, f", all folds {same.sum():,}")
    found, different = [], []
    for members in dealt:
        fold = [identities[one] for one in members]
        quota = _in_rounds(available[members], need, rng)
        own = [_own(rule, rows, many, rng) for rows, many in zip(fold, quota, strict=True) if many]
        found.append(np.concatenate(own, axis=1))
        different.append(_different(rule, fold, owner, need, rng))
    got = np.array([len(pairs[0]) for pairs in different])
    if got.min() < need:
        raise _too_few("of two identities", got, need)
    sides = np.concatenate(
        [part for both in zip(found, different, strict=True) for part in both], 1
    )
    a, b = rule.oriented(*sides)
    same = np.tile(np.repeat([True, False], need), folds)
    return DrawnPairs(a, b, same, np.repeat(np.arange(1, folds + 1), 2 * need))


def _too_few(kind: str, there: NDArray[np.int64], need: int, total: str = "") -> ArcwiseError:
    """The error: with the fold that has fewest, and what could be had."""
    folds, worst = len(there), int(there.argmin())
    wishes = ["for fewer folds"] if folds > 1 else ["for less"]
    if possible := 2 * folds * int(there.min()):
        wishes = [f"for {possible:,} pairs at most", *wishes[: folds - 1]]
    return ArcwiseError(
        f"too few pairs {kind} as asked for: expected {need:,} in each of {folds} folds, and fold "
        f"{worst + 1} has {there[worst]:,}{total}; ask {', or '.join(wishes)}"
    )


def _count(rule: PairRule, rows: Rows) -> int:
    """How many pairs an identity has."""
    return sum(len(a) for a, _ in _blocks(rule, rows))


def _blocks(rule: PairRule, rows: Rows) -> Iterator[tuple[Rows, Rows]]:
    """All pairs of rows that the rule allows, each once, some at a time."""
    for start in range(0, len(rows), rule.block(len(rows))):
        part = rows[start : start + rule.block(len(rows))]
        a, b = np.nonzero(np.triu(rule.allows(part[:, None], rows[None, start:]), 1))
        yield part[a], rows[start:][b]


def _deal(
    available: NDArray[np.int64], need: int, folds: int, rng: np.random.Generator
) -> list[Rows]:
    """The identities of each fold: those with the most pairs first, each to the fold with fewest.

    Pairs beyond the need of a fold do not count: then the fold with the fewest identities is next.
    """
    shuffled = rng.permutation(len(available))
    shuffled = shuffled[np.argsort(-np.minimum(available[shuffled], need), kind="stable")]
    heap = [(0, 0, fold) for fold in range(folds)]
    members: list[list[int]] = [[] for _ in range(folds)]
    for identity in shuffled.tolist():
        had, count, fold = heapq.heappop(heap)
        members[fold].append(identity)
        heapq.heappush(heap, (min(need, had + int(available[identity])), count + 1, fold))
    return [np.array(one, np.int64) for one in members]


def _in_rounds(
    available: NDArray[np.int64], need: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """How many pairs each identity gives: as evenly as what they have allows."""
    quota = np.zeros_like(available)
    while (left := need - int(quota.sum())) > 0:
        open_ = np.flatnonzero(quota < available)
        step = left // len(open_)
        if step:
            quota[open_] += np.minimum(step, available[open_] - quota[open_])
        else:
            quota[rng.choice(open_, left, replace=False)] += 1
    return quota


def _own(rule: PairRule, rows: Rows, many: int, rng: np.random.Generator) -> Rows:
    """(2, many) pairs of an identity."""
    return _sample(_blocks(rule, rows), many, rng)


def _sample(blocks: Iterator[tuple[Rows, Rows]], many: int, rng: np.random.Generator) -> Rows:
    """(2, at most `many`) of all pairs, each as likely; few are held at a time."""
    kept, lots = np.empty((2, 0), np.int64), np.empty(0)
    for a, b in blocks:
        kept = np.concatenate([kept, [a, b]], axis=1)
        lots = np.concatenate([lots, rng.random(len(a))])
        if len(lots) > many:
            lowest = np.argpartition(lots, many)[:many] if many else np.empty(0, np.int64)
            lowest.sort()
            kept, lots = kept[:, lowest], lots[lowest]
    return kept


def _different(
    rule: PairRule,
    identities: list[Rows],
    owner: NDArray[np.integer],
    need: int,
    rng: np.random.Generator,
) -> Rows:
    """(2, need) pairs of rows of two identities; fewer if there are no more."""
    kept = np.empty((2, 0), np.int64)
    left, right = (_Turns(identities, side, rng) for side in (rule.first, rule.second))
    if left and right:
        for _ in range(_TRIES):
            sides = np.stack([left.take(2 * need), right.take(2 * need)])
            good = (owner[sides[0]] != owner[sides[1]]) & rule.allows(*sides)
            kept = distinct(np.concatenate([kept, sides[:, good]], axis=1))[:, :need]
            if kept.shape[1] == need:
                return kept
    every = np.sort(np.concatenate(identities)) if identities else np.empty(0, np.int64)
    listed = ((a[owner[a] != owner[b]], b[owner[a] != owner[b]]) for a, b in _blocks(rule, every))
    more = _sample(listed, need, rng)
    return distinct(np.concatenate([kept, more], axis=1))[:, :need]


class _Turns:
    """Rows of identities that take turns, in an order shuffled anew when all had theirs."""

    def __init__(
        self, identities: list[Rows], side: NDArray[np.bool_], rng: np.random.Generator
    ) -> None:
        chosen = [rows[side[rows]] for rows in identities]
        chosen = [rows for rows in chosen if len(rows)]
        self._sizes = np.array([len(rows) for rows in chosen], np.int64)
        self._rows = np.concatenate([np.empty(0, np.int64), *chosen])
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._rng = rng
        self._waiting = np.empty(0, np.int64)

    def __bool__(self) -> bool:
        return len(self._sizes) > 0

    def take(self, many: int) -> Rows:
        """(many,) rows, an identity after the other."""
        rounds = [self._waiting]
        while sum(map(len, rounds)) < many:
            rounds.append(self._rng.permutation(len(self._sizes)))
        turns = np.concatenate(rounds)
        self._waiting, turns = turns[many:], turns[:many]
        return self._rows[self._starts[turns] + self._rng.integers(self._sizes[turns])]
