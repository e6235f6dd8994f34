"""Reliability of stated probabilities by bins, and the expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.intervals import DRAWS, Rate, bootstrapped, multiplicities, wilson
from arcwise.evaluation.scored import Pairs, scored_pairs
from arcwise.evaluation.thresholds import RESOLVED_BY


@dataclass(frozen=True, eq=False)
class Reliability:
    """The reliability of stated probabilities; prints itself.

    Attributes:
        bins: for each filled bin the mean probability stated and the share that was right.
        error: expected calibration error (Guo et al., ICML 2017, equation 3): the mean of their
            difference, each bin weighing what its pairs do at the prior.
    """

    bins: tuple[tuple[float, Rate], ...]
    error: float

    def __str__(self) -> str:
        lines = [f"reliability: off by {self.error:.4f}", "  stated  right"]
        return "\n".join(lines + [f"  {s:.4f}  {rate}" for s, rate in self.bins if rate.resolved])


def reliability(
    probability: np.ndarray,
    same: np.ndarray,
    prior: float = 0.5,
    *,
    ids_a: inputs.Identities | None = None,
    ids_b: inputs.Identities | None = None,
    bins: int = 10,
    draws: int = DRAWS,
    seed: int = 0,
) -> Reliability:
    """Return the share of pairs of one identity by stated probability, and the calibration error.

    Args:
        probability: (N,) stated for each pair.
        same: (N,) bool, whether it was right.
        prior: that the probabilities were stated for; the pairs are weighted to have it.
        ids_a: (N,) identities of the pairs' first sides, for intervals from drawing identities;
            without them Wilson's, which takes pairs as independent.
        ids_b: (N,) identities of the second sides.
        bins: of equal width.
        draws: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        ArcwiseError: pairs of one kind only, a probability outside [0, 1], or bad input.
    """
    pairs = scored_pairs(probability, same, ids_a, ids_b)
    stated = pairs.similarity.astype(np.float64)
    if stated.min() < 0 or stated.max() > 1:
        raise ArcwiseError(
            f"probabilities go from {stated.min():g} to {stated.max():g}, expected 0 to 1: "
            "give ScoreMap.probability(similarity), not the similarity"
        )
    odds = checked_prior(prior)
    place = np.minimum((stated * bins).astype(np.int64), bins - 1)
    weight = _weights(pairs.same, odds, np.ones(len(stated)))
    mass, share = _shares(place, pairs.same, weight, bins)
    mean = np.bincount(place, weight * stated, minlength=bins) / np.where(mass > 0, mass, 1)
    filled = np.flatnonzero(np.bincount(place, minlength=bins))
    if pairs.identities is None:
        square = np.bincount(place, weight**2, minlength=bins)
        rates = {k: _independent(float(share[k]), mass[k] ** 2 / square[k]) for k in filled}
    else:
        drawn = _redrawn(pairs, place, odds, bins, draws, seed)
        count = len(pairs.identities.names)
        rates = {k: bootstrapped(float(share[k]), drawn[:, k], count) for k in filled}
    counts = np.bincount(place, minlength=bins)
    for k in filled:
        rates[k].resolved = bool(counts[k] >= RESOLVED_BY)
    error = float(mass[filled] @ np.abs(share - mean)[filled])
    return Reliability(tuple((float(mean[k]), rates[k]) for k in filled), error)


def checked_prior(value: float) -> float:
    """Return the prior as a number between 0 and 1.

    Raises:
        ArcwiseError: it is not above 0 and below 1.
    """
    prior = float(value)
    if not 0.0 < prior < 1.0:
        raise ArcwiseError(
            f"the prior is {value}, expected more than 0 and less than 1: the share of pairs that "
            "are of one identity where the probabilities are used"
        )
    return prior


def _weights(same: np.ndarray, odds: float, times: np.ndarray) -> np.ndarray:
    """Return (N,) weights of pairs that count so often, together 1, mated ones `odds` of it."""
    kind = same.astype(np.int64)
    totals = np.bincount(kind, times, minlength=2)
    return times * (np.array([1 - odds, odds]) / totals)[kind]


def _shares(
    place: np.ndarray, same: np.ndarray, weight: np.ndarray, bins: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return (B,) the weight in each bin, and (B,) the mated share of it; NaN where it is empty."""
    mass = np.bincount(place, weight, minlength=bins)
    right = np.bincount(place[same], weight[same], minlength=bins)
    return mass, right / np.where(mass > 0, mass, np.nan)


def _redrawn(
    pairs: Pairs, place: np.ndarray, odds: float, bins: int, draws: int, seed: int
) -> np.ndarray:
    """Return (T, B) the mated share of each bin when identities are drawn again."""
    shares = []
    count = 0 if pairs.identities is None else len(pairs.identities.names)
    for drawn in multiplicities(count, draws, seed):
        times = pairs.weight(drawn).astype(np.float64)
        if times[pairs.same].any() and times[~pairs.same].any():
            weight = _weights(pairs.same, odds, times)
            shares.append(_shares(place, pairs.same, weight, bins)[1])
    return np.array(shares).reshape(len(shares), bins)


def _independent(share: float, trials: float) -> Rate:
    """Return the share with Wilson's interval for an effective number of equal trials."""
    count = max(1, round(trials))
    return Rate(share, *wilson(share * count, count))
