"""The mate of each probe in a gallery: its score, its rank among the identities, the best score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from arcwise.errors import ArcwiseError


@dataclass(frozen=True)
class GalleryIndex:
    """A gallery's entries in the order of their identities, I in G entries.

    Attributes:
        names: (I,) the identities, sorted.
        order: (G,) int64, the entries identity by identity.
        starts: (I,) int64, where each identity begins in that order.
    """

    names: np.ndarray
    order: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, gallery_ids: np.ndarray) -> GalleryIndex:
        """Return the index of (G,) identities."""
        names, code = np.unique(gallery_ids, return_inverse=True)
        order = np.argsort(code, kind="stable")
        return cls(names, order, np.searchsorted(code[order], np.arange(len(names))))

    def places(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (P,) the row of each identity in the names, and (P,) bool whether it is there."""
        if (ids.dtype.kind in "iu") != (self.names.dtype.kind in "iu"):
            raise ArcwiseError(
                f"probe_ids hold {ids.dtype} and gallery_ids {self.names.dtype}, expected "
                "identities of one kind: strings in both, or whole numbers in both"
            )
        place = np.minimum(np.searchsorted(self.names, ids), len(self.names) - 1)
        return place, self.names[place] == ids

    def best(self, scores: np.ndarray) -> np.ndarray:
        """Return (B, I) each identity's best score, of (B, G) scores in the index's order."""
        if len(self.starts) == len(self.order):
            return scores
        return np.maximum.reduceat(scores, self.starts, axis=1)


def check_mated(mated: np.ndarray, known: np.ndarray, ids: np.ndarray) -> None:
    """Raise where the probes that a protocol calls mated are not those with a mate in the gallery.

    Args:
        mated: (P,) bool, as the protocol states it.
        known: (P,) bool, whether the probe's identity is in the gallery.
        ids: (P,) the probes' identities.

    Raises:
        ArcwiseError: they differ; one identity is named.
    """
    stated = np.asarray(mated)
    if stated.shape != known.shape or stated.dtype.kind != "b":
        raise ArcwiseError(
            f"mated has shape {stated.shape} and holds {stated.dtype}, expected {known.shape} "
            "truth values: one for each probe"
        )
    both = np.intersect1d(ids[stated], ids[~stated])
    if len(both):
        raise ArcwiseError(
            f"identity {both[0]} has mated and non-mated probes ({len(both)} such in all), "
            "expected one or the other: a protocol's known and unknown probes share no identity"
        )
    for wrong, stated_kind, place in (
        (stated & ~known, "mated", "not in the gallery"),
        (known & ~stated, "non-mated", "in the gallery"),
    ):
        if wrong.any():
            raise ArcwiseError(
                f"identity {ids[wrong][0]} is {place} but its probes are called {stated_kind} "
                f"({wrong.sum()} such probes in all): gallery and probes are of two protocols, or "
                "the identities are spelt in two ways"
            )


def find_mates(
    block_of: Callable[[slice], np.ndarray], place: np.ndarray, index: GalleryIndex, rows: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mate's rank (P,), its score (P,) and the best score of all (P,) of each probe.

    Of equal scores the mate comes last. Without a mate, rank and score have no meaning.

    Args:
        block_of: gives the (B, G) scores of a slice of the probes, entries in the index's order.
        place: (P,) the mate's place among the index's names.
        index: of the gallery.
        rows: probes in a block.
    """
    ranks, scores, tops = [], [], []
    for start in range(0, len(place), rows):
        block = slice(start, start + rows)
        best = index.best(block_of(block))
        mate = best[np.arange(len(best)), place[block]]
        scores.append(mate)
        tops.append(best.max(axis=1))
        # The mate itself is one of those at or above its own score.
        ranks.append(np.count_nonzero(best >= mate[:, None], axis=1))
    return np.concatenate(ranks), np.concatenate(scores), np.concatenate(tops)
