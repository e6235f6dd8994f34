"""The losses between samples, one pair and one triplet at a time, in float64 with math.acos."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

Vector = Sequence[float]
Rows = Sequence[Vector]


def cosine(a: Vector, b: Vector) -> float:
    """0 where one has no direction; exactly ±1 where rounding alone keeps it from that."""
    lengths = math.hypot(*a) * math.hypot(*b)
    if not lengths:
        return 0.0
    found = math.fsum(p * q for p, q in zip(a, b, strict=True)) / lengths
    return math.copysign(1.0, found) if abs(found) > 1 - 1e-14 else found


def angle(a: Vector, b: Vector) -> float:
    return math.acos(cosine(a, b))


def squared(a: Vector, b: Vector) -> float:
    return 2 - 2 * cosine(a, b)


def chord(a: Vector, b: Vector) -> float:
    return math.sqrt(2 - 2 * cosine(a, b))


Measure = Callable[[Vector, Vector], float]


def positives(labels: Sequence[int], a: int) -> list[int]:
    return [i for i, y in enumerate(labels) if i != a and y == labels[a] >= 0]


def negatives(labels: Sequence[int], a: int) -> list[int]:
    return [i for i, y in enumerate(labels) if labels[a] >= 0 and y >= 0 and y != labels[a]]


def every_triplet(labels: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    for a in range(len(labels)):
        for p, n in itertools.product(positives(labels, a), negatives(labels, a)):
            yield a, p, n


def hardest(x: Rows, labels: Sequence[int], d: Measure) -> Iterator[tuple[int, int, int]]:
    for a in range(len(labels)):
        same, other = positives(labels, a), negatives(labels, a)
        if same and other:
            p = max(same, key=lambda i: d(x[a], x[i]))
            n = min(other, key=lambda i: d(x[a], x[i]))
            yield a, p, n


def semi_hard(
    x: Rows, labels: Sequence[int], d: Measure, margin: float
) -> dict[tuple[int, int], set[int]]:
    """For each anchor and later positive the negatives that may be drawn.

    The rule of pick_triplets in insightface 2365ddddef, recognition/ArcFace/triplet_image_iter.py:
    ``neg - pos < alpha`` and ``pos < neg``, own class left out.
    """
    found = {}
    for a in range(len(labels)):
        for p in positives(labels, a):
            if a < p:
                pos = d(x[a], x[p])
                found[a, p] = {
                    n
                    for n in negatives(labels, a)
                    if d(x[a], x[n]) - pos < margin and pos < d(x[a], x[n])
                }
    return found


def triplet(
    x: Rows, chosen: Sequence[tuple[int, int, int]], d: Measure, margin: float, mean: str = "active"
) -> float:
    hinges = [max(0.0, d(x[a], x[p]) - d(x[a], x[n]) + margin) for a, p, n in chosen]
    counted = [h for h in hinges if h > 0 or mean == "all"]
    return math.fsum(counted) / max(len(counted), 1)


def contrastive(x: Rows, labels: Sequence[int], d: Measure, margin: float) -> float:
    pull, push = [], []
    for a in range(len(labels)):
        pull += [d(x[a], x[p]) ** 2 / 2 for p in positives(labels, a)]
        hinges = [max(0.0, margin - d(x[a], x[n])) for n in negatives(labels, a)]
        push += [h * h / 2 for h in hinges if h > 0]
    return math.fsum(pull) / max(len(pull), 1) + math.fsum(push) / max(len(push), 1)


def circle(x: Rows, labels: Sequence[int], m: float, scale: float) -> float:
    losses = []
    for a in range(len(labels)):
        same = [cosine(x[a], x[p]) for p in positives(labels, a)]
        other = [cosine(x[a], x[n]) for n in negatives(labels, a)]
        if same and other:
            pull = math.fsum(math.exp(-scale * max(0, 1 + m - s) * (s - 1 + m)) for s in same)
            push = math.fsum(math.exp(scale * max(0, s + m) * (s - m)) for s in other)
            losses.append(math.log1p(pull * push))
    return math.fsum(losses) / max(len(losses), 1)


def supervised_contrastive(x: Rows, labels: Sequence[int], temperature: float) -> float:
    losses = []
    for a in range(len(labels)):
        same = positives(labels, a)
        if same:
            every = math.fsum(
                math.exp(cosine(x[a], x[b]) / temperature) for b in same + negatives(labels, a)
            )
            losses.append(
                -math.fsum(
                    math.log(math.exp(cosine(x[a], x[p]) / temperature) / every) for p in same
                )
                / len(same)
            )
    return math.fsum(losses) / max(len(losses), 1)
