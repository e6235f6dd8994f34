"""Impostor scores too many to keep: exact where it matters, and a sample for the bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arcwise.evaluation import inputs
from arcwise.evaluation.blocks import Tile, by_identity, pair_counts, tiles
from arcwise.evaluation.thresholds import allowed, just_above

_BINS = 2**20
_KEEP = 2**15  # pairs kept whole; below them, fewer and fewer


@dataclass(frozen=True)
class ImpostorTail:
    """The impostor pairs of a set, the less similar ones through a sample.

    Attributes:
        thresholds: one exact threshold for each asked rate.
        similarity: (K,) descending. The highest are all here; of each doubling of the rank below
            them, half as large a share as of the one before.
        first: (K,) int64, one side's identity.
        second: (K,) int64, the other side's identity.
        weight: (K,) float64, how many pairs each kept one stands for.
        impostors: number of impostor pairs in all.
    """

    thresholds: tuple[float, ...]
    similarity: np.ndarray
    first: np.ndarray
    second: np.ndarray
    weight: np.ndarray
    impostors: int


@dataclass(frozen=True)
class Survey:
    """The first pass over all pairs.

    Attributes:
        counts: (B,) impostor pairs in each fine bin of similarity, the most similar first.
        mated: (M,) scores of the mated pairs.
        owner: (M,) int64, the identity of each.
    """

    counts: np.ndarray
    mated: np.ndarray
    owner: np.ndarray

    def edges(self) -> np.ndarray:
        """Return (S,) falling scores at which the strata of a `Sample` end."""
        ends = np.cumsum(self.counts)
        place = np.searchsorted(ends, _limits(int(ends[-1])), side="right")
        # Bin 0 also holds what rounding put above 1.
        return np.where(place > 0, 1.0 - place * (2 / _BINS), np.inf).astype(np.float32)


def survey(unit: np.ndarray, codes: np.ndarray) -> Survey:
    """Return what one pass over the pairs of (N, D) rows counts.

    Args:
        unit: (N, D) float32 unit rows.
        codes: (N,) int64 identities, ascending.
    """
    counts = np.zeros(_BINS, dtype=np.int64)
    mated, owner = [], []
    for tile in tiles(unit, codes):
        counts += np.bincount(bins(tile.impostor.ravel()), minlength=_BINS)
        counts[-1] -= tile.absent
        mated.append(tile.mated)
        owner.append(tile.owner)
    return Survey(counts, np.concatenate(mated), np.concatenate(owner))


def bins(similarity: np.ndarray) -> np.ndarray:
    """Return the bin of each cosine; a larger cosine never has a larger bin."""
    place = np.subtract(1.0, similarity, dtype=np.float32)
    place *= _BINS / 2
    return np.clip(place, 0, _BINS - 1, out=place).astype(np.int64)


class Sample:
    """Impostor pairs drawn for the bootstrap, a part of the pairs at a time."""

    def __init__(self, edges: np.ndarray, seed: int) -> None:
        """Begin with falling edges: of scores at or below k of them, one in 2^k is kept."""
        self._edges = edges
        self._generator = inputs.generator(seed)
        self._counts = np.zeros(len(edges) + 1, dtype=np.int64)
        self._parts: list[tuple[np.ndarray, ...]] = []

    def add(self, tile: Tile, codes: np.ndarray) -> None:
        """Draw from the impostors of a tile, whose rows have these (N,) identities."""
        similarity = tile.impostor.ravel()
        kept, stratum = self._draw(similarity)
        self._counts[-1] -= tile.absent
        there = similarity[kept] > -np.inf
        kept, stratum = kept[there], stratum[there]
        row, column = np.divmod(kept, tile.impostor.shape[1])
        first, second = codes[tile.start + row], codes[tile.start + column]
        self._parts.append((similarity[kept], stratum, first, second))

    def add_list(self, similarity: np.ndarray, first: np.ndarray, second: np.ndarray) -> None:
        """Draw from (N,) impostors and the identities of both sides."""
        kept, stratum = self._draw(similarity)
        self._parts.append((similarity[kept], stratum, first[kept], second[kept]))

    def tail(self, thresholds: tuple[float, ...] = ()) -> ImpostorTail:
        """Return what was drawn, weighted so that each stratum counts what it held."""
        similarity, stratum, first, second = (
            np.concatenate(part) for part in zip(*self._parts, strict=True)
        )
        drawn = np.bincount(stratum, minlength=len(self._counts))
        order = np.argsort(-similarity, kind="stable")
        return ImpostorTail(
            thresholds,
            similarity[order],
            first[order],
            second[order],
            (self._counts / np.maximum(drawn, 1))[stratum[order]],
            int(self._counts.sum()),
        )

    def _draw(self, similarity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the (K,) indices drawn and their strata, and count how many each holds."""
        stratum = np.zeros(len(similarity), dtype=np.uint8)
        for edge in self._edges:
            stratum += similarity <= edge
        self._counts += np.bincount(stratum, minlength=len(self._counts))
        if not len(self._edges):
            return np.arange(len(similarity)), stratum
        chance = 0.5 ** np.arange(len(self._counts), dtype=np.float32)
        drawn = self._generator.random(len(similarity), dtype=np.float32) < chance[stratum]
        kept = np.flatnonzero(drawn)
        return kept, stratum[kept]


def listed_tail(
    similarity: np.ndarray, first: np.ndarray, second: np.ndarray, falling: np.ndarray, seed: int
) -> ImpostorTail:
    """Return the tail of listed impostors.

    Args:
        similarity: (N,) scores of any range.
        first: (N,) int64 identities.
        second: (N,) int64 identities.
        falling: (N,) the scores again, descending.
        seed: of the sample.
    """
    sample = Sample(falling[_limits(len(falling))], seed)
    sample.add_list(similarity, first, second)
    return sample.tail()


def impostor_tail(
    unit: np.ndarray, codes: np.ndarray, rates: tuple[float, ...], seed: int
) -> ImpostorTail:
    """Return the tail of all pairs in two passes; memory does not grow with their number.

    The first pass counts pairs in fine bins of similarity, which says in which bin each threshold
    lies. The second keeps those bins whole and sorts them, so that the thresholds are exact.

    Args:
        unit: (N, D) float32 unit rows.
        codes: (N,) int64 identities.
        rates: false-accept rates.
        seed: of the sample.
    """
    unit, codes = by_identity(unit, codes)
    found = survey(unit, codes)
    impostors = pair_counts(codes)[1]
    ranks = [allowed(impostors, rate) for rate in rates]
    asked = np.array([rank for rank in ranks if rank < impostors], dtype=np.int64)
    place = np.searchsorted(np.cumsum(found.counts), asked, side="right")
    wanted = np.zeros(_BINS, dtype=bool)
    wanted[place] = True

    sample, exact = Sample(found.edges(), seed), []
    for tile in tiles(unit, codes):
        sample.add(tile, codes)
        similarity = tile.impostor.ravel()
        exact.append(similarity[wanted[bins(similarity)] & (similarity > -np.inf)])
    falling = np.sort(np.concatenate(exact))[::-1]
    # Bins that were not kept hold this many of the scores before each threshold's.
    passed_over = np.cumsum(np.where(wanted, 0, found.counts))[place]
    at = dict(zip(asked.tolist(), falling[asked - passed_over], strict=True))
    return sample.tail(tuple(just_above(at[k]) if k < impostors else -np.inf for k in ranks))


def _limits(count: int) -> np.ndarray:
    """Return the ranks at which the strata of so many scores end: doublings below their number."""
    doublings = max(0, (count - 1) // _KEEP).bit_length()
    return _KEEP * 2 ** np.arange(doublings)
