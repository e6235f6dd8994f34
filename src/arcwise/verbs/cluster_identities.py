"""The enrolled identities of clusters: what the gallery's decision accepts images of each as."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.gallery import decide
from arcwise.recognition import Recogniser
from arcwise.recognition.thresholds import search_operating_point
from arcwise.recognition.together import TOGETHER, unmeasured

OF_ALL, OF_ACCEPTED = 1 / 4, 2 / 3
"""Share of a cluster's images, and of those that are accepted as anybody, that give it an identity.

Settled on one heap of 600 photos of 30 products, 5 or 15 of them enrolled; docs/clustering.md
measures others."""


@dataclass(frozen=True)
class Accepted:
    """What the decision of a gallery says of N images.

    Attributes:
        identities: (N,) the identity that it gives an image; None for an unknown one.
        rate: what decided, and what that promises, in one line.
        notes: why that is not known; a line each.
    """

    identities: list[str | None]
    rate: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ClusterIdentities:
    """The enrolled identities of clusters.

    Attributes:
        of: the identity of a cluster; others have none.
        conflicts: clusters without one, as two identities or more were accepted in them.
        minorities: those, as too few of their images were accepted, of one identity.
        apart: those, as they were decided not to be the same as another cluster of the identity.
    """

    of: dict[int, str]
    conflicts: int
    minorities: int
    apart: int


def accepted(
    recogniser: Recogniser, vectors: np.ndarray, far: float | None, fpir: float | None
) -> Accepted:
    """Return what the decision of a gallery says of embeddings.

    Args:
        recogniser: with the gallery.
        vectors: (N, D) unit rows, of its model.
        far: false-accept rate of one comparison; None for the usual one.
        fpir: part of unknown images that may get an identity.

    Raises:
        ArcwiseError: nothing decides, or not at that rate.
    """
    store = recogniser.gallery
    size, calibration = store.size(), store.calibration
    if not size.templates:
        return Accepted([None] * len(vectors), "nobody is enrolled", ())
    point = search_operating_point(recogniser.model, size, calibration, far=far, fpir=fpir)
    if point is None:
        raise ArcwiseError(
            f"{recogniser.path}: nothing decides, as the model has no thresholds; measure them: "
            "arcwise calibrate MODEL DATA"
        )
    what = "a lead over the next of" if point.neighbours else "similarity"
    hits = store.search(vectors, k=max(2, point.neighbours + 1))
    notes = []
    several = any(TOGETHER in hit.metadata for one in hits for hit in one[:2])
    if reason := unmeasured(0, several and not point.in_this_gallery, str(recogniser.path)):
        notes.append(reason)
    elif not point.promises:
        notes.append(
            f"{recogniser.path}: {point}; its identities are not to be relied on: measure first, "
            "arcwise calibrate MODEL DATA"
        )
    if calibration is not None and calibration.outgrown(size):
        notes.append(
            f"{recogniser.path}: others were enrolled since its rates were measured, with "
            f"{calibration.identities:,} identities; calibrate it again: arcwise calibrate MODEL "
            "DATA --gallery GALLERY"
        )
    return Accepted(
        [decide(one, point.threshold, neighbours=point.neighbours).identity for one in hits],
        f"the gallery accepts from {what} {point.threshold:.4f} on"
        + (f": {point}" if point.promises and not reason else ""),
        tuple(notes),
    )


def cluster_identities(
    labels: np.ndarray, found: list[str | None], cannot: np.ndarray, earlier: dict[int, str]
) -> ClusterIdentities:
    """Return the enrolled identity of each cluster that has one. The clusters stay as they are.

    A cluster has an identity where a quarter of its images or more are accepted as that one, and
    these are two thirds or more of those that are accepted as any. Several clusters may have one
    identity; of two that were decided not to be the same it is the one with more accepted images.

    Args:
        labels: (N,) clusters 0 … M - 1.
        found: (N,) identities that the gallery accepts images as; None for unknown ones.
        cannot: (P, 2) rows that were decided not to be the same.
        earlier: identities that clusters have from before, by cluster; they stay.
    """
    size = np.bincount(labels)
    votes: list[Counter[str]] = [Counter() for _ in size]
    for label, identity in zip(labels.tolist(), found, strict=True):
        if identity is not None:
            votes[label][identity] += 1
    named, conflicts, minorities = dict(earlier), 0, 0
    for label, those in enumerate(votes):
        if not those or label in earlier:
            continue
        identity, count = min(those.items(), key=lambda item: (-item[1], item[0]))
        if count < OF_ACCEPTED * those.total():
            conflicts += 1
        elif count < OF_ALL * size[label]:
            minorities += 1
        else:
            named[label] = identity
    taken = set()
    for pair in labels[cannot].tolist():
        one, other = sorted(pair, key=lambda label: (label in earlier, votes[label].total()))
        if one != other and one not in earlier and named.get(one, "") == named.get(other):
            taken.add(one)
    for label in taken:
        del named[label]
    return ClusterIdentities(named, conflicts, minorities, len(taken))
