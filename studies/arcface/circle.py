"""Classes on a circle: how far their samples are from their direction, and the gaps between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SECTOR = 0.9
"""Share of a class's samples that its sector holds, as many left out on either side."""


@dataclass(frozen=True, eq=False)
class Circle:
    """Where the classes lie.

    Attributes:
        directions: (C,) radians, of each class's mean embedding.
        spread: degrees, mean angle of a sample to its class's direction.
        gaps: (C,) degrees from each class's sector to the nearer one of its two neighbours';
            negative where they overlap.
    """

    directions: np.ndarray
    spread: float
    gaps: np.ndarray


def circle(embeddings: np.ndarray, labels: np.ndarray) -> Circle:
    """Of (N, 2) unit embeddings with (N,) labels 0..C-1, each there at least once."""
    angles = np.arctan2(embeddings[:, 1], embeddings[:, 0])
    classes = range(int(labels.max()) + 1)
    means = np.array([embeddings[labels == c].mean(0) for c in classes])
    directions = np.arctan2(means[:, 1], means[:, 0])
    off = wrapped(angles - directions[labels])
    ends = np.array(
        [np.quantile(off[labels == c], [(1 - SECTOR) / 2, (1 + SECTOR) / 2]) for c in classes]
    )
    order = np.argsort(directions)
    following = np.roll(order, -1)
    between = np.mod(directions[following] - directions[order], 2 * np.pi)
    after = between - ends[order, 1] + ends[following, 0]
    gaps = np.empty(len(order))
    gaps[order] = np.minimum(after, np.roll(after, 1))
    return Circle(directions, float(np.degrees(np.abs(off).mean())), np.degrees(gaps))


def wrapped(angles: np.ndarray) -> np.ndarray:
    """The same angles between -π and π."""
    return np.mod(angles + np.pi, 2 * np.pi) - np.pi


def nearest(embeddings: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """(N,) which of (C,) directions each of (N, 2) embeddings is nearest to."""
    return (embeddings @ points(directions).T).argmax(1)


def points(directions: np.ndarray) -> np.ndarray:
    """(C, 2), where (C,) radians meet the circle."""
    return np.stack([np.cos(directions), np.sin(directions)], 1)
