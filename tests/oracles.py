"""Slow, obvious references in float64, written from the formulas and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

Psi = Callable[[float], float]
"""Angle in radians → target value ψ(cos θ)."""


def normsoftmax(theta: float) -> float:
    return math.cos(theta)


def cosface(m: float) -> Psi:
    return lambda theta: math.cos(theta) - m


def arcface(m: float) -> Psi:
    def psi(theta: float) -> float:
        if theta + m <= math.pi:
            return math.cos(theta + m)
        return -2.0 - math.cos(theta + m)

    return psi


def margin_softmax(
    embeddings: np.ndarray, centres: np.ndarray, labels: Sequence[int], psi: Psi, scale: float
) -> float:
    """The loss, one sample and one class at a time."""
    total, counted = 0.0, 0
    for embedding, label in zip(embeddings, labels, strict=True):
        if label < 0:
            continue
        logits = []
        for j, centre in enumerate(centres):
            lengths = math.hypot(*embedding) * math.hypot(*centre)
            cosine = math.fsum(embedding * centre) / lengths if lengths else 0.0
            cosine = min(1.0, max(-1.0, cosine))
            logits.append(scale * (psi(math.acos(cosine)) if j == label else cosine))
        top = max(logits)
        total += top + math.log(math.fsum(math.exp(z - top) for z in logits)) - logits[label]
        counted += 1
    return total / max(counted, 1)
