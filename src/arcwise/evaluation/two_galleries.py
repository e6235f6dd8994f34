"""The mean of one set of probes searched in two disjoint galleries: the 1:N protocol of IJB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation.identification import FpirConvention, Identification
from arcwise.evaluation.intervals import Rate, bootstrapped, multiplicities
from arcwise.evaluation.thresholds import resolved

Mean = Literal["average", "insightface"]
"""How the ranks in two galleries become one rate.

average: the mean of the two galleries' rates, as for the detection rates.
insightface: the right answers of both over the known probes of both, as its `ijb_evals.py` prints;
another number where the galleries know unequally many probes.
"""


@dataclass(frozen=True, eq=False, repr=False)
class TwoGalleries:
    """The mean over two galleries; prints itself. Intervals are 95 %, from drawing identities.

    An identity is drawn for both galleries at once: the probes that one gallery knows are unknown
    to the other.

    Attributes:
        first: the probes in the first gallery.
        second: the same probes in the second.
    """

    first: Identification
    second: Identification

    def rank(self, k: int, mean: Mean = "average") -> Rate:
        """Return the rank-k rate: how often a known probe has the right identity in the best k."""
        value = float(self._mean([part.rank(k) for part in self._parts], mean))
        drawn = []
        for times in self._times():
            weights = [times[part.owner].astype(float) for part in self._parts]
            totals = [float(weight.sum()) for weight in weights]
            if all(totals):
                rates = [
                    float(weight @ (part.rank_of_mate <= k)) / total
                    for weight, total, part in zip(weights, totals, self._parts, strict=True)
                ]
                drawn.append(float(self._mean(rates, mean, totals)))
        return bootstrapped(value, drawn, len(self.first.probe_identities))

    def cmc(self, k: int, mean: Mean = "average") -> np.ndarray:
        """Return (k,) the rank-1 to rank-k rates, the cumulative match characteristic."""
        return self._mean([part.cmc(k) for part in self._parts], mean)

    def dir_at(self, fpir: float, convention: FpirConvention = "conservative") -> Rate:
        """Return the mean of both `dir_at`, each at the threshold of its own unknown probes."""
        return self.dirs_at((fpir,), convention)[0]

    def dirs_at(
        self, fpirs: Sequence[float], convention: FpirConvention = "conservative"
    ) -> tuple[Rate, ...]:
        """Return `dir_at` for several rates in one pass over the draws."""
        values = np.mean([part.detected(fpirs, convention) for part in self._parts], axis=0)
        drawn = np.mean(
            [part.redrawn(self._times(), fpirs, convention) for part in self._parts], axis=0
        )
        unknown = min(len(part.unknown) for part in self._parts)
        identities = len(self.first.probe_identities)
        return tuple(
            bootstrapped(float(value), drawn[:, i], identities, resolved(fpir, unknown))
            for i, (value, fpir) in enumerate(zip(values, fpirs, strict=True))
        )

    @property
    def _parts(self) -> tuple[Identification, Identification]:
        return self.first, self.second

    def _times(self) -> Iterator[np.ndarray]:
        """Yield how often each identity was drawn, for both galleries."""
        return multiplicities(len(self.first.probe_identities), self.first.draws, self.first.seed)

    def _mean(
        self,
        values: Sequence[float] | Sequence[np.ndarray],
        mean: Mean,
        probes: Sequence[float] | None = None,
    ) -> np.ndarray:
        """Return the mean of both values, for one convention weighted by the known `probes`."""
        if mean == "average":
            return np.asarray(np.mean(values, axis=0))
        if mean == "insightface":
            counts = probes or [len(part.rank_of_mate) for part in self._parts]
            return np.asarray(np.average(values, axis=0, weights=counts))
        raise ArcwiseError(f"mean is {mean!r}, expected 'average' or 'insightface'")

    def __str__(self) -> str:
        lines = [
            "identification, the mean of two galleries: "
            + " and ".join(
                f"{len(part.rank_of_mate)} known and {len(part.unknown)} unknown probes in "
                f"{part.identities} identities"
                for part in self._parts
            ),
            f"  rank-1      {self.rank(1)}",
            f"  rank-5      {self.rank(5)}",
        ]
        fewest = min(len(part.unknown) for part in self._parts)
        rates = [rate for rate in (1e-1, 1e-2, 1e-3) if resolved(rate, fewest)]
        if rates:
            for rate, detected in zip(rates, self.dirs_at(rates), strict=True):
                lines.append(f"  DIR@{rate:<7g} {detected}")
        return "\n".join(lines)

    __repr__ = __str__


def two_galleries(first: Identification, second: Identification) -> TwoGalleries:
    """Return the mean of one probe set's identification in two disjoint galleries (IJB-B, IJB-C).

    The false-positive rate of each gallery is one of probes: those whose identity only the other
    gallery has, or neither. Draws and seed of the intervals are the first's.

    Raises:
        ArcwiseError: the galleries share an identity, or were searched with different probes.
    """
    shared = np.intersect1d(first.gallery, second.gallery)
    if len(shared):
        raise ArcwiseError(
            f"identity {shared[0]} is in both galleries ({len(shared)} such in all), expected "
            "disjoint ones: an identity unknown to one may only be in the other"
        )
    if _probes(first) != _probes(second):
        raise ArcwiseError(
            "the galleries were searched with different probes, expected the same in both: each "
            "one's unknown probes are those that the other may know"
        )
    return TwoGalleries(first, second)


def _probes(result: Identification) -> list[tuple[str, int]]:
    """Return how many probes each identity has."""
    owners = np.concatenate([result.owner, result.unknown_owner])
    counts = np.bincount(owners, minlength=len(result.probe_identities))
    return list(zip(map(str, result.probe_identities), counts.tolist(), strict=True))
