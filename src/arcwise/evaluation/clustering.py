"""Agreement of clusters with identities: pairwise, BCubed, and by mutual information."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.intervals import DRAWS, Rate, bootstrapped, multiplicities

NOISE = -1
"""The number that clustering methods give to an image which they put in no cluster."""

_SIZE_PAIRS = 2**20  # computed together
_NEGLIGIBLE = 1e-30  # relative to the most frequent count, also after a billion images


@dataclass(frozen=True, eq=False, repr=False)
class Clustering:
    """The agreement of clusters with identities; prints itself.

    Intervals are 95 %, from drawing identities while the clusters stay as they are: an image
    counts as often as its identity was drawn, a pair as often as both its sides. They do not
    include the variation of the clustering. NMI, AMI and ARI have none: they are of the whole table
    of identities and clusters, in which no identity can occur twice.

    Attributes:
        count: (E,) int64 images of one identity in one cluster, where there are any.
        identity: (E,) int64 the identity, 0 … I-1.
        cluster: (E,) int64 the cluster, 0 … K-1.
        noise: images that were in no cluster; each counts as a cluster of its own.
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
        """Number of clusters, those of one image included."""
        return len(self._cluster_sizes)

    @property
    def singletons(self) -> int:
        """Clusters of one image, noise included."""
        return int((self._cluster_sizes == 1).sum())

    @property
    def pairwise_precision(self) -> Rate:
        """Share of the pairs in one cluster that are of one identity; 1 without such pairs."""
        return self._rate(self._sums.right, self._sums.claimed)

    @property
    def pairwise_recall(self) -> Rate:
        """Share of the pairs of one identity that are in one cluster; 1 without such pairs."""
        return self._rate(self._sums.right, self._sums.true)

    @property
    def pairwise_f(self) -> Rate:
        """Harmonic mean of pairwise precision and recall."""
        return self._rate(2 * self._sums.right, self._sums.claimed + self._sums.true)

    @property
    def bcubed_precision(self) -> Rate:
        """Mean over images of the share of their cluster that is of their identity.

        An image is itself part of both (Amigó et al., Information Retrieval 12, 2009).
        """
        return self._rate(self._sums.precision, self._sums.images)

    @property
    def bcubed_recall(self) -> Rate:
        """Mean over images of the share of their identity that is in their cluster."""
        return self._rate(self._sums.recall, self._sums.images)

    @property
    def bcubed_f(self) -> Rate:
        """Harmonic mean of BCubed precision and recall."""
        precision, recall, images = self._sums.precision, self._sums.recall, self._sums.images
        return self._rate(2 * precision * recall, images * (precision + recall))

    @property
    def nmi(self) -> float:
        """Mutual information over the arithmetic mean of both entropies; 1 where both are 0."""
        return 1.0 if self._mean_entropy == 0 else self._information / self._mean_entropy

    @property
    def ami(self) -> float:
        """Mutual information adjusted for chance, the arithmetic mean of both entropies being 1.

        Chance keeps the sizes and permutes the images (Vinh et al., JMLR 11, 2010).
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
        """Whether the clusters are exactly the identities."""
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
        """The sums that the rates are made of: measured, then draw by draw."""
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
        """Return the first share with the interval of the other ones; 1 where `whole` is 0."""
        share = np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), 1.0)
        return bootstrapped(float(share[0]), share[1:], len(self._identity_sizes))

    def __str__(self) -> str:
        return "\n".join(
            [
                f"clustering: {self.count.sum()} images of {len(self._identity_sizes)} identities"
                f" in {self.clusters} clusters, {self.singletons} of one image"
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
    """Sums over pairs and over images, each (1 + draws,)."""

    right: np.ndarray
    claimed: np.ndarray
    true: np.ndarray
    images: np.ndarray
    precision: np.ndarray
    recall: np.ndarray


def clustering(
    true_ids: inputs.Identities,
    cluster_ids: inputs.Identities,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Clustering:
    """Return the agreement of clusters with identities.

    Args:
        true_ids: (N,) identities.
        cluster_ids: (N,) clusters. The number -1 is noise: each such image is a cluster of its
            own.
        draws: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        ArcwiseError: lengths differ, or there is no image.
    """
    count = len(np.asarray(true_ids))
    if not count:
        raise ArcwiseError("true_ids is empty, expected the identity of at least one image")
    owner = inputs.codes("true_ids", true_ids, count)
    labels = inputs.identities("cluster_ids", cluster_ids, count)
    noise = labels == NOISE if labels.dtype.kind == "i" else np.zeros(count, dtype=bool)
    member = np.empty(count, dtype=np.int64)
    names, member[~noise] = np.unique(labels[~noise], return_inverse=True)
    member[noise] = len(names) + np.arange(noise.sum())
    clusters = int(member.max()) + 1
    cells, counts = np.unique(owner * clusters + member, return_counts=True)
    return Clustering(counts, cells // clusters, cells % clusters, int(noise.sum()), draws, seed)


def _pairs(sizes: np.ndarray) -> np.ndarray:
    """Return how many pairs so many images make."""
    return sizes * (sizes - 1) // 2


def entropy(sizes: np.ndarray) -> float:
    """Return the entropy of a partition into parts of these sizes, (K,)."""
    share = sizes / sizes.sum()
    return float(-(share * np.log(share)).sum())


def mutual_information(count: np.ndarray, row: np.ndarray, column: np.ndarray) -> float:
    """Return the mutual information of two partitions of N.

    Args:
        count: (E,) sizes of the parts' intersections, those that are not empty.
        row: (E,) size of the part of the one partition that each lies in.
        column: (E,) the same of the other.
    """
    total = float(count.sum())
    gain = count / total * np.log(count * total / (row.astype(np.float64) * column))
    return max(0.0, float(gain.sum()))


def expected_information(rows: np.ndarray, columns: np.ndarray) -> float:
    """Return the mean mutual information of random partitions into parts of labels sizes.

    Vinh, Epps and Bailey, JMLR 11, 2010, equation 24a. Exact in float64 for any N: counts that
    weigh less than rounding are skipped, and no factorial is formed.

    Args:
        rows: (I,) sizes of the one partition's parts, N in all.
        columns: (K,) sizes of the other's.
    """
    total = int(rows.sum())
    first, first_times = np.unique(rows, return_counts=True)
    second, second_times = np.unique(columns, return_counts=True)
    information = 0.0
    step = max(1, _SIZE_PAIRS // len(second))
    for start in range(0, len(first), step):
        part = slice(start, start + step)
        a = np.repeat(first[part], len(second))
        b = np.tile(second, len(first[part]))
        times = np.outer(first_times[part], second_times).ravel()
        information += float(times @ _expected_gain(a, b, total))
    return information


def _expected_gain(a: np.ndarray, b: np.ndarray, total: int) -> np.ndarray:
    """Return (E,) means of n/N log(N n / (a b)), n being how much of a and of b is common.

    n is hypergeometric: from the most frequent n outwards each probability follows from the one
    before, and their sum makes up for not knowing the first.
    """
    mode = (a + 1) * (b + 1) // (total + 2)
    mass = np.ones(len(a))
    gain = _gain(mode.astype(np.float64), a, b, total)
    for upwards in (True, False):
        place = np.arange(len(a))
        n, weight = mode.astype(np.float64), np.ones(len(a))
        while len(place):
            x, y = a[place] - n, b[place] - n  # of each alone
            neither = total - n - x - y
            if upwards:
                weight = weight * (x * y / ((n + 1) * (neither + 1)))
                n = n + 1
            else:
                weight = weight * (n * neither / ((x + 1) * (y + 1)))
                n = n - 1
            counts = weight > _NEGLIGIBLE
            place, n, weight = place[counts], n[counts], weight[counts]
            mass[place] += weight
            gain[place] += weight * _gain(n, a[place], b[place], total)
    return gain / mass


def _gain(n: np.ndarray, a: np.ndarray, b: np.ndarray, total: int) -> np.ndarray:
    """Return (E,) what a common part of n adds to the mutual information."""
    return n / total * np.log(np.maximum(n, 1) * total / (a.astype(np.float64) * b))
