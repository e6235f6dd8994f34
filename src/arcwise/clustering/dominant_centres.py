"""The dominant sub-centre of every identity: Deng et al., Sub-center ArcFace, ECCV 2020."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SUBCENTRES = 3
"""K, as published."""

_ROUNDS = 20
_EQUAL = 1e-5  # of summed cosines


@dataclass(frozen=True, eq=False)
class DominantCentres:
    """The dominant sub-centres of C identities.

    Attributes:
        centre: (C, D) float32 unit vectors.
        similarity: (N,) float32 cosine of each embedding with that of its identity.
        clear: (C,) bool, whether one is dominant: not so where others have as many members, which
            are as similar to all.
    """

    centre: np.ndarray
    similarity: np.ndarray
    clear: np.ndarray


def dominant_centres(unit: np.ndarray, owner: np.ndarray) -> DominantCentres:
    """Return the sub-centre of each identity that most of its embeddings are nearest to.

    The sub-centres are those of spherical k-means, begun with the embedding that is most similar
    to all, and then each time with the one that is least similar to the nearest so far. Among those
    with equally many members, the one more similar to all embeddings of the identity is dominant.

    Args:
        unit: (N, D) float32 unit rows.
        owner: (N,) identities 0 … C - 1.
    """
    order = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[order], np.arange(int(owner.max()) + 2))
    centre = np.zeros((len(starts) - 1, unit.shape[1]), np.float32)
    similarity, clear = np.ones(len(unit), np.float32), np.ones(len(centre), bool)
    for identity in range(len(centre)):
        rows = order[starts[identity] : starts[identity + 1]]
        centre[identity], clear[identity] = _dominant(unit[rows])
        similarity[rows] = unit[rows] @ centre[identity]
    return DominantCentres(centre, similarity, clear)


def _dominant(members: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return (D,) the dominant sub-centre of (n, D) members, and whether there is one."""
    if len(members) == 1:
        return members[0], True
    count = min(SUBCENTRES, len(members))
    nearest = members @ members.sum(axis=0)
    chosen = [int(nearest.argmax())]
    nearest = members @ members[chosen[0]]
    for _ in range(count - 1):
        chosen.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, members @ members[chosen[-1]])
    centres, label = members[chosen].copy(), np.full(len(members), -1)
    for _ in range(_ROUNDS):
        before, label = label, (members @ centres.T).argmax(axis=1)
        if (before == label).all():
            break
        for one in range(count):
            total = members[label == one].sum(axis=0)
            length = np.linalg.norm(total)
            if length > 0:
                centres[one] = total / length
    sizes, support = np.bincount(label, minlength=count), (members @ centres.T).sum(axis=0)
    best = max(range(count), key=lambda one: (sizes[one], support[one]))
    rivals = (sizes == sizes[best]) & (support >= support[best] - _EQUAL)
    return centres[best], bool(rivals.sum() == 1)
