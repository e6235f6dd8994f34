"""Open-set identification: a gallery searched by known and by unknown probes (ISO/IEC 19795-1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.intervals import (
    DRAWS,
    Rate,
    bootstrapped,
    mean_over_identities,
    multiplicities,
)
from arcwise.evaluation.mates import GalleryIndex, check_mated, find_mates
from arcwise.evaluation.thresholds import allowed, just_above, resolved, weighted_threshold

_BLOCK = 2**24  # scores in one block, 64 MiB

FpirConvention = Literal["conservative", "insightface"]
"""How the threshold of a false-positive rate is chosen among n unknown probes' best scores.

conservative: the lowest that at most a fraction f of them reach.
insightface: above the score at place max(int(n f) - 1, 0), the highest being 0: what its
`ijb_evals.py` (`evaluation_1N`) prints. It lets one probe fewer pass where n f is 1 or more. Its
older `ijb_1n.py` is neither: it counts all wrong scores of both galleries, not probes.
"""


@dataclass(frozen=True, eq=False, repr=False)
class Identification:
    """The result of identification; prints itself. Intervals are 95 %, from drawing identities.

    Attributes:
        rank_of_mate: (M,) rank of the right identity for each known probe, 1 is the best.
        score: (M,) the right identity's score.
        owner: (M,) int64, the probe's identity.
        unknown: (U,) best score of each probe whose identity is not in the gallery, descending.
        unknown_owner: (U,) int64, its identity.
        probe_identities: (O,) the probes' identities; the owners are rows of it.
        gallery: (I,) the identities in the gallery.
        draws: bootstrap samples.
        seed: of the bootstrap.
    """

    rank_of_mate: np.ndarray
    score: np.ndarray
    owner: np.ndarray
    unknown: np.ndarray
    unknown_owner: np.ndarray
    probe_identities: np.ndarray
    gallery: np.ndarray
    draws: int
    seed: int

    @property
    def identities(self) -> int:
        """Number of identities in the gallery."""
        return len(self.gallery)

    def rank(self, k: int) -> Rate:
        """Return the rank-k rate: how often a known probe has the right identity in the best k."""
        if k < 1:
            raise ArcwiseError(f"k is {k}, expected 1 or more")
        self._require_known_probes()
        hits = self.rank_of_mate <= k
        return mean_over_identities(hits, self.owner, draws=self.draws, seed=self.seed)

    def cmc(self, k: int) -> np.ndarray:
        """Return (k,) the rank-1 to rank-k rates, the cumulative match characteristic."""
        self._require_known_probes()
        counts = np.bincount(np.minimum(self.rank_of_mate, k + 1), minlength=k + 2)
        return np.cumsum(counts)[1 : k + 1] / len(self.rank_of_mate)

    def dir_at(self, fpir: float, convention: FpirConvention = "conservative") -> Rate:
        """Return the detection and identification rate (DIR) at a false-positive rate.

        A known probe counts where the right identity comes first and its score reaches the
        threshold at which at most a fraction `fpir` of the unknown probes gets any answer (ISO/IEC
        19795-1, there called 1 - FNIR at rank 1; also TPIR).
        """
        return self.dirs_at((fpir,), convention)[0]

    def dirs_at(
        self, fpirs: Sequence[float], convention: FpirConvention = "conservative"
    ) -> tuple[Rate, ...]:
        """Return `dir_at` for several rates in one pass over the draws."""
        values = self.detected(fpirs, convention)
        drawn = self.redrawn(self._times(), fpirs, convention)
        identities = len(np.unique(self.owner))
        return tuple(
            bootstrapped(value, drawn[:, column], identities, resolved(fpir, len(self.unknown)))
            for column, (value, fpir) in enumerate(zip(values, fpirs, strict=True))
        )

    def threshold_at(self, fpir: float, convention: FpirConvention = "conservative") -> float:
        """Return the threshold for a false-positive rate: at or above it a probe is answered."""
        if not len(self.unknown):
            raise ArcwiseError(
                "every probe's identity is in the gallery, expected some that are not: "
                "a false-positive rate is measured on probes that should get no answer"
            )
        budget = _budget(len(self.unknown), inputs.fraction("fpir", fpir), convention)
        return just_above(self.unknown[budget]) if budget < len(self.unknown) else -np.inf

    def dir_with(self, threshold: float) -> Rate:
        """Return the detection and identification rate at a given threshold."""
        self._require_known_probes()
        return mean_over_identities(
            self._hits(threshold), self.owner, draws=self.draws, seed=self.seed
        )

    def fpir_with(self, threshold: float) -> Rate:
        """Return the false-positive identification rate at a given threshold."""
        self.threshold_at(1.0)  # raises where there is no unknown probe
        return mean_over_identities(
            self.unknown >= threshold, self.unknown_owner, draws=self.draws, seed=self.seed
        )

    def detected(
        self, fpirs: Sequence[float], convention: FpirConvention = "conservative"
    ) -> list[float]:
        """Return the values of `dirs_at` without their intervals."""
        thresholds = [self.threshold_at(fpir, convention) for fpir in fpirs]
        self._require_known_probes()
        return [float(self._hits(threshold).mean()) for threshold in thresholds]

    def redrawn(
        self, times: Iterable[np.ndarray], fpirs: Sequence[float], convention: FpirConvention
    ) -> np.ndarray:
        """Return (T, F) the values of `dirs_at` for draws of identities.

        A draw without known or without unknown probes gives NaN.
        """
        rows = []
        for drawn in times:
            weight, unknown = drawn[self.owner], drawn[self.unknown_owner]
            if weight.any() and unknown.any():
                hits = [self._hits(self._drawn_threshold(unknown, f, convention)) for f in fpirs]
                rows.append([float(weight @ hit) / float(weight.sum()) for hit in hits])
            else:
                rows.append([np.nan] * len(fpirs))
        return np.array(rows).reshape(len(rows), len(fpirs))

    def _drawn_threshold(
        self, weight: np.ndarray, fpir: float, convention: FpirConvention
    ) -> float:
        """Return the threshold for unknown probes with these weights."""
        total = int(weight.sum())
        budget = _budget(total, fpir, convention)
        if budget >= total:
            return -np.inf
        return weighted_threshold(self.unknown, weight, budget / total, total)

    def _hits(self, threshold: float) -> np.ndarray:
        return (self.rank_of_mate == 1) & (self.score >= threshold)

    def _times(self) -> Iterator[np.ndarray]:
        return multiplicities(len(self.probe_identities), self.draws, self.seed)

    def _require_known_probes(self) -> None:
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
            for rate, detected in zip(rates, self.dirs_at(rates), strict=True):
                lines.append(f"  DIR@{rate:<7g} {detected}")
        return "\n".join(lines)

    __repr__ = __str__


def identification(
    similarity: np.ndarray,
    probe_ids: inputs.Identities,
    gallery_ids: inputs.Identities,
    *,
    mated: np.ndarray | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Identification:
    """Return how often known probes are identified in a gallery and unknown ones rejected.

    An identity's score is the best of its gallery entries, taken before ranking. Of equal scores
    the wrong identity comes first.

    Args:
        similarity: (P, G) scores of P probes with G gallery entries, higher is closer.
        probe_ids: (P,) identities; one that is not in the gallery is unknown.
        gallery_ids: (G,) identities, several entries of one identity allowed.
        mated: (P,) bool, which probes the protocol calls mated, to be checked; the identities
            decide alone where it is not given.
        draws: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        ArcwiseError: shapes differ, a score is not finite, or `mated` and the identities disagree.
    """
    scores = inputs.scores("similarity", similarity, 2)
    if not scores.size:
        raise ArcwiseError(f"similarity has shape {scores.shape}, expected a probe and an entry")
    ids = inputs.identities("probe_ids", probe_ids, len(scores))
    index = GalleryIndex.of(inputs.identities("gallery_ids", gallery_ids, scores.shape[1]))

    def block_of(rows: slice) -> np.ndarray:
        return scores[rows][:, index.order]

    return _measure(block_of, ids, index, mated, draws, seed)


def identification_from_embeddings(
    probes: np.ndarray,
    probe_ids: inputs.Identities,
    gallery: np.ndarray,
    gallery_ids: inputs.Identities,
    *,
    mated: np.ndarray | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Identification:
    """Return `identification` by cosine, a block of probes at a time: no (P, G) matrix.

    Args:
        probes: (P, D) embeddings, scaled to unit length.
        probe_ids: (P,) identities; one that is not in the gallery is unknown.
        gallery: (G, D) embeddings, scaled to unit length.
        gallery_ids: (G,) identities, several entries of one identity allowed.
        mated: (P,) bool, as in `identification`.
        draws: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        ArcwiseError: shapes differ, a value is not finite, or `mated` and the identities disagree.
    """
    queries = inputs.embeddings("probes", probes)
    entries = inputs.embeddings("gallery", gallery)
    if queries.shape[1] != entries.shape[1]:
        raise ArcwiseError(
            f"probes have {queries.shape[1]} dimensions and the gallery {entries.shape[1]}, "
            "expected the same: embed both with one model"
        )
    ids = inputs.identities("probe_ids", probe_ids, len(queries))
    index = GalleryIndex.of(inputs.identities("gallery_ids", gallery_ids, len(entries)))
    entries = entries[index.order]
    # One piece of memory for all blocks: fresh pages would cost as much as a tenth of the product.
    room = np.empty((_rows(len(entries), len(queries)), len(entries)), np.float32)

    def block_of(rows: slice) -> np.ndarray:
        block = queries[rows]
        return np.matmul(block, entries.T, out=room[: len(block)])

    return _measure(block_of, ids, index, mated, draws, seed)


def _measure(
    block_of: Callable[[slice], np.ndarray],
    ids: np.ndarray,
    index: GalleryIndex,
    mated: np.ndarray | None,
    draws: int,
    seed: int,
) -> Identification:
    """Return the identification of probes whose scores come in blocks."""
    place, known = index.places(ids)
    if mated is not None:
        check_mated(mated, known, ids)
    rows = _rows(len(index.order), len(ids))
    rank, mate, top = find_mates(block_of, place, index, rows)
    probe_identities, owner = np.unique(ids, return_inverse=True)
    falling = np.flatnonzero(~known)[np.argsort(-top[~known], kind="stable")]
    return Identification(
        rank_of_mate=rank[known],
        score=mate[known],
        owner=owner[known],
        unknown=top[falling],
        unknown_owner=owner[falling],
        probe_identities=probe_identities,
        gallery=index.names,
        draws=draws,
        seed=seed,
    )


def _rows(entries: int, probes: int) -> int:
    """Return how many probes make a block."""
    return min(probes, max(1, _BLOCK // entries))


def _budget(probes: int, fpir: float, convention: FpirConvention) -> int:
    """Return how many of so many unknown probes may be answered."""
    if convention == "conservative":
        return allowed(probes, fpir)
    if convention == "insightface":
        return max(int(probes * fpir) - 1, 0)
    raise ArcwiseError(f"convention is {convention!r}, expected 'conservative' or 'insightface'")
