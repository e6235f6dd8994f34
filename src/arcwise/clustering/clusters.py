"""From unlabelled embeddings to clusters: one for each identity, as far as can be told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from arcwise.clustering.constraints import Constraints, constrained
from arcwise.clustering.graph import nearest_neighbours
from arcwise.clustering.impostors import Impostors, impostors_of
from arcwise.clustering.links import AGREEMENT, DUPLICATE, NeighbourLinks, links
from arcwise.clustering.map_equation import numbered_by_first
from arcwise.clustering.methods import METHODS, ClusteringProblem, each_in_a_cluster
from arcwise.errors import ArcwiseError, suggestion
from arcwise.evaluation import Threshold, inputs

if TYPE_CHECKING:
    from arcwise.clustering.linkage.model import LinkageModel

NEIGHBOURS = 80

DOUBTFUL = 0.6
"""Confidence below which a member is doubtful."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """Clusters of N embeddings.

    Attributes:
        labels: (N,) int64 cluster of each, 0 … M - 1, numbered by their first members.
        confidence: (N,) float64, 0 to 1: a / (a + b), a being the mean agreement of an embedding
            with its cluster, and b with the nearest other one. For one that is alone, a is the
            agreement that would have linked it.
        next_to: (N,) int64 that other cluster; -1 where there is none.
        links: what the clusters were made of; with a linkage model, the confidence alone.
        recall: share of the true neighbours beyond chance that were looked at.
        method: a name in `METHODS`.
        linkage: the model that clustered in its place; None for the method.
    """

    labels: np.ndarray
    confidence: np.ndarray
    next_to: np.ndarray
    links: NeighbourLinks
    recall: float
    method: str = "auto"
    linkage: LinkageModel | None = None

    @property
    def made_by(self) -> str:
        """What joined images, and why from there on, in one line."""
        joined = METHODS[self.method].joined
        if self.linkage is not None or not joined:
            return str(self.linkage or self.links)
        if self.threshold is None:
            return f"joined: {joined}"
        text = f"joined: {joined.format(threshold=self.threshold)}; by {self.links.reason}"
        return f"{text}; no similarity below 1 is so rare" if self.threshold >= DUPLICATE else text

    @property
    def threshold(self) -> float | None:
        """The similarity, or of a linkage model the probability, that decides; None for none."""
        if self.linkage is not None:
            return self.linkage.threshold
        return self.links.threshold if METHODS[self.method].by_threshold else None

    @property
    def reason(self) -> str:
        """Where the threshold comes from; empty without one."""
        if self.linkage is not None:
            return self.linkage.reason
        return self.links.reason if METHODS[self.method].by_threshold else ""

    @property
    def note(self) -> str:
        """What is uncertain about the threshold; empty for nothing."""
        by_links = self.linkage is None and METHODS[self.method].by_threshold
        return self.links.note if by_links else ""

    @property
    def count(self) -> int:
        """Number of clusters, M."""
        return int(self.labels.max()) + 1

    @property
    def sizes(self) -> np.ndarray:
        """(M,) int64 members of each cluster."""
        return np.bincount(self.labels)

    @property
    def doubtful(self) -> np.ndarray:
        """(N,) bool: whether a confidence is below 0.6."""
        return self.confidence < DOUBTFUL


def cluster(
    embeddings: np.ndarray,
    method: str = "auto",
    *,
    threshold: float | None = None,
    clusters: int | None = None,
    must_link: Sequence[Sequence[int]] | np.ndarray = (),
    cannot_link: Sequence[Sequence[int]] | np.ndarray = (),
    seed: int = 0,
) -> np.ndarray:
    """Return a cluster for each embedding, without labels; one that is like no other is alone.

    Args:
        embeddings: (N, D), of any length.
        method: "auto" (links by shared neighbours, communities by the map equation), "fc-es",
            "components", "average-linkage", "chinese-whispers", "dbscan", "hdbscan" or "k-means".
        threshold: cosine from which on two are linked; by default found from the data.
        clusters: how many, for k-means.
        must_link: (M, 2) rows of one identity.
        cannot_link: (P, 2) rows of two identities.
        seed: of everything random.

    Returns:
        (N,) int64 clusters 0 … M - 1, numbered by their first members.

    Raises:
        ArcwiseError: a value is NaN or infinite, there is no embedding, the method is unknown, or
            the constraints contradict each other.
    """
    known = Constraints(np.asarray(must_link, np.int64), np.asarray(cannot_link, np.int64))
    return find_clusters(
        embeddings, method, threshold=threshold, clusters=clusters, constraints=known, seed=seed
    ).labels


def find_clusters(
    embeddings: np.ndarray,
    method: str = "auto",
    *,
    threshold: float | None = None,
    thresholds: Sequence[Threshold] = (),
    clusters: int | None = None,
    linkage: LinkageModel | None = None,
    constraints: Constraints | None = None,
    k: int = NEIGHBOURS,
    folder: Path | None = None,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> Clusters:
    """Return clusters with what they were made of.

    Args:
        embeddings: (N, D), of any length.
        method: a name in `METHODS`.
        threshold: cosine from which on two are linked; by default found from the data.
        thresholds: of the model, at stated false-accept rates: what is found from the data is then
            found from these, if they rest on enough identities (`impostors_of`).
        clusters: how many, for k-means.
        linkage: clusters instead of the method, by the links that it learnt.
        constraints: what is known of pairs; holds in every method.
        k: neighbours of each; a linkage model that was trained with more takes so many.
        folder: where neighbours are kept.
        seed: of everything random.
        progress: called with (embeddings whose neighbours were found, embeddings in all).

    Raises:
        ArcwiseError: as for `cluster`.
    """
    if method not in METHODS:
        hint = suggestion(method, METHODS) or f"expected one of {', '.join(METHODS)}"
        raise ArcwiseError(f"no method {method!r}; {hint}")
    if threshold is not None and not -1 <= inputs.real("threshold", threshold) <= 1:
        raise ArcwiseError(f"the threshold is {threshold}; expected a cosine, from -1 to 1")
    if clusters is not None and method != "k-means":
        raise ArcwiseError(
            f"the method {method} finds how many clusters there are; got {clusters}, which is for "
            "the method k-means alone"
        )
    if threshold is not None and linkage is None and not METHODS[method].by_threshold:
        raise ArcwiseError(
            f"the method {method} has no threshold of similarity; leave {threshold} out, or take "
            "the method auto"
        )
    inputs.generator(seed)
    unit = inputs.embeddings("embeddings", embeddings)
    if linkage is not None:
        k = max(k, linkage.shape.neighbours)
    impostors = impostors_of(unit, thresholds, seed)
    neighbours = nearest_neighbours(
        unit, k, at_least=beyond_chance(impostors), folder=folder, seed=seed, progress=progress
    )
    found = links(neighbours, impostors, threshold)
    if linkage is not None:
        labels = linkage.cluster(unit, neighbours)
    else:
        labels = METHODS[method].cluster(ClusteringProblem(unit, neighbours, found, clusters, seed))
    labels = each_in_a_cluster(labels)
    if constraints:
        labels = constrained(labels, constraints, found.pairs, found.agreement)
    labels = numbered_by_first(labels)
    return Clusters(labels, *_confidence(labels, found), found, neighbours.recall, method, linkage)


def beyond_chance(impostors: Impostors) -> float:
    """Return the cosine above which an embedding has one impostor on average."""
    return impostors.cosine(impostors.limit(1.0))


def _confidence(labels: np.ndarray, found: NeighbourLinks) -> tuple[np.ndarray, np.ndarray]:
    """Return (N,) confidences, and (N,) the other cluster of most agreement, -1 without any."""
    count, clusters = len(labels), int(labels.max()) + 1
    row = np.concatenate([found.pairs[:, 0], found.pairs[:, 1]])
    other = np.concatenate([found.pairs[:, 1], found.pairs[:, 0]])
    key, place = np.unique(row * clusters + labels[other], return_inverse=True)
    row, near = key // clusters, key % clusters
    own = labels[row] == near
    others = np.bincount(labels)[near] - own
    mean = np.bincount(place, np.tile(found.agreement, 2), len(key)) / np.maximum(others, 1)
    inside = np.where(np.bincount(labels)[labels] == 1, AGREEMENT, 0.0)
    inside[row[own]] = mean[own]
    order = np.flatnonzero(~own)[np.argsort(mean[~own], kind="stable")]  # the largest is set last
    outside, next_to = np.zeros(count), np.full(count, -1)
    outside[row[order]], next_to[row[order]] = mean[order], near[order]
    total = inside + outside
    return np.divide(inside, total, out=np.zeros(count), where=total > 0), next_to
