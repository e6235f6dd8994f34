"""Accuracy of yes/no decisions, the threshold of each fold chosen on the other folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs


@dataclass(frozen=True)
class Folds:
    """What each fold measured.

    Attributes:
        names: (F,) the folds' labels, in their order.
        accuracy: (F,) fraction of the fold's pairs decided rightly.
        threshold: (F,) chosen on the other folds; accepted means at or above.
        correct: (N,) bool, every pair decided with its own fold's threshold.
    """

    names: np.ndarray
    accuracy: np.ndarray
    threshold: np.ndarray
    correct: np.ndarray


def cross_validate(
    similarity: np.ndarray, same: np.ndarray, folds: int | Sequence[int] | np.ndarray
) -> Folds:
    """Return the accuracy of each fold (the LFW protocol, Huang et al., UMass TR 07-49).

    Every threshold between two neighbouring scores of the other folds is tried, which is exact
    where a grid of thresholds is not. Of several best ones the middle one is taken.

    Args:
        similarity: (N,) scores.
        same: (N,) bool.
        folds: number of contiguous folds, or (N,) fold labels.
    """
    names, member = _membership(folds, len(similarity))
    order = np.argsort(similarity, kind="stable")
    scores, truth, fold_of = similarity[order].astype(np.float64), same[order], member[order]
    thresholds = np.array([_best(scores[fold_of != f], truth[fold_of != f]) for f in names])
    position = np.searchsorted(names, member)
    correct = (similarity >= thresholds[position]) == same
    sizes = np.bincount(position)
    return Folds(names, np.bincount(position, weights=correct) / sizes, thresholds, correct)


def _membership(
    folds: int | Sequence[int] | np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted fold names (F,) and the fold of every pair (N,)."""
    if isinstance(folds, (int, np.integer)):
        if not 2 <= folds <= count:
            raise ArcwiseError(
                f"folds is {folds} for {count} pairs, expected 2 to {count}; "
                "give folds=None to measure without accuracy"
            )
        sizes = [len(part) for part in np.array_split(np.arange(count), folds)]
        member = np.repeat(np.arange(folds), sizes)
    else:
        member = inputs.identities("folds", folds, count)
    names = np.unique(member)
    if len(names) < 2:
        raise ArcwiseError(
            "folds holds one label, expected at least two: "
            "each fold's threshold is chosen on the other folds"
        )
    return names, member


def _best(scores: np.ndarray, truth: np.ndarray) -> float:
    """Return the threshold, midway between two of the ascending scores, with fewest errors."""
    cuts = np.flatnonzero(np.diff(scores) > 0) + 1
    cuts = np.concatenate([[0], cuts, [len(scores)]])  # accept all, between, accept none
    mated_before = np.concatenate([[0], np.cumsum(truth)])[cuts]
    right = (cuts - mated_before) + (truth.sum() - mated_before)
    best = np.flatnonzero(right == right.max())
    cut = cuts[best[(len(best) - 1) // 2]]
    if cut == 0:
        return -np.inf
    if cut == len(scores):
        return np.inf
    low, high = scores[cut - 1], scores[cut]
    middle = low + (high - low) / 2
    return float(middle if middle > low else high)
