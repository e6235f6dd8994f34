"""Impostor scores too many to keep: exact thresholds, and a sample for the bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arcwise.evaluation import inputs
from arcwise.evaluation.similarity_matrix import (
    SortedPairRows,
    pair_counts,
    sorted_by_identity,
    sorted_pair_rows,
)
from arcwise.evaluation.thresholds import allowed, just_above

_BINS = 2**20
_KEEP = 2**15  # pairs kept whole; below them, fewer and fewer


@dataclass(frozen=True)
class ImpostorSample:
    """The impostor pairs of a set: the most similar ones, and a sample of the others.

    Attributes:
        thresholds: one exact threshold for each rate.
        similarity: (K,) descending. The highest are complete; of each doubling of the rank below
            them, half as large a share as of the one before.
        first: (K,) int64, one side's identity.
        second: (K,) int64, the other side's identity.
        weight: (K,) float64, how many pairs each kept one represents.
        impostors: number of impostor pairs in all.
    """

    thresholds: tuple[float, ...]
    similarity: np.ndarray
    first: np.ndarray
    second: np.ndarray
    weight: np.ndarray
    impostors: int


@dataclass(frozen=True)
class PairHistogram:
    """Counts of all impostor pairs in fine bins, and the mated pairs.

    Attributes:
        counts: (B,) impostor pairs in each fine bin of similarity, the most similar first.
        mated: (M,) scores of the mated pairs.
        owner: (M,) int64, the identity of each.
    """

    counts: np.ndarray
    mated: np.ndarray
    owner: np.ndarray

    def stratum_edges(self) -> np.ndarray:
        """Return (S,) falling scores at which the strata of an `ImpostorSampler` end."""
        ends = np.cumsum(self.counts)
        place = np.searchsorted(ends, _stratum_ends(int(ends[-1])), side="right")
        # Bin 0 also holds what rounding put above 1.
        return np.where(place > 0, 1.0 - place * (2 / _BINS), np.inf).astype(np.float32)


def pair_histogram(unit: np.ndarray, codes: np.ndarray) -> PairHistogram:
    """Return the histogram of all pairs of (N, D) rows, from one pass.

    Args:
        unit: (N, D) float32 unit rows.
        codes: (N,) int64 identities, ascending.
    """
    counts = np.zeros(_BINS, dtype=np.int64)
    mated, owner = [], []
    for rows in sorted_pair_rows(unit, codes):
        counts += np.bincount(bin_of(rows.impostor.ravel()), minlength=_BINS)
        counts[-1] -= rows.excluded
        mated.append(rows.mated)
        owner.append(rows.owner)
    return PairHistogram(counts, np.concatenate(mated), np.concatenate(owner))


def bin_of(similarity: np.ndarray) -> np.ndarray:
    """Return the bin of each cosine; a larger cosine never has a larger bin."""
    place = np.subtract(1.0, similarity, dtype=np.float32)
    place *= _BINS / 2
    return np.clip(place, 0, _BINS - 1, out=place).astype(np.int64)


class ImpostorSampler:
    """Impostor pairs drawn for the bootstrap, a part of the pairs at a time."""

    def __init__(self, edges: np.ndarray, seed: int) -> None:
        """Start with falling edges: of scores at or below k of them, one in 2^k is kept."""
        self._edges = edges
        self._generator = inputs.generator(seed)
        self._counts = np.zeros(len(edges) + 1, dtype=np.int64)
        self._parts: list[tuple[np.ndarray, ...]] = []

    def add(self, rows: SortedPairRows, codes: np.ndarray) -> None:
        """Draw from the impostors of some rows of the matrix, of (N,) identities."""
        similarity = rows.impostor.ravel()
        kept, stratum = self._draw(similarity)
        self._counts[-1] -= rows.excluded
        finite = similarity[kept] > -np.inf
        kept, stratum = kept[finite], stratum[finite]
        row, column = np.divmod(kept, rows.impostor.shape[1])
        first, second = codes[rows.start + row], codes[rows.start + column]
        self._parts.append((similarity[kept], stratum, first, second))

    def add_list(self, similarity: np.ndarray, first: np.ndarray, second: np.ndarray) -> None:
        """Draw from (N,) impostors and the identities of both sides."""
        kept, stratum = self._draw(similarity)
        self._parts.append((similarity[kept], stratum, first[kept], second[kept]))

    def sample(self, thresholds: tuple[float, ...] = ()) -> ImpostorSample:
        """Return the sample, weighted so that each stratum counts all its pairs."""
        similarity, stratum, first, second = (
            np.concatenate(part) for part in zip(*self._parts, strict=True)
        )
        drawn = np.bincount(stratum, minlength=len(self._counts))
        order = np.argsort(-similarity, kind="stable")
        return ImpostorSample(
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


def sample_listed(
    similarity: np.ndarray, first: np.ndarray, second: np.ndarray, falling: np.ndarray, seed: int
) -> ImpostorSample:
    """Return the sample of listed impostors.

    Args:
        similarity: (N,) scores of any range.
        first: (N,) int64 identities.
        second: (N,) int64 identities.
        falling: (N,) the scores, descending.
        seed: of the sample.
    """
    sampler = ImpostorSampler(falling[_stratum_ends(len(falling))], seed)
    sampler.add_list(similarity, first, second)
    return sampler.sample()


def sample_all_pairs(
    unit: np.ndarray, codes: np.ndarray, rates: tuple[float, ...], seed: int
) -> ImpostorSample:
    """Return the sample of all pairs in two passes; memory does not grow with their number.

    The first pass counts pairs in fine bins of similarity, which gives the bin of each threshold.
    The second keeps those bins whole and sorts them, so that the thresholds are exact.

    Args:
        unit: (N, D) float32 unit rows.
        codes: (N,) int64 identities.
        rates: false-accept rates.
        seed: of the sample.
    """
    unit, codes = sorted_by_identity(unit, codes)
    histogram = pair_histogram(unit, codes)
    impostors = pair_counts(codes)[1]
    ranks = [allowed(impostors, rate) for rate in rates]
    reached = np.array([rank for rank in ranks if rank < impostors], dtype=np.int64)
    place = np.searchsorted(np.cumsum(histogram.counts), reached, side="right")
    needed = np.zeros(_BINS, dtype=bool)
    needed[place] = True

    sampler, exact = ImpostorSampler(histogram.stratum_edges(), seed), []
    for rows in sorted_pair_rows(unit, codes):
        sampler.add(rows, codes)
        similarity = rows.impostor.ravel()
        exact.append(similarity[needed[bin_of(similarity)] & (similarity > -np.inf)])
    falling = np.sort(np.concatenate(exact))[::-1]
    # Bins that were not kept hold this many of the scores before each threshold's.
    skipped = np.cumsum(np.where(needed, 0, histogram.counts))[place]
    at = dict(zip(reached.tolist(), falling[reached - skipped], strict=True))
    return sampler.sample(tuple(just_above(at[k]) if k < impostors else -np.inf for k in ranks))


def _stratum_ends(count: int) -> np.ndarray:
    """Return the ranks at which the strata of so many scores end: doublings below their number."""
    doublings = max(0, (count - 1) // _KEEP).bit_length()
    return _KEEP * 2 ** np.arange(doublings)
