"""The most similar impostor pairs of a set: exact thresholds, and a sample for the bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arcwise.evaluation.blocks import pair_counts, upper_blocks
from arcwise.evaluation.thresholds import allowed, just_above

_BINS = 2**16
_KEEP = 2**15  # pairs kept whole; below them, fewer and fewer
_REACH = 4.0  # how far below the largest rate the bootstrap may have to look


@dataclass(frozen=True)
class ImpostorTail:
    """The upper end of the impostor similarities of all pairs.

    Attributes:
        thresholds: one exact threshold for each asked rate.
        similarity: (K,) float32, descending. The highest are all here; deeper, a pair at rank r is
            kept with probability about 32768 / r.
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


def impostor_tail(
    unit: np.ndarray, codes: np.ndarray, rates: tuple[float, ...], seed: int
) -> ImpostorTail:
    """Return the tail in two passes over the pairs; memory does not grow with their number.

    The first pass counts pairs in fine bins of similarity, which says in which bin each threshold
    lies. The second keeps those bins whole and sorts them, so that the thresholds are exact.

    Args:
        unit: (N, D) float32 unit rows.
        codes: (N,) int64 identities.
        rates: false-accept rates.
        seed: of the thinning.
    """
    counts = np.zeros(_BINS, dtype=np.int64)
    for block in upper_blocks(unit, codes):
        counts += np.bincount(_bin(block.similarity[block.impostor]), minlength=_BINS)
    ends = np.cumsum(counts)
    impostors = pair_counts(codes)[1]

    ranks = [allowed(impostors, rate) for rate in rates]
    wanted = {rank: int(np.searchsorted(ends, rank, side="right")) for rank in ranks}
    exact: dict[int, list[np.ndarray]] = {place: [] for place in wanted.values()}
    chance = np.minimum(1.0, _KEEP / np.maximum(ends, 1))
    chance[np.concatenate([[0], ends[:-1]]) >= max(_REACH * max(ranks), _KEEP)] = 0.0

    generator = np.random.default_rng(seed)
    kept: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
    for block in upper_blocks(unit, codes):
        inside = block.impostor
        similarity = block.similarity[inside]
        places = _bin(similarity)
        for place, found in exact.items():
            found.append(similarity[places == place])
        keep = generator.random(len(places), dtype=np.float32) < chance[places]
        row, column = (side[keep] for side in np.nonzero(inside))
        first, second = codes[block.start + row], codes[block.start + column]
        kept.append((similarity[keep], first, second, 1.0 / chance[places[keep]]))

    similarity, first, second, weight = (np.concatenate(part) for part in zip(*kept, strict=True))
    order = np.argsort(-similarity, kind="stable")
    ordered = {place: -np.sort(-np.concatenate(found)) for place, found in exact.items()}
    thresholds = tuple(
        just_above(ordered[wanted[rank]][rank - (ends[wanted[rank]] - counts[wanted[rank]])])
        if rank < impostors
        else -np.inf
        for rank in ranks
    )
    return ImpostorTail(
        thresholds, similarity[order], first[order], second[order], weight[order], impostors
    )


def _bin(similarity: np.ndarray) -> np.ndarray:
    """Return the bin of each cosine; a larger cosine never has a larger bin."""
    return np.clip((1.0 - similarity) * (_BINS / 2), 0, _BINS - 1).astype(np.int64)
