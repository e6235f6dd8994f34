"""The bootstrap of a search threshold's rates: galleries drawn, and identities drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arcwise.evaluation import inputs
from arcwise.evaluation.gallery_mean import ProbeSimilarities
from arcwise.evaluation.intervals import (
    FEW,
    Rate,
    bootstrapped,
    detection_rate,
    multiplicities,
    percentile_interval,
    student_factor,
    with_countable_ends,
)

_DRAWN = 2**18  # similarities that galleries are drawn from


@dataclass(frozen=True)
class GalleryRates:
    """Rates at one threshold with 95 % intervals.

    Attributes:
        fpir: the false-positive rate, and its interval in one gallery.
        dir: how often an image of an enrolled identity is answered with it, and its interval in
            one gallery; None where no identity has M templates and one image more.
        ratio: lower and upper end of the mean rate of other identities, divided by the one
            measured; 0 and infinity where there is no interval.
    """

    fpir: Rate
    dir: Rate | None
    ratio: tuple[float, float]


def gallery_rates(
    similarities: ProbeSimilarities, enrolled: int, templates: int | None, draws: int, seed: int
) -> GalleryRates:
    """Return the rates of a threshold: means over all galleries, with the interval of one.

    Two things are drawn. Galleries of G identities with M of their images, searched by the others
    or by half of all, show how far one gallery is from the mean. Identities, with replacement, show
    how far the mean itself may be from that of other identities. The interval is that of both
    together. Galleries drawn of these identities lie nearer to their own mean than others would, by
    as much again as the mean is uncertain: so identities are drawn twice.

    Args:
        similarities: the similarities at or above the threshold.
        enrolled: identities in a gallery, G.
        templates: images enrolled of each, M; None for all.
        draws: of each kind.
        seed: of the draws.
    """
    generator = inputs.generator(seed)
    owner, chance = similarities.detection(enrolled, templates)
    value = max(0.0, float(np.mean(1 - similarities.no_match(enrolled, templates))))
    probes = len(similarities.probe)
    count = len(similarities.similarity) + len(similarities.own_similarity)
    if count > _DRAWN:  # the draws then take a part of the probes, which widens the interval a bit
        kept = max(1, len(similarities.probe) * _DRAWN // count)
        similarities = similarities.subset(
            np.sort(generator.choice(len(similarities.probe), kept, replace=False))
        )
    galleries = [_gallery(similarities, enrolled, templates, generator) for _ in range(draws)]
    answered, detected = np.array(galleries, dtype=np.float64).reshape(-1, 2).T
    ratios = [_ratios(similarities, enrolled, templates, draws, seed + repeat) for repeat in (1, 2)]
    enrollable_count = int(np.count_nonzero(similarities.enrollable(templates)))
    identities = min(len(np.unique(similarities.codes[similarities.probe])), enrollable_count)
    mean_answered = np.nanmean(answered) if np.isfinite(answered).any() else 0.0
    ratio = (answered / mean_answered if mean_answered > 0 else answered) * ratios[0] * ratios[1]
    drawn = value * ratio ** student_factor(_answer_counts(similarities, templates))
    fpir = with_countable_ends(bootstrapped(value, np.minimum(1.0, drawn), identities), probes)
    ratio = percentile_interval(ratios[0])
    if identities < FEW or not ratio[0] < ratio[1]:
        ratio = (0.0, np.inf)  # draws of few identities are too much alike

    if not len(owner):
        return GalleryRates(fpir, None, ratio)
    deviation = detected - float(chance.mean())
    return GalleryRates(
        fpir, detection_rate(chance, owner, deviation, draws=draws, seed=seed), ratio
    )


def _gallery(
    similarities: ProbeSimilarities,
    enrolled: int,
    templates: int | None,
    generator: np.random.Generator,
) -> tuple[float, float]:
    """Return the false-positive rate and the detection rate of one gallery that is drawn.

    The unknown probes are of the identities that are not enrolled, and of at least half of all:
    where fewer are left, some search as if they were not enrolled. So the first rate may be a bit
    too low, and is only used relative to its mean.
    """
    codes, enrollable = similarities.codes, np.flatnonzero(similarities.enrollable(templates))
    inside = np.zeros(len(similarities.sizes), dtype=bool)
    inside[generator.choice(enrollable, enrolled, replace=False)] = True
    template = _templates(codes, inside, templates, generator)
    owner = codes[similarities.probe]

    best = np.full(len(similarities.probe), -np.inf)
    hit = template[similarities.image]
    np.maximum.at(best, similarities.row[hit], similarities.similarity[hit])
    turn = generator.permutation(len(inside))
    unknown = turn[np.argsort(inside[turn], kind="stable")][
        : max(len(inside) - enrolled, len(inside) // 2)
    ]
    searching = np.isin(owner, unknown)
    fpir = float(np.mean(best[searching] > -np.inf)) if searching.any() else np.nan

    own = np.full(len(similarities.probe), -np.inf)
    hit = template[similarities.own_image]
    np.maximum.at(own, similarities.own_row[hit], similarities.own_similarity[hit])
    # With all images enrolled, a probe searches with the others of its identity.
    mated = inside[owner] & (
        ~template[similarities.probe] if templates else similarities.sizes[owner] > 1
    )
    detected = float(np.mean(own[mated] > best[mated])) if mated.any() else np.nan
    return fpir, detected


def _templates(
    codes: np.ndarray, inside: np.ndarray, templates: int | None, generator: np.random.Generator
) -> np.ndarray:
    """Return (N,) bool: which images are enrolled, M drawn of each identity that is inside."""
    images = np.flatnonzero(inside[codes])
    if templates is not None:
        images = images[np.lexsort((generator.random(len(images)), codes[images]))]
        new = np.concatenate([[True], np.diff(codes[images]) > 0])
        start = np.flatnonzero(new)[np.cumsum(new) - 1]
        images = images[np.arange(len(images)) - start < templates]
    chosen = np.zeros(len(codes), dtype=bool)
    chosen[images] = True
    return chosen


def _answer_counts(similarities: ProbeSimilarities, templates: int | None) -> np.ndarray:
    """Return (I,) the expected answers that each identity takes part in, unknown or enrolled."""
    row, other, no_match = similarities.near_identities(templates)
    counts = np.bincount(other, 1 - no_match, minlength=len(similarities.sizes))
    searching = similarities.codes[similarities.probe[row]]
    return counts + np.bincount(searching, 1 - no_match, minlength=len(counts))


def _ratios(
    similarities: ProbeSimilarities, enrolled: int, templates: int | None, draws: int, seed: int
) -> np.ndarray:
    """Return (B,) the rates for identities drawn with replacement, divided by their mean.

    Each identity near a probe is enrolled independently of the others, with chance G / N. One
    drawn twice fills two places of a gallery, which has then fewer different ones and a lower rate:
    hence the division.
    """
    row, other, no_match = similarities.near_identities(templates)
    chance = np.minimum(1.0, enrolled / np.maximum(1, similarities.pool_sizes(templates)))
    log_no_match = np.log(np.maximum(1 - chance[row] * (1 - no_match), 1e-300))
    owner = similarities.codes[similarities.probe]
    rates = np.full(draws, np.nan)
    for draw, times in enumerate(multiplicities(len(similarities.sizes), draws, seed)):
        weight = times[owner]
        if weight.any() and np.count_nonzero(times) > 1:
            logs = np.bincount(row, log_no_match * times[other], minlength=len(owner))
            rates[draw] = float(-np.expm1(logs) @ weight) / float(weight.sum())
    valid = rates[~np.isnan(rates)]
    mean = float(valid.mean()) if len(valid) else 0.0
    return rates / mean if mean > 0 else np.full(draws, np.nan)
