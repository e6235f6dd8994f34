"""Metrics of one run over all pairs of its images, and again with each identity left out."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from arcwise.evaluation.roc import Curve, counts_above

METRICS = ("tar", "recall_at_1", "eer")
"""The metrics, in the order of every array of them."""


@dataclass(frozen=True)
class JackknifedMetrics:
    """The metrics of one run.

    Attributes:
        value: (3,) TAR at the false-accept rate, recall@1 leave-one-out, and EER.
        left_out: (I, 3) the same without the images of each identity.
    """

    value: np.ndarray
    left_out: np.ndarray


def jackknifed_metrics(unit: np.ndarray, codes: np.ndarray, far: float) -> JackknifedMetrics:
    """Return the metrics of (M, D) rows, exact with ties; it takes M² similarities of memory.

    Args:
        unit: (M, D) float32 unit rows.
        codes: (M,) int64 identities, ascending from 0; without any one of them, some pairs of
            both kinds are left.
        far: the false-accept rate of the TAR.
    """
    similarity = unit @ unit.T
    starts = np.searchsorted(codes, np.arange(codes[-1] + 2))
    recall = _recalls(similarity, codes, starts)
    pairs = _pair_metrics(similarity, codes, starts, far)
    metrics = np.stack([pairs[:, 0], recall, pairs[:, 1]], axis=1)
    return JackknifedMetrics(metrics[0], metrics[1:])


def _pair_metrics(
    similarity: np.ndarray, codes: np.ndarray, starts: np.ndarray, far: float
) -> np.ndarray:
    """Return (1 + I, 2) TAR and EER: of all images, then without each identity."""
    row, column = np.nonzero(np.triu(codes[:, None] == codes, 1))
    distinct, place = np.unique(similarity[row, column], return_inverse=True)
    owner, counts = codes[row], np.bincount(place)
    # Every impostor pair of one identity with another stands in the rows of both.
    impostor = np.concatenate([similarity[a:b, b:].ravel() for a, b in pairwise(starts)])
    above, at_or_above = counts_above(distinct, np.sort(impostor)[::-1])
    curves = [Curve(counts, above, at_or_above, len(impostor))]
    metrics = [(curves[0].tar(far), curves[0].eer())]
    for identity, (a, b) in enumerate(pairwise(starts)):
        own = np.concatenate([similarity[a:b, :a].ravel(), similarity[a:b, b:].ravel()])
        own_above, own_at_or_above = counts_above(distinct, np.sort(own)[::-1])
        curve = Curve(
            counts - np.bincount(place[owner == identity], minlength=len(counts)),
            above - own_above,
            at_or_above - own_at_or_above,
            len(impostor) - len(own),
        )
        metrics.append((curve.tar(far), curve.eer()))
    return np.array(metrics)


def _recalls(similarity: np.ndarray, codes: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return (1 + I,) recall@1: of all images, then without each identity.

    Of equal similarities the wrong one comes first. Only an image whose nearest wrong identity is
    left out is answered otherwise then.
    """
    every = np.arange(len(codes))
    nearest = similarity.copy()
    nearest[every, every] = -np.inf
    nearest = np.maximum.reduceat(nearest, starts[:-1], axis=1)
    own = nearest[every, codes]
    nearest[every, codes] = -np.inf
    rival = nearest.argmax(axis=1)
    hit = own > nearest[every, rival]
    nearest[every, rival] = -np.inf
    hit_without_rival = own > nearest.max(axis=1)

    sizes = np.diff(starts)
    searched = sizes[codes] > 1
    hits = np.bincount(codes, hit & searched, minlength=len(sizes))
    won = np.bincount(rival, hit_without_rival & ~hit & searched, minlength=len(sizes))
    images = np.where(sizes > 1, sizes, 0)
    left = (hits.sum() - hits + won) / (images.sum() - images)
    return np.concatenate([[hits.sum() / images.sum()], left])


def enough_identities(codes: np.ndarray) -> bool:
    """Return whether without any one identity some pairs of both kinds are left."""
    sizes = np.bincount(codes)
    return len(sizes) > 2 and int(np.count_nonzero(sizes > 1)) > 1
