"""Thresholds for stated false-accept rates, measured on identities that training never saw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.impostor_sample import ImpostorSample, sample_all_pairs
from arcwise.evaluation.inputs import dataclass_from
from arcwise.evaluation.intervals import (
    DRAWS,
    FEW,
    Rate,
    bootstrapped,
    mean_over_identities,
    multiplicities,
    percentile_interval,
    student_factor,
)
from arcwise.evaluation.similarity_matrix import pair_rows
from arcwise.evaluation.thresholds import resolved, weighted_threshold

FARS = (1e-1, 1e-2, 1e-3, 1e-4)


@dataclass(frozen=True)
class Threshold:
    """The similarity from which on two images count as one identity, with its measured rates.

    Accepted means at or above `threshold`.

    Attributes:
        far: false-accept rate, the fraction of impostor pairs accepted, at most.
        threshold: cosine, the lowest that keeps the rate.
        low: lower end of the threshold's 95 % interval, from drawing identities.
        high: upper end of it.
        resolved: whether the pairs suffice for this rate: at least ten accepted by chance.
        impostors: impostor pairs it was measured on.
        identities: identities these came from.
        far_low: lower end of the rate's 95 % interval, for as many other identities.
        far_high: upper end of it; 1 where it was not measured.
        far_spread: how much the rate differs from identity to identity: the standard deviation,
            divided by the mean.
        tar: true-accept rate at the threshold; None when no identity has two images.
        tar_low: lower end of its 95 % interval, from drawing identities.
        tar_high: upper end of it.
    """

    far: float
    threshold: float
    low: float
    high: float
    resolved: bool
    impostors: int
    identities: int
    far_low: float
    far_high: float
    far_spread: float
    tar: float | None
    tar_low: float | None
    tar_high: float | None

    def as_dict(self) -> dict[str, float | int | bool | None]:
        """Return the plain values for a `model.json`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: object) -> Threshold:
        """Return the threshold that `as_dict` described, also in its older forms.

        Raises:
            ArcwiseError: a key is unknown or missing, or a value is of another kind.
        """
        if isinstance(values, dict):
            low, high = (0.0, 1.0) if values.get("tar") is not None else (None, None)
            for missing in (
                {"tar_low": low, "tar_high": high},
                {"far_low": 0.0, "far_high": 1.0, "far_spread": 0.0},
            ):
                if not missing.keys() & values.keys():
                    values = values | missing
        return dataclass_from(cls, values, "a threshold")

    @property
    def interval(self) -> str:
        """Both ends of the threshold's interval, or that it is not known."""
        if self.low <= -1 and self.high >= 1:
            return "not known"
        return f"{self.low:.4f} – {self.high:.4f}"

    def __str__(self) -> str:
        mark = "" if self.resolved else ", NOT RESOLVED: too few pairs for this rate"
        tar = "" if self.tar is None else f", accepts {self.tar:.2%} of mated pairs"
        ends = f"[{self.low:.4f}, {self.high:.4f}]"
        if self.interval == "not known":
            ends = "(interval not known)"
        return f"FAR {self.far:g}: similarity >= {self.threshold:.4f} {ends}{tar}{mark}"


def calibrate(
    embeddings: np.ndarray,
    ids: inputs.Identities,
    fars: Sequence[float] = FARS,
    *,
    seed: int = 0,
    draws: int = DRAWS,
) -> tuple[Threshold, ...]:
    """Return one threshold for each false-accept rate, from all pairs of the embeddings.

    The thresholds are exact. Their intervals come from drawing identities with replacement
    `draws` times; beyond 32768 impostor pairs the deeper ones enter that through a random sample.

    Args:
        embeddings: (N, D) embeddings, scaled to unit length.
        ids: (N,) identities, none of them used in training.
        fars: false-accept rates, above 0 and below 1.
        seed: of the bootstrap.
        draws: bootstrap samples.

    Raises:
        ArcwiseError: fewer than two identities, so that there is no impostor pair; or bad input.
    """
    unit = inputs.embeddings("embeddings", embeddings)
    codes = inputs.codes("ids", ids, len(unit))
    identities = int(codes.max()) + 1
    if identities < 2:
        raise ArcwiseError(
            f"{len(unit)} image(s) of {identities} identity, expected at least two identities: "
            "a false-accept rate is measured on pairs of different identities"
        )
    rates = inputs.rates("fars", fars)

    mated, owner = _mated(unit, codes)
    impostors = sample_all_pairs(unit, codes, rates, seed)
    sizes = np.bincount(codes)
    drawn = _bootstrap(impostors, sizes, rates, draws, seed)
    calibrated = []
    for rate, threshold, (low, high), fars_drawn in zip(
        rates, impostors.thresholds, *drawn, strict=True
    ):
        far, spread = _false_accept_rate(impostors, threshold, sizes, fars_drawn)
        tar = None
        if len(mated):
            tar = mean_over_identities(mated >= threshold, owner, draws=draws, seed=seed)
        calibrated.append(
            Threshold(
                far=rate,
                threshold=threshold,
                low=min(low, threshold),
                high=max(high, threshold),
                resolved=resolved(rate, impostors.impostors),
                impostors=impostors.impostors,
                identities=identities,
                far_low=far.low,
                far_high=max(rate, far.high),
                far_spread=spread,
                tar=None if tar is None else float(tar),
                tar_low=None if tar is None else tar.low,
                tar_high=None if tar is None else tar.high,
            )
        )
    return tuple(calibrated)


def _mated(unit: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the similarities of all mated pairs (P,), and their identities (P,)."""
    parts = []
    for rows in pair_rows(unit, codes):
        row, column = np.nonzero(rows.mated)
        parts.append((rows.similarity[row, column], codes[rows.start + row]))
    similarity, owner = (np.concatenate(part) for part in zip(*parts, strict=True))
    return similarity, owner


def _bootstrap(
    impostors: ImpostorSample, sizes: np.ndarray, rates: tuple[float, ...], draws: int, seed: int
) -> tuple[list[tuple[float, float]], np.ndarray]:
    """Return the bootstrap interval of the threshold of each rate, from drawing identities.

    Also (R, draws) the rates of the exact thresholds in the draws.
    """
    thresholds, fars = np.full((2, len(rates), draws), math.nan)
    accepted = [_accepted(impostors, threshold) for threshold in impostors.thresholds]
    for draw, times in enumerate(multiplicities(len(sizes), draws, seed)):
        images = sizes * times
        total = (float(images.sum()) ** 2 - float((images**2).sum())) / 2
        if total > 0:  # not one identity drawn every time
            weight = impostors.weight * times[impostors.first] * times[impostors.second]
            for row, rate in enumerate(rates):
                thresholds[row, draw] = weighted_threshold(
                    impostors.similarity, weight, rate, total
                )
                fars[row, draw] = weight[: accepted[row]].sum() / total
    bounds = [percentile_interval(row) for row in thresholds]
    # Draws of few identities are too much alike: the interval is then that of any cosine.
    few = len(sizes) < FEW
    intervals = [(-1.0, 1.0) if few or not low < high else (low, high) for low, high in bounds]
    return intervals, fars


def _false_accept_rate(
    impostors: ImpostorSample, threshold: float, sizes: np.ndarray, drawn: np.ndarray
) -> tuple[Rate, float]:
    """Return the false-accept rate of a threshold, and its spread between identities.

    The interval is that of as many other identities, so each of its values combines two draws.
    """
    accepted = _accepted(impostors, threshold)
    counts = np.zeros(len(sizes))
    for side in (impostors.first, impostors.second):
        counts += np.bincount(side[:accepted], impostors.weight[:accepted], minlength=len(sizes))
    value = float(impostors.weight[:accepted].sum()) / impostors.impostors
    own = counts / (sizes * (sizes.sum() - sizes))
    spread = float(own.std() / own.mean()) if value > 0 else 0.0
    mean = np.nanmean(drawn) if np.isfinite(drawn).any() else 0.0
    ratio = drawn / mean if mean > 0 else drawn
    drawn_twice = value * (ratio * np.roll(ratio, 1)) ** student_factor(counts)
    return bootstrapped(value, np.minimum(1.0, drawn_twice), len(sizes)), spread


def _accepted(impostors: ImpostorSample, threshold: float) -> int:
    """Return how many of the kept impostors are at or above a threshold."""
    return int(np.count_nonzero(impostors.similarity >= threshold))
