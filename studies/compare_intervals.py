"""How often the intervals of `evaluation.compare_runs` hold the truth: docs/compare-intervals.md.

    python studies/compare_intervals.py [--draws 300]

Embeddings are drawn from populations whose true means over all seeds and identities are known.
Four losses are compared: the baseline, two that are equal to it, and one that is better. An
experiment draws identities, images and seeds anew. About ten minutes of one core.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from arcwise.evaluation.identity_jackknife import METRICS, jackknifed_metrics
from arcwise.evaluation.roc import Curve, counts_above
from arcwise.evaluation.run_comparison import metric_comparison

PAGE = Path(__file__).parent.parent / "docs" / "compare-intervals.md"
FAR, LEVEL, IMAGES, DIM = 1e-2, 0.95, 15, 24
IDENTITIES, SEEDS = (8, 16, 40), (1, 3, 5)
LOSSES = {"baseline": 1.0, "equal": 1.0, "equal too": 1.0, "better": 0.85}
"""Scatter of each loss's images around their identity, relative to the baseline's."""
TITLES = {"tar": f"TAR at FAR {100 * FAR:g} %", "recall_at_1": "Recall@1", "eer": "EER"}


@dataclass(frozen=True)
class Population:
    """Standard deviations of what an embedding is the sum of, identities being 1 apart.

    Attributes:
        scatter: of an image around its identity, shared by all runs but for `own`.
        uneven: of the logarithm of an identity's scatter.
        kind: share of an identity's variance that is of its kind, one of twelve.
        by_loss: of what a loss does to an identity, with every seed.
        seed: of the logarithm of a run's scatter; half of its variance is of the seed, whatever
            the loss.
        by_run: of what a run does to an identity.
        own: share of an image's variance that is of the run.
    """

    scatter: float
    uneven: float
    kind: float
    by_loss: float
    seed: float
    by_run: float
    own: float = 0.4


POPULATIONS = {
    "medium": Population(1.0, 0.3, 0.3, 0.35, 0.05, 0.25),
    "near 1": Population(0.5, 0.3, 0.2, 0.25, 0.05, 0.2),
    "uneven seeds": Population(0.7, 0.3, 0.3, 0.15, 0.2, 0.15),
}


def runs(
    population: Population,
    scatters: Sequence[float],
    identities: int,
    images: int,
    quality: np.ndarray,
    rng: np.random.Generator,
) -> Iterator[np.ndarray]:
    """Yield (M, D) float32 unit rows of each run of (L, S) standard-normal qualities."""

    def normal(rows: int) -> np.ndarray:
        return rng.normal(size=(rows, DIM)).astype(np.float32) / np.float32(np.sqrt(DIM))

    kinds = np.random.default_rng(99).normal(size=(12, DIM)) / np.sqrt(DIM)
    centre = np.sqrt(1 - population.kind) * normal(identities)
    centre += np.sqrt(population.kind) * kinds[rng.integers(12, size=identities)]
    scatter = population.scatter * np.exp(population.uneven * rng.normal(size=identities))
    codes, image = np.repeat(np.arange(identities), images), normal(identities * images)
    for factor, qualities in zip(scatters, quality, strict=True):
        of_loss = centre + population.by_loss * normal(identities)
        for seed in qualities:
            place = of_loss + population.by_run * normal(identities)
            noise = np.sqrt(1 - population.own) * image
            noise += np.sqrt(population.own) * normal(len(image))
            width = (factor * np.exp(population.seed * seed) * scatter)[codes, None]
            rows = (place[codes] + width * noise).astype(np.float32)
            yield rows / np.linalg.norm(rows, axis=1, keepdims=True)


def pair_truth(population: Population, factor: float, repeats: int = 5) -> np.ndarray:
    """Return the mean TAR and EER over seeds, by Gauss's quadrature, of many identities."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(7)
    rng, total = np.random.default_rng(5), np.zeros(2)
    codes = np.repeat(np.arange(500), 6)
    same, upper = codes[:, None] == codes, np.triu(np.ones((len(codes),) * 2, dtype=bool), 1)
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        for _ in range(repeats):
            (rows,) = runs(population, [factor], 500, 6, np.array([[node]]), rng)
            similarity = rows @ rows.T
            distinct, counts = np.unique(similarity[same & upper], return_counts=True)
            impostors = np.sort(similarity[~same & upper])[::-1]
            curve = Curve(counts, *counts_above(distinct, impostors), len(impostors))
            total += weight / repeats * np.array([curve.tar(FAR), curve.eer()])
    return total


@dataclass(frozen=True)
class Experiments:
    """The metrics of E experiments: (E, L, S, 3), and (E, L, S, 3, I) without each identity."""

    values: np.ndarray
    left_out: np.ndarray


def experiments(population: Population, identities: int, draws: int, seed: int) -> Experiments:
    rng = np.random.default_rng([seed, identities])
    codes = np.repeat(np.arange(identities), IMAGES)
    shape, values, left_out = (len(LOSSES), max(SEEDS)), [], []
    for _ in range(draws):
        quality = np.sqrt(0.5) * (rng.normal(size=shape[1]) + rng.normal(size=shape))
        for rows in runs(population, tuple(LOSSES.values()), identities, IMAGES, quality, rng):
            metrics = jackknifed_metrics(rows, codes, FAR)
            values.append(metrics.value)
            left_out.append(metrics.left_out.T)
    return Experiments(
        np.reshape(values, (draws, *shape, 3)), np.reshape(left_out, (draws, *shape, 3, identities))
    )


@dataclass(frozen=True)
class Coverage:
    """Shares of the experiments, and the mean width of the interval of the mean."""

    mean: float
    width: float
    equal: float
    different: float
    decided: float
    wrong_to_baseline: float
    wrong_of_best: float


def coverage(drawn: Experiments, seeds: int, metric: int, truth: dict[str, float]) -> Coverage:
    rows = []
    for value, left in zip(
        drawn.values[:, :, :seeds, metric], drawn.left_out[:, :, :seeds, metric], strict=True
    ):
        names = list(LOSSES)
        result = metric_comparison(METRICS[metric], names, "baseline", value, left, LEVEL, True)
        equal = metric_comparison(
            METRICS[metric], names[:3], "baseline", value[:3], left[:3], LEVEL, True
        )
        means = [(result.mean[name], truth[name]) for name in names]
        gaps = {
            name: (one.difference, truth[name] - truth["baseline"])
            for name, one in result.to_baseline.items()
        }
        rows.append(
            (
                np.mean([rate.low <= true <= rate.high for rate, true in means]),
                np.mean([rate.high - rate.low for rate, _ in means]),
                np.mean([gaps[n][0].low <= 0 <= gaps[n][0].high for n in names[1:3]]),
                gaps["better"][0].low <= gaps["better"][1] <= gaps["better"][0].high,
                result.to_baseline["better"].decided,
                any(one.decided for one in equal.to_baseline.values()),
                any(one.decided for one in equal.best_to.values()),
            )
        )
    return Coverage(*np.mean(rows, axis=0).tolist())


def table(cells: list[tuple[str, int, int, float, float, Coverage]]) -> str:
    lines = [
        "| population | identities | seeds | true mean | held by its interval | width | "
        "equal losses: 0 held | better loss: true difference | held | decided | "
        "equal losses: decided against the baseline | best decided |",
        "|" + "---|" * 12,
    ]
    for name, identities, seeds, mean, gap, one in cells:
        lines.append(
            f"| {name} | {identities} | {seeds} | {mean:.3f} | {100 * one.mean:.1f} % | "
            f"{one.width:.3f} | {100 * one.equal:.1f} % | {gap:+.3f} | "
            f"{100 * one.different:.1f} % | {100 * one.decided:.0f} % | "
            f"{100 * one.wrong_to_baseline:.1f} % | {100 * one.wrong_of_best:.1f} % |"
        )
    return "\n".join(lines)


def page(tables: dict[str, list[tuple[str, int, int, float, float, Coverage]]], head: str) -> str:
    cells = [(metric, *cell) for metric, rows in tables.items() for cell in rows]
    several = [cell for cell in cells if cell[3] > 1]
    low = [
        f"{TITLES[metric]}, {name}, {identities} identities, {seeds} seeds: {what} "
        f"{100 * share:.1f} %"
        for metric, name, identities, seeds, _, _, one in several
        for what, share in (
            ("mean", one.mean), ("no difference", one.equal), ("difference", one.different),
        )
        if share < 0.92
    ]  # fmt: skip
    shares = [s for cell in several for s in (cell[-1].mean, cell[-1].equal, cell[-1].different)]
    alone = [cell[-1].mean for cell in cells if cell[3] == 1]
    wrong = [
        100 * np.array([cell[-1].wrong_to_baseline, cell[-1].wrong_of_best]) for cell in several
    ]
    most, mean = np.max(wrong, axis=0), np.mean(wrong, axis=0)
    summary = (
        f"With three or five seeds, the intervals hold the truth in {100 * min(shares):.1f} % to "
        f"{100 * max(shares):.1f} % of the experiments, in {100 * float(np.mean(shares)):.1f} % on "
        "average: with few identities, and near 0 and 1, they are too wide rather than too narrow. "
        f"Of equal losses, one is decided to differ from the baseline in {mean[0]:.1f} % on "
        f"average and {most[0]:.1f} % at most, and the best from another in {mean[1]:.1f} % and "
        f"{most[1]:.1f} %. With one seed the intervals are over identities only, and hold the mean "
        f"over all seeds in as few as {100 * min(alone):.1f} %: so nothing is decided then."
    )
    summary += "\n\nBelow 92 %:\n\n" + "\n".join(f"- {one}" for one in low or ["none"])
    parts = [f"## {TITLES[metric]}\n\n{table(rows)}" for metric, rows in tables.items()]
    return "\n\n".join([head, summary, *parts]) + "\n"


HEAD = """# How often the intervals of a comparison hold the truth

Written by `python studies/compare_intervals.py`.

`evaluation.compare_runs` compares losses that were trained with several seeds and measured on the
same held-out identities. Its 95 % intervals are of the mean over all seeds and all identities of
this kind. Here embeddings are drawn from three populations whose true means are known. An image's
embedding is the sum of its identity's centre, of what the loss and the run do to that identity, and
of the image's own scatter, which differs between identities and between runs. In the population
"uneven seeds" the runs differ most. There are {losses} losses: the baseline, two equal to it, and
one whose images scatter {less:.0f} % less.

{draws} experiments for each row of 8 and 16 identities, {fewer} of 40, with {images} images an
identity; seeds of the draws 0, 1 and 2; {minutes:.0f} minutes of one core. A share of 95 % has a
standard error of {error:.1f} and {wider:.1f} points if one interval an experiment counts. The truth
of TAR and EER is that of 2,500 identities; that of recall@1, which depends on how many identities
there are, is the mean over all experiments of a row.
The identity that `evaluation/crossed_variance.py` adds, and the shares of it, were chosen on other
draws from these same populations: other populations may give other shares.

A difference is decided where its p-value is below 0.05, corrected by Holm: over the comparisons
with the baseline, or over all pairs for those of the best loss with the others. With one seed
nothing is decided. The last two columns are of the three equal losses alone, where every decision
is wrong."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--draws", type=int, default=300, help="experiments; half of 40 identities")
    draws = parser.parse_args().draws
    start = time.process_time()
    tables: dict[str, list[tuple[str, int, int, float, float, Coverage]]] = {m: [] for m in METRICS}
    for number, (name, population) in enumerate(POPULATIONS.items()):
        by_factor = {factor: pair_truth(population, factor) for factor in set(LOSSES.values())}
        for identities in IDENTITIES:
            drawn = experiments(
                population, identities, draws // 2 if identities > 16 else draws, number
            )
            recall = drawn.values[..., METRICS.index("recall_at_1")].mean(axis=(0, 2))
            for metric, column in ((0, 0), (1, None), (2, 1)):
                truth = {
                    loss: float(recall[LOSSES_OF[factor]].mean())
                    if column is None
                    else float(by_factor[factor][column])
                    for loss, factor in LOSSES.items()
                }
                for seeds in SEEDS:
                    tables[METRICS[metric]].append(
                        (
                            name, identities, seeds, truth["baseline"],
                            truth["better"] - truth["baseline"],
                            coverage(drawn, seeds, metric, truth),
                        )
                    )  # fmt: skip
            print(
                f"{name}, {identities} identities: {time.process_time() - start:.0f} s", flush=True
            )
    head = HEAD.format(
        losses=len(LOSSES), less=100 * (1 - LOSSES["better"]), draws=draws, fewer=draws // 2,
        images=IMAGES, minutes=(time.process_time() - start) / 60,
        error=100 * np.sqrt(0.05 * 0.95 / draws), wider=100 * np.sqrt(0.05 * 0.95 / (draws // 2)),
    )  # fmt: skip
    text = page(tables, head)
    PAGE.write_text(text)
    print(text)


LOSSES_OF = {
    factor: [k for k, one in enumerate(LOSSES.values()) if one == factor]
    for factor in LOSSES.values()
}
"""Places of the losses that are equal."""

if __name__ == "__main__":
    main()
