"""Thresholds for stated error rates, measured on pictures that training never saw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.blocks import upper_blocks
from arcwise.evaluation.intervals import (
    DRAWS,
    FEW,
    mean_over_identities,
    multiplicities,
    percentile_interval,
)
from arcwise.evaluation.plain import from_plain
from arcwise.evaluation.tail import ImpostorTail, impostor_tail
from arcwise.evaluation.thresholds import resolved, weighted_threshold

FARS = (1e-1, 1e-2, 1e-3, 1e-4)


@dataclass(frozen=True)
class Threshold:
    """A similarity from which on two pictures count as one identity, and how that was measured.

    Accepted means at or above `threshold`.

    Attributes:
        far: false-accept rate, the fraction of impostor pairs accepted, at most.
        threshold: cosine, the lowest that keeps the rate.
        low: lower end of the threshold's 95 % interval, from drawing identities.
        high: upper end of it.
        resolved: whether the pairs suffice for this rate: at least ten accepted by chance.
        impostors: impostor pairs it was measured on.
        identities: identities these came from.
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
    tar: float | None
    tar_low: float | None
    tar_high: float | None

    def as_dict(self) -> dict[str, float | int | bool | None]:
        """Return the plain values for a `model.json`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: object) -> Threshold:
        """Return the threshold that `as_dict` described; an older one has no interval of its `tar`.

        Raises:
            ArcwiseError: a key is unknown or missing, or a value is of another kind.
        """
        if isinstance(values, dict) and not {"tar_low", "tar_high"} & values.keys():
            known = values.get("tar") is not None
            ends = (0.0, 1.0) if known else (None, None)
            values = {**values, "tar_low": ends[0], "tar_high": ends[1]}
        return from_plain(cls, values, "a threshold")

    def __str__(self) -> str:
        mark = "" if self.resolved else ", NOT RESOLVED: too few pairs for this rate"
        tar = "" if self.tar is None else f", accepts {self.tar:.2%} of mated pairs"
        ends = f"[{self.low:.4f}, {self.high:.4f}]"
        if (self.low, self.high) == (-1.0, 1.0):
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
        embeddings: (N, D) embeddings; scaled to unit length here.
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
            f"{len(unit)} picture(s) of {identities} identity, expected at least two identities: "
            "a false-accept rate is measured on pairs of different identities"
        )
    rates = inputs.rates("fars", fars)

    mated, owner = _mated(unit, codes)
    tail = impostor_tail(unit, codes, rates, seed)
    spread = _bootstrap(tail, np.bincount(codes), rates, draws, seed)
    found = []
    for rate, threshold, (low, high) in zip(rates, tail.thresholds, spread, strict=True):
        tar = None
        if len(mated):
            tar = mean_over_identities(mated >= threshold, owner, draws=draws, seed=seed)
        found.append(
            Threshold(
                far=rate,
                threshold=threshold,
                low=min(low, threshold),
                high=max(high, threshold),
                resolved=resolved(rate, tail.impostors),
                impostors=tail.impostors,
                identities=identities,
                tar=None if tar is None else float(tar),
                tar_low=None if tar is None else tar.low,
                tar_high=None if tar is None else tar.high,
            )
        )
    return tuple(found)


def _mated(unit: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the similarities of all mated pairs (P,), and their identities (P,)."""
    parts = []
    for block in upper_blocks(unit, codes):
        row, column = np.nonzero(block.mated)
        parts.append((block.similarity[row, column], codes[block.start + row]))
    similarity, owner = (np.concatenate(part) for part in zip(*parts, strict=True))
    return similarity, owner


def _bootstrap(
    tail: ImpostorTail, sizes: np.ndarray, rates: tuple[float, ...], draws: int, seed: int
) -> list[tuple[float, float]]:
    """Return the interval of each rate's threshold when identities are drawn again."""
    found = np.full((len(rates), draws), math.nan)
    for draw, times in enumerate(multiplicities(len(sizes), draws, seed)):
        pictures = sizes * times
        total = (float(pictures.sum()) ** 2 - float((pictures**2).sum())) / 2
        if total > 0:  # not one identity drawn every time
            weight = tail.weight * times[tail.first] * times[tail.second]
            for row, rate in enumerate(rates):
                found[row, draw] = weighted_threshold(tail.similarity, weight, rate, total)
    bounds = [percentile_interval(row) for row in found]
    # Draws of few identities are too much alike: all that is known is that a cosine is in [-1, 1].
    few = len(sizes) < FEW
    return [(-1.0, 1.0) if few or not low < high else (low, high) for low, high in bounds]
