"""Pairs made of embeddings: all of them, at once for small sets, block by block for larger ones."""

from __future__ import annotations

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.blocks import pair_counts, upper_blocks
from arcwise.evaluation.curve import Curve
from arcwise.evaluation.intervals import DRAWS
from arcwise.evaluation.sample import PairSample, kept_above
from arcwise.evaluation.tail import impostor_tail
from arcwise.evaluation.verification import Verification

_ALL_PAIRS = 2**25
_HIGHEST = 2**24  # impostor scores kept for thresholds, 64 MiB


def all_pairs(embeddings: np.ndarray, ids: inputs.Identities) -> tuple[np.ndarray, np.ndarray]:
    """Return (similarity, same) of every pair of a small set, each pair once.

    Args:
        embeddings: (N, D) embeddings; scaled to unit length here.
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
    parts = [(b.similarity[b.upper], b.same[b.upper]) for b in upper_blocks(unit, codes)]
    similarity, same = (np.concatenate(part) for part in zip(*parts, strict=True))
    return similarity, same


def verification_from_embeddings(
    embeddings: np.ndarray, ids: inputs.Identities, *, draws: int = DRAWS, seed: int = 0
) -> Verification:
    """Return the verification of all pairs, exact, without the N×N matrix.

    Accuracy is not measured: among all pairs nearly all are impostors, and saying "no" to
    everything would look excellent. Intervals draw identities; beyond 32768 impostor pairs the
    less similar ones enter them through a random sample, the values themselves never.

    Args:
        embeddings: (N, D) embeddings; scaled to unit length here.
        ids: (N,) identities.
        draws: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        ArcwiseError: no identity has two pictures, or there is only one identity; or bad input.
    """
    unit = inputs.embeddings("embeddings", embeddings)
    codes = inputs.codes("ids", ids, len(unit))
    pairs, impostors = pair_counts(codes)
    if not pairs or not impostors:
        raise ArcwiseError(
            f"{len(unit)} pictures make {pairs} mated and {impostors} impostor pairs, expected "
            "some of both: at least two identities, one of them with two pictures"
        )
    mated, owner = _mated(unit, codes)
    distinct, place, counts = np.unique(mated, return_inverse=True, return_counts=True)
    above = np.zeros(len(distinct), dtype=np.int64)
    at_or_above = np.zeros(len(distinct), dtype=np.int64)
    highest: list[np.ndarray] = []
    for block in upper_blocks(unit, codes):
        scores = np.sort(block.similarity[block.impostor])[::-1]
        block_above, block_at_or_above = kept_above(distinct, scores)
        above += block_above
        at_or_above += block_at_or_above
        highest.append(scores)
        if sum(map(len, highest)) > 2 * _HIGHEST:
            highest = [_highest(highest)]

    tail = impostor_tail(unit, codes, (1.0,), seed)
    before, upto = kept_above(distinct, tail.similarity)
    sizes = np.bincount(codes)
    return Verification(
        mated=mated,
        impostor=np.sort(_highest(highest))[::-1],
        impostors=impostors,
        curve=Curve(counts, above, at_or_above, impostors),
        folds=None,
        sample=PairSample(
            place, owner, before, upto, tail.first, tail.second, tail.weight,
            sizes, len(sizes), draws, seed,
        ),
    )  # fmt: skip


def _highest(parts: list[np.ndarray]) -> np.ndarray:
    """Return the highest scores, as many as are kept, in no order."""
    scores = np.concatenate(parts)
    if len(scores) <= _HIGHEST:
        return scores
    return np.partition(scores, len(scores) - _HIGHEST)[len(scores) - _HIGHEST :]


def _mated(unit: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mated scores (P,), ascending, and the identity of each (P,)."""
    scores, owners = [], []
    for block in upper_blocks(unit, codes):
        inside = block.mated
        scores.append(block.similarity[inside])
        owners.append(codes[block.start + np.nonzero(inside)[0]])
    mated, owner = np.concatenate(scores), np.concatenate(owners)
    order = np.argsort(mated, kind="stable")
    return mated[order], owner[order]
