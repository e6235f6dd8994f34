"""How far apart on the sphere: histograms of the angles of mated and of impostor pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.blocks import upper_blocks
from arcwise.evaluation.scored import scored_pairs

BINS = 180
_ROUNDING = 1e-3  # of cosines in half precision


@dataclass(frozen=True, eq=False)
class Angles:
    """Counts of pairs by angle (ArcFace, figures 6 and 7).

    Attributes:
        edges: (B + 1,) radians, 0 to π.
        mated: (B,) pairs of one identity.
        impostor: (B,) pairs of two identities.
    """

    edges: np.ndarray
    mated: np.ndarray
    impostor: np.ndarray


def angles(similarity: np.ndarray, same: np.ndarray, bins: int = BINS) -> Angles:
    """Return the histograms of scored pairs.

    Args:
        similarity: (N,) cosines.
        same: (N,) bool.
        bins: number of equal bins from 0 to π.

    Raises:
        ArcwiseError: lengths differ, a score is no cosine, or all pairs are of one kind.
    """
    pairs = scored_pairs(similarity, same)
    reach = float(np.abs(pairs.similarity).max())
    if reach > 1.0 + _ROUNDING:
        raise ArcwiseError(f"similarity reaches ±{reach:g}, expected cosines, from -1 to 1")
    edges = np.linspace(0.0, math.pi, bins + 1)
    mated, impostor = pairs.similarity[pairs.same], pairs.similarity[~pairs.same]
    return Angles(edges, _count(mated, edges), _count(impostor, edges))


def angles_from_embeddings(
    embeddings: np.ndarray, ids: inputs.Identities, bins: int = BINS
) -> Angles:
    """Return the histograms of all pairs, block by block.

    Args:
        embeddings: (N, D) embeddings; scaled to unit length here.
        ids: (N,) identities.
        bins: number of equal bins from 0 to π.
    """
    unit = inputs.embeddings("embeddings", embeddings)
    codes = inputs.codes("ids", ids, len(unit))
    edges = np.linspace(0.0, math.pi, bins + 1)
    mated, impostor = np.zeros(bins, np.int64), np.zeros(bins, np.int64)
    for block in upper_blocks(unit, codes):
        mated += _count(block.similarity[block.mated], edges)
        impostor += _count(block.similarity[block.impostor], edges)
    return Angles(edges, mated, impostor)


def _count(cosines: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return (B,) int64 counts of the cosines' angles."""
    # In float32 the angle of -1 is above π, and would be lost.
    angle = np.arccos(np.clip(cosines, -1.0, 1.0), dtype=np.float64)
    counts, _ = np.histogram(angle, edges)
    return counts.astype(np.int64)
