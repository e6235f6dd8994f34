"""The obvious way to each protocol's numbers, with numpy and scikit-learn; no intervals."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import auc, roc_curve
from sklearn.model_selection import KFold

from .problems import FARS, FPIRS, Faces, Figures, Pairs, Scored, Search, unit

BATCH = 100_000
"""Pairs at a time, as insightface's script for IJB gathers them."""


def roc(same: np.ndarray, similarity: np.ndarray, weight: np.ndarray | None = None) -> Figures:
    """Area, equal-error rate and the largest TAR within each FAR."""
    far, tar, _ = roc_curve(same, similarity, sample_weight=weight, drop_intermediate=False)
    crossing = np.argmin(np.abs(far - (1 - tar)))
    rates = {"AUC": auc(far, tar), "EER": (far[crossing] + 1 - tar[crossing]) / 2}
    return rates | {f"TAR@{rate:g}": tar[far <= rate].max() for rate in FARS}


def listed(problem: Pairs) -> Figures:
    """Both rows of each pair gathered, batch by batch, and one ROC."""
    rows, similarity = unit(problem.embeddings), []
    for start in range(0, len(problem.first), BATCH):
        part = slice(start, start + BATCH)
        similarity.append((rows[problem.first[part]] * rows[problem.second[part]]).sum(axis=1))
    same = problem.ids[problem.first] == problem.ids[problem.second]
    return roc(same, np.concatenate(similarity))


def folds(problem: Scored) -> Figures:
    """LFW's script as it is copied everywhere: 400 thresholds, each fold by the nine others."""
    same, distance, thresholds = problem.same, 2 - 2 * problem.similarity, np.arange(0, 4, 0.01)
    accuracy = []
    for train, test in KFold(10).split(distance):
        right = [((distance[train] < t) == same[train]).mean() for t in thresholds]
        best = thresholds[np.argmax(right)]
        accuracy.append(((distance[test] < best) == same[test]).mean())
    return {"accuracy": float(np.mean(accuracy))}


def all_pairs(problem: Faces) -> Figures:
    """The whole matrix, its upper triangle, one ROC."""
    rows = unit(problem.embeddings)
    first, second = np.triu_indices(len(rows), 1)
    return roc(problem.ids[first] == problem.ids[second], (rows @ rows.T)[first, second])


def bootstrap(problem: Scored, draws: int) -> Figures:
    """One weighted ROC for each draw of identities; how wide the middle 95 % are."""
    generator, first, second = np.random.default_rng(0), problem.first, problem.second
    people, drawn = int(max(first.max(), second.max())) + 1, []
    for _ in range(draws):
        times = np.bincount(generator.integers(people, size=people), minlength=people)
        weight = np.where(problem.same, times[first], times[first] * times[second])
        drawn.append(roc(problem.same, problem.similarity, weight))
    return {
        name: float(np.subtract(*np.quantile([each[name] for each in drawn], [0.975, 0.025])))
        for name in drawn[0]
    }


def search(problem: Search) -> Figures:
    """The five best of each probe, a thousand probes at a time."""
    gallery, ids = unit(problem.gallery.embeddings), problem.gallery.ids
    rank_1, rank_5, best = [], [], []
    for start in range(0, len(problem.probes.ids), 1000):
        part = slice(start, start + 1000)
        similarity = unit(problem.probes.embeddings[part]) @ gallery.T
        five = np.argpartition(similarity, -5, axis=1)[:, -5:]
        score = np.take_along_axis(similarity, five, axis=1)
        first = np.take_along_axis(five, score.argmax(axis=1)[:, None], axis=1)
        owner = problem.probes.ids[part, None]
        rank_1.append((ids[first] == owner).any(axis=1))
        rank_5.append((ids[five] == owner).any(axis=1))
        best.append(score.max(axis=1))
    right, top = np.concatenate(rank_1), np.concatenate(best)
    known = np.isin(problem.probes.ids, ids)
    rates = {"rank-1": right[known].mean(), "rank-5": np.concatenate(rank_5)[known].mean()}
    for fpir in FPIRS:
        falling = np.sort(top[~known])[::-1]
        threshold = falling[int(fpir * len(falling))]
        rates[f"DIR@{fpir:g}"] = (right & (top > threshold))[known].mean()
    return rates
