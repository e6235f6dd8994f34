"""How similar embeddings of different identities are, and the threshold that follows from it.

Among N embeddings each is compared with N - 1, so that a threshold which accepts one impostor pair
in a thousand gives each of a million embeddings a thousand wrong neighbours. A threshold is
therefore set by the impostors that an embedding has above it, among all it is compared with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from arcwise.evaluation import Threshold

FEWEST = 50
"""Embeddings from which on the distribution is found from their own pairs."""

_SAMPLE = 2000
_LOWER = 0.1  # quantile: below the median hardly a pair is of one identity
_LARGEST_FAR = 0.1  # of a calibration: what counts is its strict end


@dataclass(frozen=True)
class Impostors:
    """The similarity of two different identities, normal as far as its upper end goes.

    Attributes:
        mean: of the cosine.
        deviation: standard deviation, above 0.
        reason: where both come from, for people.
    """

    mean: float
    deviation: float
    reason: str

    def threshold(self, expected: float, count: int) -> float:
        """Return the similarity above which an embedding has so many impostors, on average.

        Args:
            expected: impostors of one embedding.
            count: embeddings, N: each is compared with N - 1.
        """
        far = min(0.5, expected / max(1, count - 1))
        return self.mean + self.deviation * float(scipy.special.ndtri(1 - far))

    def expected(self, similarity: np.ndarray, count: int) -> np.ndarray:
        """Return how many impostors an embedding has at such a similarity or above.

        Args:
            similarity: cosines, of any shape.
            count: embeddings, N.
        """
        above = scipy.special.ndtr(-(np.asarray(similarity) - self.mean) / self.deviation)
        return (count - 1) * above


def impostors_of_pairs(unit: np.ndarray, seed: int = 0) -> Impostors:
    """Return the distribution found from the pairs of the embeddings themselves.

    Nearly all pairs of a set with many identities are impostors. Pairs of one identity lie in the
    upper half, so that the median and the quantile below it are those of impostors.

    Args:
        unit: (N, D) float32 unit rows.
        seed: of the sample of pairs.
    """
    count, dim = unit.shape
    if count >= FEWEST:
        draw = np.random.default_rng(seed)
        first, second = (draw.permutation(count)[:_SAMPLE] for _ in range(2))
        similarity = (unit[first] @ unit[second].T)[first[:, None] != second]
        lower, median = np.quantile(similarity, [_LOWER, 0.5]).astype(float)
        deviation = (median - lower) / -float(scipy.special.ndtri(_LOWER))
        if deviation > 1e-3:
            return Impostors(
                median, deviation,
                f"found from the data: {len(similarity):,} pairs have a median similarity of "
                f"{median:.3f}, those below it a standard deviation of {deviation:.3f}",
            )  # fmt: skip
        why = "their pairs are all alike"
    else:
        why = f"there are fewer than {FEWEST} embeddings"
    reason = f"that of random directions in {dim} dimensions, as {why}"
    return Impostors(0.0, dim**-0.5, reason)


def impostors_of_calibration(thresholds: Sequence[Threshold]) -> Impostors | None:
    """Return the distribution that a model's thresholds for stated false-accept rates lie on.

    The thresholds are a line over the normal quantiles of their rates. It is fitted by least
    squares to those that were resolved, and followed to rates that no calibration measures.

    Args:
        thresholds: of the model.

    Returns:
        The distribution; None where fewer than two thresholds are resolved.
    """
    used = [one for one in thresholds if one.resolved and one.far <= _LARGEST_FAR]
    if len({one.far for one in used}) < 2:
        return None
    quantile = scipy.special.ndtri(1 - np.array([one.far for one in used]))
    deviation, mean = np.polyfit(quantile, [one.threshold for one in used], 1)
    if deviation <= 1e-3:
        return None
    strictest = min(one.far for one in used)
    return Impostors(
        float(mean), float(deviation),
        f"from the model's calibration on {used[0].identities:,} identities: {len(used)} "
        f"thresholds down to FAR {strictest:g}, followed as a normal distribution",
    )  # fmt: skip
