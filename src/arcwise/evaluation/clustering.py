"""How well clusters are identities: by pairs, by pictures, and by information."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.information import entropy, expected_information, mutual_information
from arcwise.evaluation.intervals import DRAWS, Rate, bootstrapped, multiplicities

NOISE = -1
"""The number that clustering methods give to a picture which they put in no cluster."""


@dataclass(frozen=True, eq=False, repr=False)
class Clustering:
    """What clusters have to do with identities; prints itself.

    Intervals are 95 %, from drawing identities while the clusters stay as they are: a picture
    counts as often as its identity was drawn, a pair as often as both its sides. They do not say
    what clustering anew would change. NMI, AMI and ARI have none: they are of the whole table of
    identities and clusters, and a table that holds an identity twice is no such table.

    Attributes:
        count: (E,) int64 pictures of one identity in one cluster, where there are any.
        identity: (E,) int64 the identity, 0 … I-1.
        cluster: (E,) int64 the cluster, 0 … K-1.
        noise: pictures that were in no cluster; each counts as a cluster of its own.
        draws: bootstrap samples.
        seed: of the bootstrap.
    """

    count: np.ndarray
    identity: np.ndarray
    cluster: np.ndarray
    noise: int
    draws: int
    seed: int

    @property
    def clusters(self) -> int:
        """How many there are, those of one picture included."""
        return len(self._cluster_sizes)

    @property
    def singletons(self) -> int:
        """Clusters of one picture, noise included."""
        return int((self._cluster_sizes == 1).sum())

    @property
    def pairwise_precision(self) -> Rate:
        """How many of the pairs put together belong together; 1 where none was put together."""
        return self._rate(self._sums.right, self._sums.claimed)

    @property
    def pairwise_recall(self) -> Rate:
        """How many of the pairs that belong together were put together; 1 where none belongs."""
        return self._rate(self._sums.right, self._sums.true)

    @property
    def pairwise_f(self) -> Rate:
        """Harmonic mean of pairwise precision and recall."""
        return self._rate(2 * self._sums.right, self._sums.claimed + self._sums.true)

    @property
    def bcubed_precision(self) -> Rate:
        """Mean over pictures of the share of their cluster that is of their identity.

        A picture is itself part of both (Amigó et al., Information Retrieval 12, 2009).
        """
        return self._rate(self._sums.precision, self._sums.pictures)

    @property
    def bcubed_recall(self) -> Rate:
        """Mean over pictures of the share of their identity that is in their cluster."""
        return self._rate(self._sums.recall, self._sums.pictures)

    @property
    def bcubed_f(self) -> Rate:
        """Harmonic mean of BCubed precision and recall."""
        precision, recall, pictures = self._sums.precision, self._sums.recall, self._sums.pictures
        return self._rate(2 * precision * recall, pictures * (precision + recall))

    @property
    def nmi(self) -> float:
        """Mutual information over the arithmetic mean of both entropies; 1 where both are 0."""
        return 1.0 if self._mean_entropy == 0 else self._information / self._mean_entropy

    @property
    def ami(self) -> float:
        """Mutual information adjusted for chance, the arithmetic mean of both entropies being 1.

        Chance keeps the sizes and permutes the pictures (Vinh et al., JMLR 11, 2010).
        """
        if self._same:
            return 1.0
        chance = expected_information(self._identity_sizes, self._cluster_sizes)
        return (self._information - chance) / (self._mean_entropy - chance)

    @property
    def ari(self) -> float:
        """Rand index adjusted for chance (Hubert and Arabie, Journal of Classification 2, 1985)."""
        if self._same:
            return 1.0
        right, claimed, true, every = (
            float(_pairs(sizes).sum())
            for sizes in (self.count, self._cluster_sizes, self._identity_sizes, self.count.sum())
        )
        chance = claimed / every * true
        return (right - chance) / ((claimed + true) / 2 - chance)

    @cached_property
    def _identity_sizes(self) -> np.ndarray:
        return np.bincount(self.identity, self.count).astype(np.int64)

    @cached_property
    def _cluster_sizes(self) -> np.ndarray:
        return np.bincount(self.cluster, self.count).astype(np.int64)

    @property
    def _same(self) -> bool:
        """Whether the clusters are the identities, also where chance would do as well."""
        return len(self.count) == len(self._identity_sizes) == self.clusters

    @property
    def _mean_entropy(self) -> float:
        return (entropy(self._identity_sizes) + entropy(self._cluster_sizes)) / 2

    @property
    def _information(self) -> float:
        rows, columns = self._identity_sizes[self.identity], self._cluster_sizes[self.cluster]
        return mutual_information(self.count, rows, columns)

    @cached_property
    def _sums(self) -> _Sums:
        """What the rates are made of: as it is, then draw by draw."""
        sizes = self._identity_sizes
        squares = self.count.astype(np.float64) ** 2
        right = np.bincount(self.identity, _pairs(self.count))
        precision = np.bincount(self.identity, squares / self._cluster_sizes[self.cluster])
        recall = np.bincount(self.identity, squares) / sizes
        mixed = (np.bincount(self.cluster) > 1)[self.cluster]
        identity, cluster, count = self.identity[mixed], self.cluster[mixed], self.count[mixed]

        rows = []
        drawn = multiplicities(len(sizes), self.draws, self.seed)
        for times in (np.ones(len(sizes)), *drawn):
            parts = times[identity] * count
            wrong = (np.bincount(cluster, parts) ** 2).sum() - (parts**2).sum()
            good = times @ right
            rows.append(
                (
                    good, good + wrong / 2, times @ _pairs(sizes),
                    times @ sizes, times @ precision, times @ recall,
                )
            )  # fmt: skip
        return _Sums(*np.array(rows, dtype=np.float64).T)

    def _rate(self, part: np.ndarray, whole: np.ndarray) -> Rate:
        """Return the first share with the interval of the others; of nothing, 1."""
        share = np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), 1.0)
        return bootstrapped(float(share[0]), share[1:], len(self._identity_sizes))

    def __str__(self) -> str:
        return "\n".join(
            [
                f"clustering: {self.count.sum()} pictures of {len(self._identity_sizes)} identities"
                f" in {self.clusters} clusters, {self.singletons} of one picture"
                f" ({self.noise} noise)",
                f"  pairwise P  {self.pairwise_precision}",
                f"  pairwise R  {self.pairwise_recall}",
                f"  pairwise F  {self.pairwise_f}",
                f"  BCubed P    {self.bcubed_precision}",
                f"  BCubed R    {self.bcubed_recall}",
                f"  BCubed F    {self.bcubed_f}",
                f"  NMI         {self.nmi:.4f} (arithmetic mean of entropies)",
                f"  AMI         {self.ami:.4f}",
                f"  ARI         {self.ari:.4f}",
            ]
        )

    __repr__ = __str__


class _Sums(NamedTuple):
    """Sums over pairs and over pictures, each (1 + draws,)."""

    right: np.ndarray
    claimed: np.ndarray
    true: np.ndarray
    pictures: np.ndarray
    precision: np.ndarray
    recall: np.ndarray


def clustering(
    true_ids: inputs.Identities,
    cluster_ids: inputs.Identities,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Clustering:
    """Return how well clusters agree with identities.

    Args:
        true_ids: (N,) identities.
        cluster_ids: (N,) clusters. The number -1 is noise: each such picture is a cluster of its
            own.
        draws: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        ArcwiseError: lengths differ, or there is no picture.
    """
    count = len(np.asarray(true_ids))
    if not count:
        raise ArcwiseError("true_ids is empty, expected the identity of at least one picture")
    owner = inputs.codes("true_ids", true_ids, count)
    given = inputs.identities("cluster_ids", cluster_ids, count)
    alone = given == NOISE if given.dtype.kind == "i" else np.zeros(count, dtype=bool)
    member = np.empty(count, dtype=np.int64)
    names, member[~alone] = np.unique(given[~alone], return_inverse=True)
    member[alone] = len(names) + np.arange(alone.sum())
    clusters = int(member.max()) + 1
    cells, counts = np.unique(owner * clusters + member, return_counts=True)
    return Clustering(counts, cells // clusters, cells % clusters, int(alone.sum()), draws, seed)


def _pairs(sizes: np.ndarray) -> np.ndarray:
    """Return how many pairs so many pictures make."""
    return sizes * (sizes - 1) // 2
