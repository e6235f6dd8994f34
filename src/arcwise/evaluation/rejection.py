"""Error against share rejected: whether a quality finds the images that are recognised wrongly.

The curve of Grother and Tabassi, Performance of Biometric Quality Measures (PAMI 29, 2007): the
images of lowest quality are rejected, and the error of the others is measured at a threshold that
stays. It falls where the quality is right, and stays where it says nothing.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.calibration import calibrate
from arcwise.evaluation.intervals import (
    DRAWS,
    FEW,
    Rate,
    bootstrapped,
    multiplicities,
    percentile_interval,
    student_factor,
)

SHARES = tuple(round(0.05 * step, 2) for step in range(11))
"""Shares of the images that are rejected."""


@dataclass(frozen=True)
class ErrorVersusReject:
    """The false-reject rate of mated pairs, after images of low quality were rejected.

    Attributes:
        shares: of the images that were really rejected, rising from 0: less than asked for where
            qualities are equal.
        rates: false-reject rate of the pairs that are left, at each share, with its interval.
        ratio: mean of the rates after rejection over the rate before, from drawing identities: 1
            where the quality is worth nothing, less where it is right.
        threshold: similarity that decides, throughout.
        far: false-accept rate of all images at it.
        images: with a mate, of which images are rejected.
        identities: of these.
        pairs: mated pairs before any rejection.
    """

    shares: tuple[float, ...]
    rates: tuple[Rate, ...]
    ratio: Rate
    threshold: float
    far: float
    images: int
    identities: int
    pairs: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values = asdict(self)
        values["rates"] = [[float(one), one.low, one.high] for one in self.rates]
        values["ratio"] = [float(self.ratio), self.ratio.low, self.ratio.high]
        return values

    def __str__(self) -> str:
        verdict = "says nothing that can be told from chance about"
        if self.ratio.high < 1:
            verdict = "finds"
        elif self.ratio.low > 1:
            verdict = "misses, being the wrong way round,"
        fifth = min(range(len(self.shares)), key=lambda place: abs(self.shares[place] - 0.2))
        return (
            f"the quality {verdict} what is recognised wrongly: of {self.pairs:,} mated pairs "
            f"{100 * self.rates[0]:.1f} % are rejected at FAR {self.far:g}, and "
            f"{100 * self.rates[fifth]:.1f} % without the worst {100 * self.shares[fifth]:.0f} % "
            f"of the images. Over all shares up to half of the images, {self.ratio:.2f} times the "
            f"rate before is left on average ({self.ratio.low:.2f} to {self.ratio.high:.2f}); 1 is "
            "a quality worth nothing"
        )


def error_versus_reject(
    embeddings: np.ndarray,
    ids: inputs.Identities,
    quality: np.ndarray,
    *,
    far: float = 1e-2,
    draws: int = DRAWS,
    seed: int = 0,
) -> ErrorVersusReject:
    """Return how the false-reject rate falls when images of low quality are rejected.

    The threshold is that of a false-accept rate of all pairs, before anything is rejected. Only
    images with a mate are counted, and only mated pairs whose images are both kept.

    Args:
        embeddings: (N, D).
        ids: (N,) their identities.
        quality: (N,) higher is better.
        far: false-accept rate of the threshold.
        draws: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        ArcwiseError: no mated pair, or none that is rejected: there is no error to avoid then.
    """
    unit = inputs.embeddings("embeddings", embeddings)
    codes = inputs.codes("ids", ids, len(unit))
    good = inputs.scores("quality", quality, 1)
    if len(good) != len(unit):
        raise ArcwiseError(f"quality has {len(good)} values, expected {len(unit)}: one an image")
    (threshold,) = calibrate(unit, codes, fars=(far,), draws=2)
    mated = np.flatnonzero(np.bincount(codes)[codes] > 1)
    if not len(mated):
        raise ArcwiseError("no identity has two images, so there is no mated pair to reject")
    cuts = np.quantile(good[mated], SHARES, method="higher")
    cuts[0] = -np.inf
    order = mated[np.argsort(codes[mated], kind="stable")]
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    wrong, every = (np.zeros((len(starts), len(SHARES)), np.int64) for _ in range(2))
    for row, members in enumerate(np.split(order, starts[1:])):
        first, second = np.triu_indices(len(members), 1)
        rejected = (unit[members] @ unit[members].T)[first, second] < threshold.threshold
        pair_quality = np.minimum(good[members[first]], good[members[second]])
        # A pair is left at every share whose cut it reaches: the first so many.
        last = np.searchsorted(cuts, pair_quality, side="right") - 1
        for counts, some in ((every, last), (wrong, last[rejected])):
            left = np.bincount(some, minlength=len(SHARES))
            counts[row] = left[::-1].cumsum()[::-1]
    rates = wrong.sum(0) / np.maximum(every.sum(0), 1)
    if not wrong[:, 0].sum():
        raise ArcwiseError(
            f"all {every[:, 0].sum():,} mated pairs are accepted at FAR {far:g}, so there is no "
            "error that a quality could avoid"
        )
    drawn, ratios = [], []
    for count in multiplicities(len(starts), draws, seed):
        with np.errstate(invalid="ignore", divide="ignore"):
            again = (count @ wrong) / (count @ every)
            drawn.append(again)
            ratios.append(np.nanmean(again[1:]) / again[0] if again[0] else np.nan)
    ratio = float(rates[1:].mean() / rates[0])
    return ErrorVersusReject(
        shares=tuple(float((good[mated] < cut).mean()) for cut in cuts),
        rates=tuple(
            bootstrapped(float(rate), [one[place] for one in drawn], len(starts))
            for place, rate in enumerate(rates)
        ),
        ratio=_ratio(ratio, ratios, wrong[:, 0]),
        threshold=threshold.threshold,
        far=far,
        images=len(mated),
        identities=len(starts),
        pairs=int(every[:, 0].sum()),
    )


def _ratio(value: float, drawn: list[float], errors: np.ndarray) -> Rate:
    """Return the ratio with its interval, widened where few identities make all the errors."""
    ratios = np.asarray(drawn)
    ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
    if value <= 0 or len(errors) < FEW or len(ratios) < len(drawn) / 2:
        return Rate(value, 0.0, np.inf)
    low, high = percentile_interval(value * (ratios / value) ** student_factor(errors))
    return Rate(value, min(low, value), max(high, value))
