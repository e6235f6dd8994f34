"""The enrolled identities of clusters: what most images of each are accepted as."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.gallery import decide
from arcwise.recognition import Recogniser
from arcwise.recognition.thresholds import search_operating_point
from arcwise.recognition.together import TOGETHER, unmeasured


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


@dataclass(frozen=True, eq=False)
class NamedClusters:
    """Clusters, of which some have an enrolled identity.

    Attributes:
        labels: (N,) int64 clusters; those of one identity are one.
        identity_of: the identity of a cluster; others have none.
        conflicts: clusters without one, as two identities or more were accepted in them.
        minorities: those, as only a part of their images was accepted, as one identity.
        apart: those, as decisions or earlier ids keep them from another cluster of the identity.
    """

    labels: np.ndarray
    identity_of: dict[int, str]
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
    hits = store.search(vectors, k=2)
    notes = []
    several = any(TOGETHER in hit.metadata for two in hits for hit in two)
    if reason := unmeasured(0, several and not point.in_this_gallery, str(recogniser.path)):
        notes.append(reason)
    elif not point.promises:
        notes.append(f"{recogniser.path}: {point}; measure it: arcwise calibrate MODEL DATA")
    if calibration is not None and calibration.outgrown(size):
        notes.append(
            f"{recogniser.path}: others were enrolled since its rates were measured, with "
            f"{calibration.identities:,} identities; calibrate it again: arcwise calibrate MODEL "
            "DATA --gallery GALLERY"
        )
    return Accepted(
        [decide(two, point.threshold).identity for two in hits],
        f"the gallery accepts from similarity {point.threshold:.4f} on: {point}",
        tuple(notes),
    )


def named_clusters(
    labels: np.ndarray,
    known: np.ndarray,
    earlier: dict[int, str],
    found: list[str | None],
    cannot: np.ndarray,
) -> NamedClusters:
    """Return clusters with the identities that most of their images are accepted as.

    A cluster has an identity where more than half of its images are accepted as that one. Two of
    one identity become one cluster, but for those that were decided to be apart, or have earlier
    ids; of these the one with most accepted images has it.

    Args:
        labels: (N,) clusters 0 … M - 1.
        known: (M,) earlier ids, which stay; -1 for new clusters.
        earlier: identities that clusters have from before, by cluster; they stay.
        found: (N,) identities that the gallery accepts images as; None for unknown ones.
        cannot: (P, 2) rows that are not the same.
    """
    votes: list[Counter[str]] = [Counter() for _ in known]
    for label, identity in zip(labels.tolist(), found, strict=True):
        if identity is not None:
            votes[label][identity] += 1
    size, named, conflicts, minorities = np.bincount(labels), dict(earlier), 0, 0
    for label, those in enumerate(votes):
        if not those or label in earlier:
            continue
        identity, count = min(those.items(), key=lambda item: (-item[1], item[0]))
        if 2 * count > size[label]:
            named[label] = identity
        elif len(those) > 1:
            conflicts += 1
        else:
            minorities += 1
    apart = {frozenset(pair) for pair in labels[cannot].tolist()}
    whole, left = np.arange(len(known)), 0
    groups: dict[str, list[int]] = {}
    order = sorted(
        named, key=lambda one: (one not in earlier, known[one] < 0, -votes[one][named[one]], one)
    )
    for label in order:  # those with earlier names and ids first: the first gives a group its id
        group = groups.setdefault(named[label], [])
        kept = known[label] >= 0 and any(known[one] >= 0 for one in group)
        if kept or any(frozenset((one, label)) in apart for one in group):
            if label not in earlier:
                del named[label]
                left += 1
            continue
        group.append(label)
        whole[label] = group[0]
    return NamedClusters(whole[labels], named, conflicts, minorities, left)
