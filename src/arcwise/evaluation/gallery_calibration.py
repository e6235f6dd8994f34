"""Thresholds for one gallery as it is, searched by unknown identities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.intervals import (
    DRAWS,
    FEW,
    Rate,
    bootstrapped,
    detection_rate,
    percentile_interval,
    redrawn_means,
    student_factor,
    widened_to_wilson,
    with_countable_ends,
)
from arcwise.evaluation.search_calibration import FPIRS
from arcwise.evaluation.search_threshold import SearchThreshold
from arcwise.evaluation.thresholds import threshold_at


def calibrate_in_gallery(
    similarity: np.ndarray,
    ids: inputs.Identities | None,
    fpirs: Sequence[float] = FPIRS,
    *,
    gallery: int,
    own: np.ndarray | None = None,
    own_ids: inputs.Identities | None = None,
    seed: int = 0,
    draws: int = DRAWS,
) -> tuple[SearchThreshold, ...]:
    """Return one threshold for each false-positive identification rate, in a gallery as it is.

    The gallery is given, only the unknown identities are a sample. The interval of the rate is that
    of as many other unknown identities, so identities are drawn twice: for those measured and for
    the others. Without identities no interval is known, because images of one identity are answered
    alike.

    Args:
        similarity: (U,) similarity of each unknown image to its closest template.
        ids: (U,) their identities, none of them enrolled; None where they are not known.
        fpirs: false-positive identification rates, above 0 and below 1.
        gallery: identities enrolled, G.
        own: (Q,) similarity of further images of enrolled identities to their closest own template;
            minus infinity where another identity is as close.
        own_ids: (Q,) their identities.
        seed: of the draws.
        draws: of identities.

    Raises:
        ArcwiseError: no unknown image, or bad input.
    """
    scores = inputs.scores("similarity", similarity, 1)
    if not len(scores):
        raise ArcwiseError(
            "no image of an unknown identity, expected some of identities that are not enrolled"
        )
    rates, gallery = inputs.rates("fpirs", fpirs), inputs.positive("gallery", gallery)
    if own is not None and own_ids is None:
        raise ArcwiseError("own without own_ids, expected whose images these are")
    if own is not None and np.isnan(own).any():
        raise ArcwiseError("own has NaN, expected similarities, or minus infinity")
    falling = np.sort(scores)[::-1]
    codes = None if ids is None else inputs.codes("ids", ids, len(scores))
    thresholds = []
    for rate in rates:
        threshold = max(-1.0, threshold_at(falling, rate))
        answered = scores >= threshold
        fpir, low, high = Rate(float(answered.mean()), 0.0, 1.0), -1.0, 1.0
        if codes is not None:
            fpir, ratio = _by_identities(answered, codes, seed, draws)
            low, high = (
                threshold_at(falling, min(1.0, rate / r)) if 0 < r < np.inf else end
                for r, end in zip(ratio, (-1.0, 1.0), strict=True)
            )
        hits = None
        if own is not None and own_ids is not None and len(own):
            owner = inputs.codes("own_ids", own_ids, len(own))
            hits = detection_rate(np.asarray(own) >= threshold, owner, draws=draws, seed=seed)
        thresholds.append(
            SearchThreshold.measured(
                rate,
                threshold,
                (low, high),
                fpir if codes is None else with_countable_ends(fpir, len(scores)),
                hits,
                gallery=gallery,
                templates=None,
                probes=len(scores),
                identities=None if codes is None else int(codes.max()) + 1,
            )
        )
    return tuple(thresholds)


def _by_identities(
    answered: np.ndarray, codes: np.ndarray, seed: int, draws: int
) -> tuple[Rate, tuple[float, float]]:
    """Return the rate in another sample, and the ends of that of this one, relative to it."""
    value, identities = float(answered.mean()), int(codes.max()) + 1
    drawn = [redrawn_means(answered, codes, draws=draws, seed=seed + n) for n in (1, 2)]
    ratio = percentile_interval(drawn[0] / value) if value and identities >= FEW else (0.0, np.inf)
    drawn_twice = drawn[0] * drawn[1] / value**2 if value else drawn[0]
    drawn_twice = value * drawn_twice ** student_factor(np.bincount(codes, answered))
    rate = bootstrapped(value, np.minimum(1.0, drawn_twice), identities)
    return widened_to_wilson(rate, identities), ratio
