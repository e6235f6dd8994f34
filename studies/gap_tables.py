"""TAR, recall and R² of several arms in groups of a gap, with intervals over identities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from arcwise import evaluation
from arcwise.evaluation import MateGap
from arcwise.evaluation.intervals import multiplicities, percentile_interval
from arcwise.protocols.pair_groups import bin_names

SEEDS, FAR = (0, 1, 2), 1e-2
ALONE, BOTH = "arcface", "arcface + length"


@dataclass(frozen=True, eq=False)
class Measured:
    """Identities that are compared with each other, as every arm and seed embeds them.

    Attributes:
        ids: (N,) the identity of each image.
        values: (N,) its age, blur or view.
        vectors: by arm, (N, D) unit vectors a seed.
        told: by arm, (N,) the value that the length tells, a seed.
        chosen: settings of the arm with the length that were chosen.
    """

    ids: np.ndarray
    values: np.ndarray
    vectors: Mapping[str, Sequence[np.ndarray]]
    told: Mapping[str, Sequence[np.ndarray]]
    chosen: Sequence[str] = ()


def tar_all(vectors: np.ndarray, ids: np.ndarray) -> float:
    """Return TAR at FAR 1 % of all pairs."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    a, b = np.triu_indices(len(ids), 1)
    same = ids[a] == ids[b]
    return float(tars((unit[a] * unit[b]).sum(1), same, [np.ones(len(a))])[0])


def tars(scores: np.ndarray, same: np.ndarray, weights: Iterable[np.ndarray]) -> np.ndarray:
    """Return TAR at FAR 1 % of (P,) pairs, once for every number of times that each counts."""
    impostors, mated = np.flatnonzero(~same), np.flatnonzero(same)
    impostors = impostors[np.argsort(-scores[impostors])]
    mated = mated[np.argsort(-scores[mated])]
    above = np.searchsorted(-scores[mated], -scores[impostors])  # mated pairs over each impostor
    found = []
    for times in weights:
        passed = np.cumsum(times[impostors])
        first = int(np.searchsorted(passed, FAR * passed[-1], side="right"))
        accepted = np.cumsum(times[mated])
        count = above[min(first, len(above) - 1)]
        found.append((accepted[count - 1] if count else 0.0) / accepted[-1])
    return np.array(found)


def tables(parts: list[Measured], edges: tuple[float, float]) -> dict[str, Any]:
    """Return TAR and recall@1 in every group of gaps, and R², of every arm, with intervals."""
    first = parts[0]
    every = np.concatenate([part.ids for part in parts])
    people, owner = np.unique(every, return_inverse=True)
    draws = list(multiplicities(len(people), 200, 0))
    gaps: list[np.ndarray] = []
    sides: list[np.ndarray] = []
    scores = {arm: [[] for _ in SEEDS] for arm in first.vectors}
    start = 0
    for part in parts:
        a, b = np.triu_indices(len(part.ids), 1)
        gaps.append(np.abs(part.values[a] - part.values[b]))
        sides.append(owner[np.stack([a, b]) + start])
        for arm, made in part.vectors.items():
            for seed, unit in enumerate(made):
                scores[arm][seed].append((unit[a] * unit[b]).sum(1))
        start += len(part.ids)
    gap, (a, b) = np.concatenate(gaps), np.concatenate(sides, axis=1)
    groups = {"all": np.ones(len(gap), bool)}
    for name, low, high in zip(bin_names(edges), (-1, *edges), (*edges, np.inf), strict=True):
        groups[name] = (gap > low) & (gap <= high)
    rates: dict[str, Any] = {}
    for name, chosen in groups.items():
        same = a[chosen] == b[chosen]
        weights = [np.ones(same.size), *(m[a[chosen]] * m[b[chosen]] for m in draws)]
        drawn = {
            arm: np.mean([tars(np.concatenate(one)[chosen], same, weights) for one in made], 0)
            for arm, made in scores.items()
        }
        rates[name] = {"mated": int(same.sum()), "impostors": int((~same).sum())}
        rates[name] |= with_interval(drawn)
    return {
        "tar": rates,
        "recall": {name: recall(parts, low, high) for name, low, high in zip(
            bin_names(edges), (-1, *edges), (*edges, np.inf), strict=True)},
        "r2": r_squared(parts, owner, draws),
        "chosen": [one for part in parts for one in part.chosen],
        "identities": len(people),
    }  # fmt: skip


def with_interval(drawn: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return value, low and high of every arm, and of what the length adds to ArcFace alone."""
    found = {**drawn, "difference": drawn[BOTH] - drawn[ALONE]}
    return {
        arm: [float(one[0]), *percentile_interval(one[1:])] for arm, one in found.items()
    }  # fmt: skip


def recall(parts: list[Measured], above: float, up_to: float) -> dict[str, Any]:
    """Return recall@1 among the identities of a part, of mates at a gap; mean over the seeds."""
    hits: dict[str, list[np.ndarray]] = {arm: [] for arm in parts[0].vectors}
    owners = []
    for part in parts:
        gap = MateGap(part.values, above=above, up_to=up_to)
        for arm, made in part.vectors.items():
            found = [evaluation.retrieval(one, part.ids, gap=gap, draws=1) for one in made]
            hits[arm].append(np.mean([one.rank == 1 for one in found], axis=0))
        owners.append(np.unique(part.ids)[found[0].owner])
    people, owner = np.unique(np.concatenate(owners), return_inverse=True)
    sizes = np.bincount(owner)
    counts = [np.ones(len(people)), *multiplicities(len(people), 200, 0)]
    drawn = {}
    for arm, values in hits.items():
        sums = np.bincount(owner, np.concatenate(values))
        drawn[arm] = np.array([m @ sums / (m @ sizes) for m in counts])
    return {"queries": len(owner)} | with_interval(drawn)


def r_squared(
    parts: list[Measured], owner: np.ndarray, draws: Sequence[np.ndarray]
) -> dict[str, Any]:
    """Return the share of the variance that the told values explain; mean over the seeds."""
    values = np.concatenate([part.values for part in parts])
    drawn = {}
    for arm in parts[0].told:
        told = [
            np.concatenate([part.told[arm][seed] for part in parts]) for seed in range(len(SEEDS))
        ]
        rows = []
        for counts in (np.ones(owner.max() + 1), *draws):
            w = counts[owner]
            spread = (w * np.square(values - (w @ values) / w.sum())).sum()
            rows.append(np.mean([1 - (w * np.square(values - one)).sum() / spread for one in told]))
        drawn[arm] = np.array(rows)
    return with_interval(drawn)
