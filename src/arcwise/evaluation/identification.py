"""Who is it, or nobody we know: a gallery searched by known and by unknown probes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.intervals import (
    DRAWS,
    Rate,
    bootstrapped,
    mean_over_identities,
    multiplicities,
    wilson,
)
from arcwise.evaluation.thresholds import resolved, threshold_at, weighted_threshold

_BLOCK = 2**22


@dataclass(frozen=True, eq=False, repr=False)
class Identification:
    """What identification measured; prints itself. Intervals are 95 %, from drawing identities.

    Attributes:
        rank_of_mate: (M,) position of the right identity for each known probe, 1 is the best.
        score: (M,) the right identity's score.
        owner: (M,) int64, the probe's identity.
        unknown: (U,) best score of each probe whose identity is not in the gallery, descending.
        unknown_owner: (U,) int64, its identity.
        identities: number of identities in the gallery.
        draws: bootstrap samples.
        seed: of the bootstrap.
    """

    rank_of_mate: np.ndarray
    score: np.ndarray
    owner: np.ndarray
    unknown: np.ndarray
    unknown_owner: np.ndarray
    identities: int
    draws: int
    seed: int

    def rank(self, k: int) -> Rate:
        """Return how often the right identity is among the best k (closed set: known probes)."""
        if k < 1:
            raise ArcwiseError(f"k is {k}, expected 1 or more: how many answers may be looked at")
        self._need_known()
        found = self.rank_of_mate <= k
        return mean_over_identities(found, self.owner, draws=self.draws, seed=self.seed)

    def cmc(self, k: int) -> np.ndarray:
        """Return (k,) the rank-1 to rank-k rates, the cumulative match characteristic."""
        self._need_known()
        counts = np.bincount(np.minimum(self.rank_of_mate, k + 1), minlength=k + 2)
        return np.cumsum(counts)[1 : k + 1] / len(self.rank_of_mate)

    def dir_at(self, fpir: float) -> Rate:
        """Return how often a known probe is answered rightly when few unknown ones are answered.

        Rightly: the right identity comes first and its score reaches the lowest threshold at
        which at most a fraction `fpir` of the unknown probes gets any answer (ISO/IEC 19795-1,
        there called 1 - FNIR at rank 1).
        """
        return self.dirs_at((fpir,))[0]

    def dirs_at(self, fpirs: Sequence[float]) -> tuple[Rate, ...]:
        """Return `dir_at` for several rates in one pass over the draws."""
        thresholds = [self.threshold_at(fpir) for fpir in fpirs]
        self._need_known()
        hits = [self._hits(threshold) for threshold in thresholds]
        drawn = np.array(list(self._redrawn(fpirs))).reshape(-1, len(fpirs))
        people = len(np.unique(self.owner))
        return tuple(
            bootstrapped(
                float(hit.mean()), drawn[:, column], people, resolved(fpir, len(self.unknown))
            )
            for column, (hit, fpir) in enumerate(zip(hits, fpirs, strict=True))
        )

    def threshold_at(self, fpir: float) -> float:
        """Return the lowest threshold that at most a fraction `fpir` of unknown probes reach."""
        if not len(self.unknown):
            raise ArcwiseError(
                "every probe's identity is in the gallery, expected some that are not: "
                "a false-positive rate is measured on probes that should get no answer"
            )
        return threshold_at(self.unknown, inputs.fraction("fpir", fpir))

    def dir_with(self, threshold: float) -> Rate:
        """Return how often a known probe is answered rightly at a threshold found elsewhere."""
        self._need_known()
        return mean_over_identities(
            self._hits(threshold), self.owner, draws=self.draws, seed=self.seed
        )

    def fpir_with(self, threshold: float) -> Rate:
        """Return how often an unknown probe is answered at a threshold found elsewhere."""
        self.threshold_at(1.0)  # says what is wrong when there is no unknown probe
        answered = int(np.count_nonzero(self.unknown >= threshold))
        return Rate(answered / len(self.unknown), *wilson(answered, len(self.unknown)))

    def _hits(self, threshold: float) -> np.ndarray:
        return (self.rank_of_mate == 1) & (self.score >= threshold)

    def _redrawn(self, fpirs: Sequence[float]) -> list[list[float]]:
        """Return one row of detection rates for each draw of the probes' identities."""
        people = int(max(self.owner.max(), self.unknown_owner.max())) + 1
        rows = []
        for times in multiplicities(people, self.draws, self.seed):
            known, unknown = times[self.owner], times[self.unknown_owner]
            if known.any() and unknown.any():
                total = float(unknown.sum())
                rows.append(
                    [
                        float(known @ self._hits(self._drawn_threshold(unknown, fpir, total)))
                        / float(known.sum())
                        for fpir in fpirs
                    ]
                )
        return rows

    def _drawn_threshold(self, weight: np.ndarray, fpir: float, total: float) -> float:
        if fpir >= 1:
            return -np.inf
        return weighted_threshold(self.unknown, weight, fpir, total)

    def _need_known(self) -> None:
        if not len(self.rank_of_mate):
            raise ArcwiseError(
                "no probe's identity is in the gallery, expected some that are: "
                "are the identities spelt the same way in both?"
            )

    def __str__(self) -> str:
        lines = [
            f"identification: {len(self.rank_of_mate)} known and {len(self.unknown)} unknown "
            f"probes, {self.identities} identities in the gallery"
        ]
        if len(self.rank_of_mate):
            lines += [f"  rank-1      {self.rank(1)}", f"  rank-5      {self.rank(5)}"]
        if len(self.rank_of_mate) and len(self.unknown):
            rates = [rate for rate in (1e-1, 1e-2, 1e-3) if resolved(rate, len(self.unknown))]
            for rate, found in zip(rates, self.dirs_at(rates), strict=True):
                lines.append(f"  DIR@{rate:<7g} {found}")
        return "\n".join(lines)

    __repr__ = __str__


def identification(
    similarity: np.ndarray,
    probe_ids: inputs.Identities,
    gallery_ids: inputs.Identities,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Identification:
    """Return how well probes find their identity in a gallery, and unknown ones find none.

    An identity's score is the best of its gallery entries, taken before ranking. Of equal scores
    the wrong identity comes first.

    Args:
        similarity: (P, G) scores of P probes with G gallery entries, higher is closer.
        probe_ids: (P,) identities; one that is not in the gallery is unknown.
        gallery_ids: (G,) identities, several entries of one identity allowed.
        draws: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        ArcwiseError: shapes differ or a score is not finite.
    """
    scores = inputs.scores("similarity", similarity, 2)
    probes, entries = scores.shape
    if not probes or not entries:
        raise ArcwiseError(f"similarity has shape {scores.shape}, expected a probe and an entry")
    asked = inputs.identities("probe_ids", probe_ids, probes)
    held = inputs.identities("gallery_ids", gallery_ids, entries)
    names, code = np.unique(held, return_inverse=True)
    place = np.minimum(np.searchsorted(names, asked), len(names) - 1)
    known = names[place] == asked

    order = np.argsort(code, kind="stable")
    starts = np.searchsorted(code[order], np.arange(len(names)))
    mate, top = np.empty(probes, scores.dtype), np.empty(probes, scores.dtype)
    rank = np.empty(probes, dtype=np.int64)
    rows = max(1, _BLOCK // entries)
    for start in range(0, probes, rows):
        block = slice(start, start + rows)
        best = np.maximum.reduceat(scores[block][:, order], starts, axis=1)
        mate[block] = best[np.arange(len(best)), place[block]]
        top[block] = best.max(axis=1)
        # The right identity itself is one of those at or above its own score.
        rank[block] = (best >= mate[block, None]).sum(axis=1)

    owner = inputs.codes("probe_ids", asked, probes)
    falling = np.flatnonzero(~known)[np.argsort(-top[~known], kind="stable")]
    return Identification(
        rank_of_mate=rank[known],
        score=mate[known],
        owner=owner[known],
        unknown=top[falling],
        unknown_owner=owner[falling],
        identities=len(names),
        draws=draws,
        seed=seed,
    )
