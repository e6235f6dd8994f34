"""Slow, obvious references in float64, written from the formulas and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

Psi = Callable[[float], float]
"""Angle in radians → target value ψ(cos θ)."""

LengthPsi = Callable[[float, float], float]
"""Angle and length of the embedding → target value."""

Negatives = Callable[[float, float], float]
"""Cosine to another class and the target's value → the other class's value."""


def falling(phi: float) -> float:
    """The cosine of an angle, reflected at every multiple of π so that it goes on falling."""
    k = math.floor(phi / math.pi)
    return (-1) ** k * math.cos(phi) - 2 * k


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


def arcface_linear(m: float) -> Psi:
    def psi(theta: float) -> float:
        if theta + m < math.pi:
            return math.cos(theta + m)
        return math.cos(theta) - m * math.sin(m)

    return psi


def arcface_easy(m: float) -> Psi:
    return lambda theta: arcface(m)(theta) if theta < math.pi / 2 else math.cos(theta)


def combined(m1: float, m2: float, m3: float) -> Psi:
    return lambda theta: falling(m1 * theta + m2) - m3


def sphereface(m: float, plain: float = 0.0) -> Psi:
    return lambda theta: (plain * math.cos(theta) + falling(m * theta)) / (1 + plain)


def annealing(step: int, base: float, gamma: float, power: float, least: float) -> float:
    return max(least, base / (1 + gamma * step) ** power)


def adaface(m: float, h: float, mean: float, std: float) -> LengthPsi:
    def psi(theta: float, length: float) -> float:
        z = h * (min(100.0, max(0.001, length)) - mean) / (std + 0.001)
        z = min(1.0, max(-1.0, z))
        return falling(theta - m * z) - (m * z + m)

    return psi


def magface_margin(length: float, l_a: float, u_a: float, l_m: float, u_m: float) -> float:
    a = min(u_a, max(l_a, length))
    return l_m + (u_m - l_m) * (a - l_a) / (u_a - l_a)


def magface(l_a: float, u_a: float, l_m: float, u_m: float) -> LengthPsi:
    return lambda theta, length: falling(theta + magface_margin(length, l_a, u_a, l_m, u_m))


def magface_penalty(l_a: float, u_a: float, weight: float) -> Callable[[float], float]:
    def penalty(length: float) -> float:
        a = min(u_a, max(l_a, length))
        return weight * (1 / a + a / u_a**2)

    return penalty


def supportvector(t: float) -> Negatives:
    return lambda u, value: t * u + t - 1 if u > value else u


def mv_fixed(t: float) -> Negatives:
    return lambda u, value: u + (t - 1) if u > value else u


def curricularface(t: float) -> Negatives:
    return lambda u, value: u * (t + u) if u > value else u


def filtered(threshold: float, abnormal: float) -> Negatives:
    return lambda u, value: abnormal if u > threshold else u


def pooled_set(rows: Sequence[Sequence[float]], weights: Sequence[float]) -> list[float]:
    """R = Σ μ r / Σ μ over directions r (QAN, equation 2)."""
    total = [0.0] * len(rows[0])
    for row, weight in zip(rows, weights, strict=True):
        length = math.sqrt(sum(value * value for value in row))
        for place, value in enumerate(row):
            total[place] += weight * value / length
    return [value / sum(weights) for value in total]


def margin_softmax(
    embeddings: np.ndarray,
    centres: np.ndarray,
    labels: Sequence[int],
    psi: Psi | LengthPsi,
    scale: float,
    *,
    with_length: bool = False,
    negatives: Negatives = lambda u, value: u,
    penalty: Callable[[float], float] = lambda length: 0.0,
) -> float:
    """The loss, one sample and one class at a time; psi takes the length too if so said."""
    total, counted = 0.0, 0
    for embedding, label in zip(embeddings, labels, strict=True):
        if label < 0:
            continue
        length = math.hypot(*embedding)
        cosines = []
        for centre in centres:
            lengths = length * math.hypot(*centre)
            cosine = math.fsum(embedding * centre) / lengths if lengths else 0.0
            cosines.append(min(1.0, max(-1.0, cosine)))
        theta = math.acos(cosines[label])
        value = psi(theta, length) if with_length else psi(theta)  # type: ignore[call-arg]
        logits = [
            scale * (value if j == label else negatives(u, value)) for j, u in enumerate(cosines)
        ]
        top = max(logits)
        total += top + math.log(math.fsum(math.exp(z - top) for z in logits)) - logits[label]
        total += penalty(length)
        counted += 1
    return total / max(counted, 1)


def described_walk(
    pairs: np.ndarray, weight: np.ndarray, labels: np.ndarray, directed: bool
) -> float:
    """Return the map equation's code length, from the entropies of its codebooks.

    The links' flow of a directed walk comes from the stationary distribution of the whole matrix
    with teleportation to the sources of links, of which only the followed links count.
    """
    count = len(labels)
    links = np.zeros((count, count))
    for (a, b), value in zip(pairs.tolist(), weight.tolist(), strict=True):
        links[a, b] += value
        if not directed:
            links[b, a] += value
    if directed:
        leaving = links.sum(axis=1)
        again = leaving / leaving.sum()
        step = np.array([row / row.sum() if row.sum() else again for row in links])
        google = 0.85 * step + 0.15 * again
        visits = np.linalg.matrix_power(google, 4000)[0]
        links = visits[:, None] * np.array(
            [row / row.sum() if row.sum() else 0 * row for row in links]
        )
    flow = links / links.sum()
    node = flow.sum(axis=0)

    def entropy(rates: list[float]) -> float:
        """Return total rate × entropy of the shares."""
        whole = sum(rates)
        return -sum(r * math.log2(r / whole) for r in rates if r > 0)

    within = labels[:, None] == labels
    enters = [float(flow[np.ix_(labels != m, labels == m)].sum()) for m in set(labels.tolist())]
    total = entropy(enters)
    for m in set(labels.tolist()):
        exits = float((flow * ~within)[labels == m].sum())
        total += entropy([exits, *node[labels == m].tolist()])
    return total


def dominant_subcentre(members: list[list[float]], k: int = 3) -> tuple[list[float], bool]:
    """The sub-centre of most members (Deng et al., ECCV 2020), by spherical k-means in loops.

    Begun with the member most similar to all, then with the one least similar to the nearest.
    """
    if len(members) == 1:
        return members[0], True

    def dot(a: list[float], b: list[float]) -> float:
        return math.fsum(x * y for x, y in zip(a, b, strict=True))

    rows = range(len(members))
    chosen = [max(rows, key=lambda i: math.fsum(dot(members[i], one) for one in members))]
    while len(chosen) < min(k, len(members)):
        chosen.append(min(rows, key=lambda i: max(dot(members[i], members[j]) for j in chosen)))
    centres = [members[i] for i in chosen]
    label: list[int] = []
    for _ in range(100):
        new = [max(range(len(centres)), key=lambda j: dot(one, centres[j])) for one in members]
        if new == label:
            break
        label = new
        for j in range(len(centres)):
            inside = [members[i] for i in rows if label[i] == j]
            if inside:
                total = [math.fsum(values) for values in zip(*inside, strict=True)]
                length = math.sqrt(dot(total, total))
                centres[j] = [value / length for value in total]
    support = [math.fsum(dot(one, centre) for one in members) for centre in centres]
    rank = [(label.count(j), round(support[j], 4)) for j in range(len(centres))]
    best = max(rank)
    return centres[rank.index(best)], rank.count(best) == 1
