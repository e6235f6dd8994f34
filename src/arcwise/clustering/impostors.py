"""How unusual a similarity is between different identities, and the limits that follow from it.

The same cosine says much between two adults and little between two children, whom a network finds
alike. Each embedding therefore has its own distribution of impostors, from its similarities to a
sample of the others: median μ and standard deviation σ, of the upper half. The score of a pair is

    z_ij = ½ (s_ij - μ_i) / σ_i + ½ (s_ij - μ_j) / σ_j,

the symmetric normalisation (s-norm) of speaker verification (Kenny, Odyssey 2010).

Among N embeddings each is compared with N - 1, so that a limit which accepts one impostor pair in a
thousand gives each of a million embeddings a thousand wrong neighbours. A limit is therefore set by
the impostors that an embedding has above it, among all that it is compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import scipy

from arcwise.evaluation import Threshold

FEWEST = 50
"""Embeddings from which on the distributions are found from their own pairs."""

ENOUGH = 30
"""Identities that a calibration has to rest on, where the embeddings have limits of their own."""

_SAMPLE = 1000  # embeddings that each one is compared with
_BLOCK = 2**13
_TAIL = 0.1  # of the pairs of an embedding, beyond the quantiles that σ is taken from
_LARGEST_RATIO = 2.0  # of the upper σ to the lower; above it a tenth of the pairs are mated
_LARGEST_FAR = 0.05
_LEAST_SPREAD = 1e-3


@dataclass(frozen=True, eq=False)
class Impostors:
    """The distribution of impostor similarities of each of N embeddings.

    Attributes:
        centre: (N,) float32 medians, μ.
        spread: (N,) float32 standard deviations, σ, above 0.
        reason: where limits come from, for people.
        note: what is uncertain about that; empty for nothing.
        calibration: the thresholds of a model that limits are read from, by rising threshold;
            without any, impostors are taken to be normal.
    """

    centre: np.ndarray
    spread: np.ndarray
    reason: str
    note: str = ""
    calibration: tuple[Threshold, ...] = ()

    def score(self, first: np.ndarray, second: np.ndarray, similarity: np.ndarray) -> np.ndarray:
        """Return (E,) normalised similarities of pairs.

        Args:
            first: (E,) rows.
            second: (E,) rows.
            similarity: (E,) cosines.
        """
        one = (similarity - self.centre[first]) / self.spread[first]
        other = (similarity - self.centre[second]) / self.spread[second]
        return (one + other) / 2

    def limit(self, expected: float) -> float:
        """Return the score above which an embedding has so many impostors, on average.

        With a calibration it is the score, of a typical embedding, of the threshold that accepts so
        many. Thresholds are interpolated over the normal quantiles of their rates, and followed
        beyond the strictest along the line through the last two.
        """
        far = min(_LARGEST_FAR, expected / max(1, len(self.centre) - 1))
        quantile = float(scipy.special.ndtri(1 - far))
        if not self.calibration:
            return quantile
        known = scipy.special.ndtri(1 - np.array([one.far for one in self.calibration]))
        threshold = np.array([one.threshold for one in self.calibration])
        place = int(np.clip(np.searchsorted(known, quantile), 1, len(known) - 1))
        slope = (threshold[place] - threshold[place - 1]) / (known[place] - known[place - 1])
        cosine = threshold[place] + slope * (quantile - known[place])
        return self.score_of(float(cosine))

    def score_of(self, cosine: float) -> float:
        """Return the score of two typical embeddings of this similarity."""
        return float((cosine - np.median(self.centre)) / np.median(self.spread))

    def cosine(self, score: float) -> float:
        """Return the similarity that two typical embeddings of this score have."""
        return float(np.median(self.centre) + np.median(self.spread) * score)


def impostors_of(
    unit: np.ndarray, thresholds: Sequence[Threshold] = (), seed: int = 0
) -> Impostors:
    """Return the impostor distributions of embeddings, found from their own pairs without labels.

    That takes most pairs to be of different identities. Of fewer than 50 embeddings, or where all
    are alike, the distribution is that of random directions. Limits are read from a calibration on
    30 identities or more, and of fewer than 50 embeddings from any: docs/clustering.md says why.

    Args:
        unit: (N, D) float32 unit rows.
        thresholds: of the model, at stated false-accept rates. Of these, two that are resolved or
            more are a calibration.
        seed: of the sample that the embeddings are compared with.
    """
    by_rate = {one.far: one for one in thresholds if one.resolved}
    used = tuple(by_rate[far] for far in sorted(by_rate, reverse=True))
    rising = all(a.threshold < b.threshold for a, b in pairwise(used))
    used = used if len(used) > 1 and rising else ()
    count, dim = unit.shape
    note = ""
    if used and used[-1].identities < ENOUGH and count >= FEWEST:
        note = (
            f"the model's calibration rests on {used[-1].identities:,} identities, fewer than "
            f"{ENOUGH}, and is left out: limits are found from the embeddings"
        )
        used = ()
    centre, spread = np.zeros(count, np.float32), np.full(count, dim**-0.5, np.float32)
    origin = f"random directions in {dim} dimensions, as there are fewer than {FEWEST} embeddings"
    if count < FEWEST and not used:
        note = (
            f"fewer than {FEWEST} embeddings do not say what is similar by chance, and without a "
            "calibrated model most of them become one cluster; name such a model, or a threshold"
        )
    if count >= FEWEST:
        found = _of_pairs(unit, seed)
        origin = "their pairs being all alike, random directions"
        if np.median(found[1]) > _LEAST_SPREAD:
            centre, spread = found
            origin = (
                f"the embeddings' own pairs: median similarity {np.median(centre):.3f}, standard "
                f"deviation {np.median(spread):.3f}"
            )
    reason = f"{origin}; those of different identities are taken to be normally distributed"
    if used:
        reason = (
            f"the model's calibration on {used[-1].identities:,} identities: {len(used)} thresholds"
            f" down to FAR {used[-1].far:g}; normalised by {origin}"
        )
    return Impostors(centre, np.maximum(spread, _LEAST_SPREAD), reason, note, used)


def _of_pairs(unit: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (N,) medians and (N,) standard deviations of the similarities of each embedding."""
    drawn = np.sort(np.random.default_rng(seed).permutation(len(unit))[:_SAMPLE])
    sample, parts = unit[drawn].T.copy(), []
    for start in range(0, len(unit), _BLOCK):
        similarity = unit[start : start + _BLOCK] @ sample
        own = np.flatnonzero((drawn >= start) & (drawn < start + _BLOCK))
        similarity[drawn[own] - start, own] = similarity[drawn[own] - start, -1]  # not with itself
        similarity = similarity[:, :-1]
        parts.append(np.quantile(similarity, [_TAIL, 0.5, 1 - _TAIL], axis=1))
    low, median, high = np.concatenate(parts, axis=1).astype(np.float32)
    deviations = -float(scipy.special.ndtri(_TAIL))
    return median, np.minimum(high - median, _LARGEST_RATIO * (median - low)) / deviations
