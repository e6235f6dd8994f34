"""Embeddings and pairs of the sizes that the protocols have, drawn from a seed.

An identity is a direction at random. Its images lie around it, so far that a few in a hundred mated
pairs are lost at a false-accept rate of 1e-4.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DIM = 512
SPREAD = 1.8
"""Length of what an image adds to its identity's direction, which has length 1."""

FARS = (1e-1, 1e-2, 1e-3, 1e-4)
FPIRS = (1e-1, 1e-2, 1e-3)
Figures = dict[str, float]
"""What both ways to a protocol have to agree on."""


@dataclass(frozen=True)
class Pairs:
    """Listed pairs of images.

    Attributes:
        embeddings: (N, D) float32.
        ids: (N,) int64.
        first: (P,) int64 rows of one side.
        second: (P,) int64 rows of the other.
    """

    embeddings: np.ndarray
    ids: np.ndarray
    first: np.ndarray
    second: np.ndarray


@dataclass(frozen=True)
class Scored:
    """Pairs that are scored already.

    Attributes:
        similarity: (P,) float32.
        same: (P,) bool.
        first: (P,) int64 identities of one side.
        second: (P,) int64 of the other.
    """

    similarity: np.ndarray
    same: np.ndarray
    first: np.ndarray
    second: np.ndarray


@dataclass(frozen=True)
class Faces:
    """Embeddings (N, D) float32 of identities (N,) int64."""

    embeddings: np.ndarray
    ids: np.ndarray


@dataclass(frozen=True)
class Search:
    """Probes, the second half of them of nobody in the gallery."""

    probes: Faces
    gallery: Faces


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def faces(ids: np.ndarray, people: int, draw: np.random.Generator) -> Faces:
    """An image of each of the ids, which are below `people`."""
    rows = unit(draw.standard_normal((people, DIM), np.float32))[ids]
    for start in range(0, len(rows), 1000):
        part = rows[start : start + 1000]
        part += (
            SPREAD / np.sqrt(DIM, dtype=np.float32) * draw.standard_normal(part.shape, np.float32)
        )
    return Faces(rows, ids)


def ijbc(scale: float) -> Pairs:
    """1:1 of IJB-C: 23,124 templates of 3,531 people, 15,658,489 pairs, 19,557 of them mated."""
    draw = np.random.default_rng(0)
    people = count(3_531, scale)
    ids = np.sort(draw.integers(0, people, count(23_124, scale)))
    templates = faces(ids, people, draw)
    first, second = mated(ids, count(19_557, scale), draw)
    others = impostors(ids, count(15_638_932, scale), draw)
    both = np.concatenate([first, others[0]]), np.concatenate([second, others[1]])
    order = draw.permutation(len(both[0]))
    return Pairs(templates.embeddings, ids, both[0][order], both[1][order])


def lfw(scale: float) -> Scored:
    """6,000 pairs of 4,000 people, half of them mated, each kind after the other."""
    draw = np.random.default_rng(1)
    half, people = count(6_000, scale) // 2, count(4_000, scale)
    ids = np.repeat(np.arange(people), 2)
    rows = unit(faces(ids, people, draw).embeddings)
    kinds = zip(mated(ids, half, draw), impostors(ids, half, draw), strict=True)
    first, second = (np.stack(side, axis=1).ravel() for side in kinds)
    similarity = (rows[first] * rows[second]).sum(axis=1)
    return Scored(similarity, ids[first] == ids[second], ids[first], ids[second])


def everyone(scale: float) -> Faces:
    """13,000 faces of 5,700 people, of all pairs of which an ROC is made."""
    draw = np.random.default_rng(2)
    people = count(5_700, scale)
    return faces(draw.integers(0, people, count(13_000, scale)), people, draw)


def watchlist(scale: float) -> Search:
    """20,000 probes in a gallery of 100,000, an image each."""
    draw = np.random.default_rng(3)
    entries, probes = count(100_000, scale), count(20_000, scale)
    people = entries + probes // 2
    chosen = np.concatenate([draw.permutation(entries)[: probes - probes // 2],
                            entries + np.arange(probes // 2)])  # fmt: skip
    every = faces(np.concatenate([np.arange(entries), chosen]), people, draw)
    part = slice(0, entries), slice(entries, None)
    gallery, probe = (Faces(every.embeddings[rows], every.ids[rows]) for rows in part)
    return Search(probe, gallery)


def count(full: int, scale: float) -> int:
    """So many of the full size, a hundred at least."""
    return max(100, round(full * scale))


def mated(ids: np.ndarray, pairs: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rows of so many pairs of one identity each, or of all that there are."""
    order = np.argsort(ids, kind="stable")
    place = [
        (order[: len(ids) - apart], order[apart:]) for apart in range(1, np.bincount(ids).max())
    ]
    first, second = (np.concatenate(side) for side in zip(*place, strict=True))
    same = np.flatnonzero(ids[first] == ids[second])
    chosen = draw.permutation(same)[:pairs]
    return first[chosen], second[chosen]


def impostors(
    ids: np.ndarray, pairs: int, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of so many pairs of two identities."""
    rows = draw.integers(0, len(ids), (2, pairs))
    while len(again := np.flatnonzero(ids[rows[0]] == ids[rows[1]])):
        rows[:, again] = draw.integers(0, len(ids), (2, len(again)))
    return rows[0], rows[1]
