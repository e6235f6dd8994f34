"""What embeddings say for and against a label: three votes, each of something else.

- neighbours: where the links of an image go, by weight: to its own identity, or to another one;
- clusters: of the map equation, which sees no label. The home of an identity is the cluster that
  holds most of its images;
- sub-centre: the dominant sub-centre of an identity (Deng et al., ECCV 2020). A member is noise
  where it is less similar to that than neighbours are (`NeighbourLinks.around`; the paper takes
  75°). Two identities are one where their dominant sub-centres are as similar as a pair that is
  linked (`NeighbourLinks.threshold`).

No limit is a new one. All three are of the same embeddings, so that none is independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.sparse import coo_array, csr_array

from arcwise.clustering.clusters import DOUBTFUL, Clusters
from arcwise.clustering.dominant_centres import DominantCentres, dominant_centres
from arcwise.clustering.links import AGREEMENT
from arcwise.clustering.methods import LEAST_WEIGHT

Vote = Literal["copy", "neighbours", "clusters", "sub-centre"]
Votes = dict[Vote, bool]
"""What each vote says that can tell: whether there is an error."""


@dataclass(frozen=True, eq=False)
class LabelEvidence:
    """What the votes on N labels are taken from.

    Attributes:
        unit: (N, D) float32 unit rows.
        owner: (N,) identities 0 … C - 1.
        sizes: (C,) images of each.
        found: the clusters of the embeddings.
        home: (C,) home cluster of each identity.
        away: (N,) bool, whether an image is in another cluster than its identity's home.
        own: (N,) weight of the links of an image to its own identity.
        other: (N,) weight of those to the other identity that has most of it.
        looks_like: (N,) that identity; -1 without any.
        agreement: (N, N) of the pairs of neighbours, symmetric.
        centres: the dominant sub-centres.
    """

    unit: np.ndarray
    owner: np.ndarray
    sizes: np.ndarray
    found: Clusters
    home: np.ndarray
    away: np.ndarray
    own: np.ndarray
    other: np.ndarray
    looks_like: np.ndarray
    agreement: csr_array
    centres: DominantCentres

    def on_member(self, row: int) -> Votes:
        """Return the votes on whether an image is not of its identity."""
        identity = self.owner[row]
        if self.sizes[identity] == 1:
            return {}
        linked_elsewhere = self.own[row] == 0 or self.other[row] > self.own[row]
        said: Votes = {"neighbours": bool(linked_elsewhere), "clusters": bool(self.away[row])}
        if self.centres.clear[identity]:
            said["sub-centre"] = bool(self.far[row])
        return said

    def on_part(self, identity: int, rows: np.ndarray) -> Votes:
        """Return the votes on whether images, in a cluster of their own, are another identity."""
        rest = np.setdiff1d(np.flatnonzero(self.owner == identity), rows)
        said: Votes = {"neighbours": self.confidence(rows, rest) >= DOUBTFUL, "clusters": True}
        if self.centres.clear[identity]:
            said["sub-centre"] = bool(self.far[rows].mean() > 0.5)
        return said

    def on_pair(self, a: int, b: int, of_a: np.ndarray, of_b: np.ndarray) -> Votes:
        """Return the votes on whether two identities are one.

        Args:
            a: the one.
            b: the other.
            of_a: images that speak for it.
            of_b: images that speak for the other.
        """
        said: Votes = {
            "neighbours": self.confidence(of_a, of_b) < DOUBTFUL,
            "clusters": bool(self.home[a] == self.home[b]),
        }
        if self.centres.clear[a] and self.centres.clear[b]:
            said["sub-centre"] = self.between(a, b) >= self.found.links.threshold
        return said

    @property
    def far(self) -> np.ndarray:
        """(N,) bool: whether an image is far from the dominant sub-centre of its identity."""
        return self.centres.similarity < self.found.links.around

    def between(self, a: int, b: int) -> float:
        """Return the similarity of the dominant sub-centres of two identities."""
        return float(self.centres.centre[a] @ self.centres.centre[b])

    def confidence(self, first: np.ndarray, second: np.ndarray) -> float:
        """Return a / (a + b): a is the mean agreement inside two sets of images, b across.

        It is what `Clusters.confidence` is for one image. Of two single images, a is the agreement
        that would link them.
        """
        pairs = sum(len(one) * (len(one) - 1) for one in (first, second))
        inside = self._total(first, first) + self._total(second, second)
        a = inside / pairs if pairs else AGREEMENT
        b = self._total(first, second) / (len(first) * len(second))
        return a / (a + b) if a + b > 0 else 1.0

    def _total(self, rows: np.ndarray, columns: np.ndarray) -> float:
        part: Any = self.agreement[rows]
        return float(part[:, columns].sum())


def label_evidence(unit: np.ndarray, owner: np.ndarray, found: Clusters) -> LabelEvidence:
    """Return what the votes are taken from.

    Args:
        unit: (N, D) float32 unit rows.
        owner: (N,) identities 0 … C - 1, each of which occurs.
        found: the clusters of the embeddings.
    """
    count, sizes = len(unit), np.bincount(owner)
    links, home = found.links, _homes(owner, found)
    pairs, weight = links.pairs[links.linked], links.agreement[links.linked] + LEAST_WEIGHT
    rows = np.concatenate([pairs[:, 0], pairs[:, 1]])
    to = owner[np.concatenate([pairs[:, 1], pairs[:, 0]])]
    key, place = np.unique(rows * len(sizes) + to, return_inverse=True)
    total, rows, to = np.bincount(place, np.tile(weight, 2)), key // len(sizes), key % len(sizes)
    own, other, looks_like = np.zeros(count), np.zeros(count), np.full(count, -1)
    mine = owner[rows] == to
    own[rows[mine]] = total[mine]
    order = np.flatnonzero(~mine)[np.argsort(total[~mine], kind="stable")]  # the largest last
    other[rows[order]], looks_like[rows[order]] = total[order], to[order]
    ends = np.concatenate([links.pairs, links.pairs[:, ::-1]]).T
    agreement = coo_array((np.tile(links.agreement, 2), tuple(ends)), shape=(count, count))
    return LabelEvidence(
        unit, owner, sizes, found, home, found.labels != home[owner], own, other, looks_like,
        csr_array(agreement), dominant_centres(unit, owner),
    )  # fmt: skip


def _homes(owner: np.ndarray, found: Clusters) -> np.ndarray:
    """Return (C,) the cluster with most images of each identity, of equals the least shared."""
    key, count = np.unique(owner * found.count + found.labels, return_counts=True)
    identity, cluster = key // found.count, key % found.count
    share = count / found.sizes[cluster]
    order = np.lexsort((cluster, -share, -count, identity))
    return cluster[order[np.unique(identity[order], return_index=True)[1]]]
