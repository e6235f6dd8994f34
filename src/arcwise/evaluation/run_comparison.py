"""Several losses, each trained with several seeds, compared on the same held-out identities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.crossed_variance import crossed_difference, crossed_mean, holm
from arcwise.evaluation.identity_jackknife import METRICS, enough_identities, jackknifed_metrics
from arcwise.evaluation.intervals import CONFIDENCE, Rate
from arcwise.evaluation.similarity_matrix import pair_counts
from arcwise.evaluation.thresholds import resolved

FEW = 8
"""With fewer identities of two images or more, no metric is resolved and nothing is decided."""


@dataclass(frozen=True)
class PairedDifference:
    """The difference of two losses in one metric, over the same seeds and identities.

    Attributes:
        name: the loss.
        reference: the loss that it is compared with.
        difference: the mean of the loss minus that of the reference, with its interval.
        p: two-sided p-value of the hypothesis that they are equally good.
        corrected_p: Holm's, over all comparisons of the family.
        decided: whether the corrected p-value is below 1 - level, the metric is resolved, and there
            are two seeds or more: of one run each, nobody knows what another seed would change.
    """

    name: str
    reference: str
    difference: Rate
    p: float
    corrected_p: float
    decided: bool

    def __str__(self) -> str:
        gap = self.difference
        mark = "" if self.decided else " (not decided)"
        return f"{gap:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}] p {self.corrected_p:.2g}{mark}"

    def as_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {
            "name": self.name,
            "reference": self.reference,
            "difference": _plain(self.difference),
            "p": self.p,
            "corrected_p": self.corrected_p,
            "decided": self.decided,
        }


@dataclass(frozen=True)
class MetricComparison:
    """All losses in one metric; p-values are corrected within it, not over several metrics.

    Attributes:
        metric: `tar`, `recall_at_1` or `eer`.
        values: of each loss, the metric of each seed.
        mean: of each loss, the mean over seeds with its interval.
        best: the loss with the best mean.
        to_baseline: of each loss but the baseline, its difference to the baseline. The family of
            Holm's correction are these comparisons.
        pairs: the differences of all losses to each other; the best one stands first in its own.
            The family of the correction are all of these.
        resolved: whether there are enough identities, and enough impostors for the FAR.
    """

    metric: str
    values: Mapping[str, tuple[float, ...]]
    mean: Mapping[str, Rate]
    best: str
    to_baseline: Mapping[str, PairedDifference]
    pairs: tuple[PairedDifference, ...]
    resolved: bool

    @property
    def best_to(self) -> dict[str, PairedDifference]:
        """Of each loss but the best one, the difference of the best one to it."""
        return {one.reference: one for one in self.pairs if one.name == self.best}

    @property
    def not_worse(self) -> tuple[str, ...]:
        """The losses that are not decidedly worse than the best one, and the best one itself."""
        return tuple(n for n in self.mean if n == self.best or not self.best_to[n].decided)

    def as_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {
            "metric": self.metric,
            "values": {name: list(values) for name, values in self.values.items()},
            "mean": {name: _plain(mean) for name, mean in self.mean.items()},
            "best": self.best,
            "to_baseline": {name: one.as_dict() for name, one in self.to_baseline.items()},
            "pairs": [one.as_dict() for one in self.pairs],
            "not_worse": list(self.not_worse),
            "resolved": self.resolved,
        }


@dataclass(frozen=True, eq=False, repr=False)
class RunComparison:
    """The comparison of losses; prints itself.

    Attributes:
        tar: TAR at the false-accept rate `far`, over all pairs of images.
        recall_at_1: share of the images whose nearest other image is of the same identity.
        eer: equal-error rate over all pairs; lower is better.
        far: the false-accept rate of the TAR.
        level: of the intervals.
        baseline: name of the loss that the others are compared with.
        seeds: S. With one, the intervals are over identities only.
        identities: I, held out.
        images: M, of these identities.
    """

    tar: MetricComparison
    recall_at_1: MetricComparison
    eer: MetricComparison
    far: float
    level: float
    baseline: str
    seeds: int
    identities: int
    images: int

    @property
    def names(self) -> tuple[str, ...]:
        """The losses, in the order given."""
        return tuple(self.tar.mean)

    @property
    def deciding(self) -> MetricComparison:
        """The metric that losses are chosen by: TAR, or recall@1 where the FAR is not resolved."""
        return self.tar if self.tar.resolved else self.recall_at_1

    @property
    def interval_covers(self) -> str:
        """What the intervals are over: `identities and seeds`, or `identities only`."""
        return "identities and seeds" if self.seeds > 1 else "identities only"

    def as_dict(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return {
            "far": self.far,
            "level": self.level,
            "baseline": self.baseline,
            "seeds": self.seeds,
            "identities": self.identities,
            "images": self.images,
            "interval_covers": self.interval_covers,
            "deciding": self.deciding.metric,
            "metrics": [one.as_dict() for one in (self.tar, self.recall_at_1, self.eer)],
        }

    def __str__(self) -> str:
        deciding = self.deciding
        title = {"tar": f"TAR@{self.far:g}", "recall_at_1": "recall@1", "eer": "EER"}
        header = ["loss", *title.values(), f"{title[deciding.metric]} - {self.baseline}"]
        rows = [header]
        for name in self.names:
            gap = deciding.to_baseline.get(name)
            means = [str(one.mean[name]) for one in (self.tar, self.recall_at_1, self.eer)]
            rows.append([name, *means, "baseline" if gap is None else str(gap)])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        one = " (decides nothing: at least 2)" if self.seeds == 1 else ""
        few = "" if self.recall_at_1.resolved else f" (too few to decide anything: at least {FEW})"
        notes = [
            f"{self.seeds} seed(s){one}, {self.identities} identities{few}, {self.images} images; "
            f"{100 * self.level:g} % intervals over {self.interval_covers}; p corrected by Holm "
            f"over {len(self.names) - 1} comparison(s) with {self.baseline}",
            f"best: {deciding.best}; not decidedly worse: "
            + (", ".join(n for n in deciding.not_worse if n != deciding.best) or "none"),
        ]
        return "\n".join(lines + notes)

    __repr__ = __str__


def compare_runs(
    runs: Mapping[str, Sequence[np.ndarray]],
    identities: inputs.Identities,
    *,
    far: float = 1e-2,
    baseline: str = "arcface",
    level: float = CONFIDENCE,
) -> RunComparison:
    """Return how losses differ that were trained with the same seeds.

    Both seeds and identities are taken for drawn: an interval holds what the mean over all seeds
    and all identities of this kind would be. It takes M² similarities of memory.

    Args:
        runs: of each loss, one (M, D) array of embeddings of the same images for each seed. Seed k
            of one loss is paired with seed k of the others. D may differ between losses.
        identities: (M,) identities of the images.
        far: false-accept rate of the TAR.
        baseline: name of the loss that the others are compared with.
        level: of the intervals, between 0 and 1.

    Raises:
        ArcwiseError: a baseline that is not among the losses, losses of unequal numbers of seeds,
            too few identities to leave one out, or bad input.
    """
    rate, (confidence,) = inputs.fraction("far", far), inputs.rates("level", (level,))
    if baseline not in runs:
        raise ArcwiseError(f"baseline is {baseline!r}, expected one of {sorted(runs)}")
    seeds = len(runs[baseline])
    if uneven := {name: len(one) for name, one in runs.items() if len(one) != seeds or not seeds}:
        raise ArcwiseError(
            f"{uneven} runs and {seeds} of {baseline}, expected one or more, as many of each loss"
        )
    images = np.size(identities)
    codes = inputs.codes("identities", identities, images)
    if not enough_identities(codes):
        raise ArcwiseError(
            f"{images} images of {len(np.unique(codes))} identities, expected three identities or "
            "more, two of them with two images"
        )
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    values, left_out = [], []
    for name, arrays in runs.items():
        for seed, array in enumerate(arrays):
            unit = inputs.embeddings(f"{name}[{seed}]", array)
            if len(unit) != images:
                raise ArcwiseError(
                    f"{name}[{seed}] has {len(unit)} embeddings, expected {images}: one for each "
                    "of the identities"
                )
            metrics = jackknifed_metrics(unit[order], codes, rate)
            values.append(metrics.value)
            left_out.append(metrics.left_out)
    shape = len(runs), seeds, len(METRICS)
    value = np.reshape(values, shape)
    without = np.moveaxis(np.reshape(left_out, (*shape[:2], -1, shape[2])), 2, 3)
    count = without.shape[-1]
    enough = int(np.count_nonzero(np.bincount(codes) > 1)) >= FEW
    passing = {"tar": resolved(rate, pair_counts(codes)[1])}
    tar, recall, eer = [
        metric_comparison(
            metric, list(runs), baseline, value[..., k], without[:, :, k], confidence,
            enough and passing.get(metric, True),
        )
        for k, metric in enumerate(METRICS)
    ]  # fmt: skip
    return RunComparison(tar, recall, eer, rate, confidence, baseline, seeds, count, images)


def metric_comparison(
    metric: str,
    names: list[str],
    baseline: str,
    values: np.ndarray,
    left_out: np.ndarray,
    level: float,
    resolved: bool,
) -> MetricComparison:
    """Return the comparison of L losses in one metric; (L, S) values, (L, S, I) left out."""
    means = [crossed_mean(row, left) for row, left in zip(values, left_out, strict=True)]
    score = np.array([one.value for one in means])
    best = int(np.argmin(score) if metric == "eer" else np.argmax(score))
    base = names.index(baseline)

    def differences(pairs: list[tuple[int, int]]) -> dict[tuple[int, int], PairedDifference]:
        tests = [
            crossed_difference(
                means[a], means[b], crossed_mean(values[a] - values[b], left_out[a] - left_out[b]),
                level, resolved,
            )
            for a, b in pairs
        ]  # fmt: skip
        corrected = holm(np.array([p for _, p in tests])).tolist()
        return {
            (a, b): PairedDifference(
                names[a], names[b], difference, p, corrected_p,
                resolved and values.shape[1] > 1 and corrected_p < 1 - level,
            )
            for (a, b), (difference, p), corrected_p in zip(pairs, tests, corrected, strict=True)
        }  # fmt: skip

    others = [k for k in range(len(names)) if k != base]
    to_baseline = differences([(k, base) for k in others])
    # The best one stands first in its pairs.
    ranked = [best, *(k for k in range(len(names)) if k != best)]
    all_pairs = differences(list(combinations(ranked, 2)))
    return MetricComparison(
        metric,
        {name: tuple(row.tolist()) for name, row in zip(names, values, strict=True)},
        {name: mean.rate(level, resolved) for name, mean in zip(names, means, strict=True)},
        names[best],
        {names[k]: to_baseline[k, base] for k in others},
        tuple(all_pairs.values()),
        resolved,
    )


def _plain(rate: Rate) -> dict[str, float | bool]:
    return {"value": float(rate), "low": rate.low, "high": rate.high, "resolved": rate.resolved}
