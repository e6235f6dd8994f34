"""Scored pairs, checked: the input of verification."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs


@dataclass(frozen=True)
class PairIdentities:
    """The identities of both sides of N pairs.

    Attributes:
        names: (I,) the identities, ascending.
        first: (N,) int64 place among them of each pair's first side.
        second: (N,) int64 place of the second side.
    """

    names: np.ndarray
    first: np.ndarray
    second: np.ndarray


@dataclass(frozen=True)
class Pairs:
    """Scored pairs in the order they were given.

    Attributes:
        similarity: (N,) finite scores, higher is closer.
        same: (N,) bool, some of both kinds.
        identities: of both sides; None where they are unknown.
    """

    similarity: np.ndarray
    same: np.ndarray
    identities: PairIdentities | None

    def weight(self, times: np.ndarray) -> np.ndarray:
        """Return (N,) how often each pair counts when identities (I,) count so many times."""
        if self.identities is None:
            raise ArcwiseError("the pairs' identities are unknown, expected ids_a and ids_b")
        first, second = times[self.identities.first], times[self.identities.second]
        return np.where(self.same, first, first * second)


def scored_pairs(
    similarity: np.ndarray,
    same: np.ndarray,
    ids_a: inputs.Identities | None = None,
    ids_b: inputs.Identities | None = None,
) -> Pairs:
    """Return checked pairs.

    Raises:
        ArcwiseError: lengths differ, a score is not finite, all pairs are of one kind, or the
            identities contradict `same`.
    """
    scores = inputs.scores("similarity", similarity, 1)
    truth = _checked_same(same, len(scores))
    if (ids_a is None) != (ids_b is None):
        raise ArcwiseError("one of ids_a and ids_b is missing, expected both or neither")
    if ids_a is None or ids_b is None:
        return Pairs(scores, truth, None)
    return Pairs(scores, truth, _pair_identities(ids_a, ids_b, truth))


def _checked_same(same: np.ndarray, count: int) -> np.ndarray:
    """Return `same` as (N,) bool; raise where all pairs are of one kind."""
    truth = np.asarray(same)
    if truth.shape != (count,):
        raise ArcwiseError(f"same has shape {truth.shape}, expected ({count},): one for each score")
    if truth.dtype != bool:
        if truth.dtype.kind not in "iuf" or not np.isin(truth, (0, 1)).all():
            raise ArcwiseError("same holds other values than 0 and 1, expected truth values")
        truth = truth.astype(bool)
    mated = int(truth.sum())
    if mated in (0, count):
        raise ArcwiseError(
            f"{mated} mated and {count - mated} impostor pairs, expected some of both: "
            "a rate of errors needs pairs that can go wrong either way"
        )
    return truth


def _pair_identities(
    ids_a: inputs.Identities, ids_b: inputs.Identities, truth: np.ndarray
) -> PairIdentities:
    """Return the identities of both sides; raise where they contradict `same`."""
    count = len(truth)
    sides = [inputs.identities("ids_a", ids_a, count), inputs.identities("ids_b", ids_b, count)]
    names, joint = inputs.numbered(np.concatenate(sides))
    first, second = joint[:count], joint[count:]
    wrong = np.flatnonzero((first == second) != truth)
    if len(wrong):
        raise ArcwiseError(
            f"pair {wrong[0]} has identities {sides[0][wrong[0]]!s} and {sides[1][wrong[0]]!s} and "
            f"same={bool(truth[wrong[0]])}, expected them to agree ({len(wrong)} such pairs)"
        )
    return PairIdentities(names, first, second)
