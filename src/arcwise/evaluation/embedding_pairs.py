"""Cosines of pairs of embeddings: listed pairs, or all of them without the N×N matrix."""

from __future__ import annotations

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.impostor_sample import ImpostorSampler, bin_of, pair_histogram
from arcwise.evaluation.intervals import DRAWS
from arcwise.evaluation.roc import Curve, counts_above, pair_sample
from arcwise.evaluation.similarity_matrix import pair_counts, sorted_by_identity, sorted_pair_rows
from arcwise.evaluation.verification import Verification

_ALL_PAIRS = 2**25
_HIGHEST = 2**24  # impostor scores kept for thresholds, 64 MiB
_BLOCK = 2**22  # similarities in one product, 16 MiB
_GATHERED = 2**21  # floats in one block of gathered rows, 8 MiB
_CHEAPER = 32  # so many products of a block cost what one gathered pair costs


def pair_similarity(embeddings: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the (P,) float32 cosines of listed pairs; memory is bounded whatever P.

    Where the pairs are many among few rows, as in IJB-C's 15.7 million among 23 124 templates,
    blocks of the whole product are cheaper than gathering two rows for each pair.

    Args:
        embeddings: (N, D) embeddings, scaled to unit length.
        first: (P,) row of one side.
        second: (P,) row of the other side.

    Raises:
        ArcwiseError: the sides differ in length, or name a row that does not exist.
    """
    unit = inputs.embeddings("embeddings", embeddings)
    sides = [_rows(name, rows, len(unit)) for name, rows in (("first", first), ("second", second))]
    if len(sides[0]) != len(sides[1]):
        raise ArcwiseError(
            f"first has {len(sides[0])} rows and second {len(sides[1])}, expected as many of both"
        )
    low, high = np.minimum(*sides), np.maximum(*sides)
    if len(low) * _CHEAPER > len(unit) ** 2 / 2:
        return _products(unit, low, high)
    similarity = np.empty(len(low), dtype=np.float32)
    step = max(1, _GATHERED // unit.shape[1])
    for start in range(0, len(low), step):
        block = slice(start, start + step)
        np.einsum("pd,pd->p", unit[low[block]], unit[high[block]], out=similarity[block])
    return similarity


def _rows(name: str, rows: np.ndarray, count: int) -> np.ndarray:
    """Return (P,) row numbers; raise where one is not a row of the embeddings."""
    array = np.asarray(rows)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ArcwiseError(
            f"{name} is {array.dtype} of shape {array.shape}, expected a flat list of row numbers"
        )
    if len(array) and not 0 <= array.min() <= array.max() < count:
        wrong = np.flatnonzero((array < 0) | (array >= count))[0]
        raise ArcwiseError(
            f"{name}[{wrong}] is {array[wrong]}, expected 0 to {count - 1}: a row of the embeddings"
        )
    return array


def _products(unit: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the cosines of pairs low <= high from the upper triangle, some rows at a time."""
    rows = max(1, _BLOCK // len(unit))
    # As 16-bit numbers they are sorted by counting, many times faster than by comparing.
    block = (low // rows).astype(np.uint16 if len(unit) // rows < 2**16 else np.int64)
    order = np.argsort(block, kind="stable")
    ends = np.cumsum(np.bincount(block, minlength=1))
    similarity = np.empty(len(low), dtype=np.float32)
    for number, end in enumerate(ends):
        taken = order[ends[number - 1] if number else 0 : end]
        start = number * rows
        product = unit[start : start + rows] @ unit[start:].T
        similarity[taken] = product[low[taken] - start, high[taken] - start]
    return similarity


def all_pairs(embeddings: np.ndarray, ids: inputs.Identities) -> tuple[np.ndarray, np.ndarray]:
    """Return (similarity, same) of every pair of a small set, each pair once.

    Args:
        embeddings: (N, D) embeddings, scaled to unit length.
        ids: (N,) identities.

    Returns:
        (P,) float32 cosines and (P,) bool, P = N(N-1)/2, in the order of `np.triu_indices(N, 1)`.

    Raises:
        ArcwiseError: more than about 8000 embeddings; use `verification_from_embeddings`.
    """
    unit = inputs.embeddings("embeddings", embeddings)
    codes = inputs.codes("ids", ids, len(unit))
    if sum(pair_counts(codes)) > _ALL_PAIRS:
        raise ArcwiseError(
            f"{len(unit)} embeddings make {sum(pair_counts(codes))} pairs, expected at most "
            f"{_ALL_PAIRS}: verification_from_embeddings measures them without storing them"
        )
    upper = np.triu(np.ones((len(unit), len(unit)), dtype=bool), 1)
    return (unit @ unit.T)[upper], (codes[:, None] == codes)[upper]


def verification_from_embeddings(
    embeddings: np.ndarray, ids: inputs.Identities, *, draws: int = DRAWS, seed: int = 0
) -> Verification:
    """Return the verification of all pairs, exact, without the N×N matrix.

    Accuracy is not measured: among all pairs nearly all are impostors, and a
    system that rejects everything would look excellent. Intervals draw identities. Beyond 32768
    impostor pairs the less similar ones enter the intervals, not the values, through a random
    sample.

    Args:
        embeddings: (N, D) embeddings, scaled to unit length.
        ids: (N,) identities.
        draws: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        ArcwiseError: no identity has two images, or there is only one identity; or bad input.
    """
    unit = inputs.embeddings("embeddings", embeddings)
    unit, codes = sorted_by_identity(unit, inputs.codes("ids", ids, len(unit)))
    pairs, impostors = pair_counts(codes)
    if not pairs or not impostors:
        raise ArcwiseError(
            f"{len(unit)} images make {pairs} mated and {impostors} impostor pairs, expected "
            "some of both: at least two identities, one of them with two images"
        )
    # The first pass counts impostors in fine bins; only those that share a bin with a mated score
    # have to be compared with it, in the second.
    histogram = pair_histogram(unit, codes)
    order = np.argsort(histogram.mated, kind="stable")
    mated, owner = histogram.mated[order], histogram.owner[order]
    distinct, counts = np.unique(mated, return_counts=True)
    place = bin_of(distinct)
    shared = np.zeros(len(histogram.counts), dtype=bool)
    shared[place] = True
    above = at_or_above = np.cumsum(np.where(shared, 0, histogram.counts))[place]
    kept = np.searchsorted(np.cumsum(histogram.counts), _HIGHEST)

    sampler, highest = ImpostorSampler(histogram.stratum_edges(), seed), []
    for rows in sorted_pair_rows(unit, codes):
        sampler.add(rows, codes)
        similarity = rows.impostor.ravel()
        in_bin = bin_of(similarity)
        finite = similarity > -np.inf
        highest.append(similarity[(in_bin < kept) & finite])
        close_above, close_at_or_above = counts_above(
            distinct, np.sort(similarity[shared[in_bin] & finite])[::-1]
        )
        above, at_or_above = above + close_above, at_or_above + close_at_or_above

    sizes = np.bincount(codes)
    return Verification(
        mated=mated,
        impostor=np.sort(np.concatenate(highest))[::-1],
        impostors=impostors,
        curve=Curve(counts, above, at_or_above, impostors),
        folds=None,
        draws=draws,
        seed=seed,
        sample=pair_sample(mated, owner, sampler.sample(), len(sizes), draws, seed, sizes),
    )
