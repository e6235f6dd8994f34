"""Pairs to verify, drawn: as many of one identity as of two, in folds that share no identity.

Every identity is equally likely, however many images it has. Pairs of one identity are dealt in
rounds: each identity gives one before any gives a second. For pairs of two identities, both are
taken from shuffled lists of all identities, and then an image of each.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arcwise.errors import ArcwiseError

Indices = NDArray[np.int64]

_BLOCK = 2**22  # pairs looked at at once


@dataclass(frozen=True, eq=False)
class PairRule:
    """Which two of N rows may make a pair.

    Attributes:
        first: (N,) bool, the rows that may be on one side.
        second: (N,) bool, those that may be on the other.
        medium: (N,) int64; two rows of one medium make no pair. None where there are no media.
        age: (N,) float64, in years, NaN where it is missing. None if ages do not matter.
        gap: years between the two, at least and at most.
    """

    first: NDArray[np.bool_]
    second: NDArray[np.bool_]
    medium: NDArray[np.int64] | None = None
    age: NDArray[np.float64] | None = None
    gap: tuple[float, float] = (0.0, np.inf)

    @classmethod
    def any(cls, rows: int) -> PairRule:
        """Return the rule that any two rows make a pair."""
        return cls(np.ones(rows, bool), np.ones(rows, bool))

    def allows(self, a: Indices, b: Indices) -> NDArray[np.bool_]:
        """Return whether rows make a pair, for two arrays that broadcast against each other."""
        fits = (self.first[a] & self.second[b]) | (self.first[b] & self.second[a])
        fits = fits & (a != b)
        if self.medium is not None:
            fits &= self.medium[a] != self.medium[b]
        if self.age is not None:
            apart = np.abs(self.age[a] - self.age[b])  # NaN is never in a range
            fits &= (apart >= self.gap[0]) & (apart <= self.gap[1])
        return fits

    def oriented(self, a: Indices, b: Indices) -> tuple[Indices, Indices]:
        """Return (P,) and (P,) rows of pairs, swapped where only the second may come first."""
        turned = ~(self.first[a] & self.second[b])
        return np.where(turned, b, a), np.where(turned, a, b)

    def block(self, rows: int) -> int:
        """Return how many rows to compare at once with so many others."""
        return max(1, _BLOCK // max(rows, 1))


def distinct(pairs: Indices) -> Indices:
    """Return (2, P) pairs without repetitions, in either order."""
    low, high = pairs.min(0), pairs.max(0)
    count = int(high.max(initial=0)) + 1
    return pairs[:, np.sort(np.unique(low * count + high, return_index=True)[1])]


_TRIES = 30  # rounds without enough new pairs before all that there are are listed


class DrawnPairs(NamedTuple):
    """Pairs of rows, fold by fold, those of one identity first.

    Attributes:
        a: (P,) the first row of each pair.
        b: (P,) the second.
        same: (P,) bool.
        fold: (P,) int64, from 1.
    """

    a: Indices
    b: Indices
    same: NDArray[np.bool_]
    fold: NDArray[np.int64]


def draw_pairs(
    owner: NDArray[np.integer], rule: PairRule, *, pairs: int, folds: int, seed: int
) -> DrawnPairs:
    """Draw pairs among N rows.

    Args:
        owner: (N,) identities, numbered from 0.
        rule: which rows may make a pair.
        pairs: how many; a multiple of twice the folds.
        folds: how many.
        seed: of all draws.

    Raises:
        ArcwiseError: the numbers do not divide, or there are too few such pairs; the message
            says how many there are.
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
    same_pairs, different_pairs = [], []
    for members in dealt:
        fold = [identities[one] for one in members]
        quota = _in_rounds(available[members], need, rng)
        own = [_own(rule, rows, many, rng) for rows, many in zip(fold, quota, strict=True) if many]
        same_pairs.append(np.concatenate(own, axis=1))
        different_pairs.append(_different(rule, fold, owner, need, rng))
    got = np.array([len(pairs[0]) for pairs in different_pairs])
    if got.min() < need:
        raise _too_few("of two identities", got, need)
    sides = np.concatenate(
        [part for both in zip(same_pairs, different_pairs, strict=True) for part in both], 1
    )
    a, b = rule.oriented(*sides)
    same = np.tile(np.repeat([True, False], need), folds)
    return DrawnPairs(a, b, same, np.repeat(np.arange(1, folds + 1), 2 * need))


def _too_few(kind: str, available: NDArray[np.int64], need: int, total: str = "") -> ArcwiseError:
    """Return the error, which names the fold with fewest pairs and what would be possible."""
    folds, worst = len(available), int(available.argmin())
    options = ["for fewer folds"] if folds > 1 else ["for less"]
    if possible := 2 * folds * int(available.min()):
        options = [f"for {possible:,} pairs at most", *options[: folds - 1]]
    return ArcwiseError(
        f"too few pairs {kind} as asked for: expected {need:,} in each of {folds} folds, and fold "
        f"{worst + 1} has {available[worst]:,}{total}; ask {', or '.join(options)}"
    )


def _count(rule: PairRule, rows: Indices) -> int:
    """Return how many pairs an identity has."""
    return sum(len(a) for a, _ in _blocks(rule, rows))


def _blocks(rule: PairRule, rows: Indices) -> Iterator[tuple[Indices, Indices]]:
    """Yield all pairs of rows that the rule allows, each once, in blocks."""
    for start in range(0, len(rows), rule.block(len(rows))):
        part = rows[start : start + rule.block(len(rows))]
        a, b = np.nonzero(np.triu(rule.allows(part[:, None], rows[None, start:]), 1))
        yield part[a], rows[start:][b]


def _deal(
    available: NDArray[np.int64], need: int, folds: int, rng: np.random.Generator
) -> list[Indices]:
    """Return the identities of each fold, dealt from the most pairs to the fewest.

    Each goes to the fold with the fewest pairs so far. Pairs beyond the need of a fold do not
    count; among folds that have enough, the one with the fewest identities is next.
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
    """Return how many pairs each identity gives, as evenly as possible."""
    quota = np.zeros_like(available)
    while (left := need - int(quota.sum())) > 0:
        open_ = np.flatnonzero(quota < available)
        step = left // len(open_)
        if step:
            quota[open_] += np.minimum(step, available[open_] - quota[open_])
        else:
            quota[rng.choice(open_, left, replace=False)] += 1
    return quota


def _own(rule: PairRule, rows: Indices, many: int, rng: np.random.Generator) -> Indices:
    """Return (2, many) pairs of an identity."""
    return _sample(_blocks(rule, rows), many, rng)


def _sample(
    blocks: Iterator[tuple[Indices, Indices]], many: int, rng: np.random.Generator
) -> Indices:
    """Return (2, at most `many`) of all pairs, equally likely; few are held at a time."""
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
    identities: list[Indices],
    owner: NDArray[np.integer],
    need: int,
    rng: np.random.Generator,
) -> Indices:
    """Return (2, need) pairs of rows of two identities; fewer if there are no more."""
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
    """Rows of identities in turn, in an order that is shuffled again after each round."""

    def __init__(
        self, identities: list[Indices], side: NDArray[np.bool_], rng: np.random.Generator
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

    def take(self, many: int) -> Indices:
        """Return (many,) rows, one identity after the other."""
        rounds = [self._waiting]
        while sum(map(len, rounds)) < many:
            rounds.append(self._rng.permutation(len(self._sizes)))
        turns = np.concatenate(rounds)
        self._waiting, turns = turns[many:], turns[:many]
        return self._rows[self._starts[turns] + self._rng.integers(self._sizes[turns])]
