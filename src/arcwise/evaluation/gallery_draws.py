"""How sure the rates of a search threshold are: galleries drawn, and identities drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from arcwise.evaluation import inputs
from arcwise.evaluation.gallery_mean import Searched
from arcwise.evaluation.intervals import (
    FEW,
    Rate,
    bootstrapped,
    found_of_others,
    multiplicities,
    percentile_interval,
    stretch,
    whole_images,
)

_DRAWN = 2**18  # similarities that galleries are drawn from


@dataclass(frozen=True)
class Spread:
    """Rates at one threshold with 95 % intervals.

    Attributes:
        fpir: the false-positive rate, and its interval in one gallery.
        dir: how often an image of an enrolled identity is answered with it, and its interval in
            one gallery; None where no identity has M templates and one image more.
        ratio: lower and upper end of the mean rate of other identities, divided by the one
            measured; 0 and infinity where nothing is known.
    """

    fpir: Rate
    dir: Rate | None
    ratio: tuple[float, float]


def spread(
    reached: Searched, enrolled: int, templates: int | None, draws: int, seed: int
) -> Spread:
    """Return the rates of a threshold: means over all galleries, with the interval of one.

    Two things are drawn. Galleries of G identities with M of their images, searched by the others
    or by half of all, show how far one gallery is from the mean. Identities, with replacement, show
    how far the mean itself may be from that of other identities. The interval is that of both
    together. Galleries drawn of these identities lie nearer to their own mean than others would, by
    as much again as the mean is uncertain: so identities are drawn twice.

    Args:
        reached: the similarities at or above the threshold.
        enrolled: identities in a gallery, G.
        templates: images enrolled of each, M; None for all.
        draws: of each kind.
        seed: of the draws.
    """
    generator = inputs.generator(seed)
    owner, chance = reached.found(enrolled, templates)
    value = max(0.0, float(np.mean(1 - reached.silence(enrolled, templates))))
    probes = len(reached.probe)
    count = len(reached.similarity) + len(reached.own_similarity)
    if count > _DRAWN:  # the draws then take a part of the probes, which widens the interval a bit
        kept = max(1, len(reached.probe) * _DRAWN // count)
        reached = reached.part(np.sort(generator.choice(len(reached.probe), kept, replace=False)))
    galleries = [_gallery(reached, enrolled, templates, generator) for _ in range(draws)]
    answered, found = np.array(galleries, dtype=np.float64).reshape(-1, 2).T
    ratios = [_ratios(reached, enrolled, templates, draws, seed + repeat) for repeat in (1, 2)]
    able = int(np.count_nonzero(reached.enrollable(templates)))
    people = min(len(np.unique(reached.codes[reached.probe])), able)
    usual = np.nanmean(answered) if np.isfinite(answered).any() else 0.0
    ratio = (answered / usual if usual > 0 else answered) * ratios[0] * ratios[1]
    drawn = value * ratio ** stretch(_parts(reached, templates))
    fpir = whole_images(bootstrapped(value, np.minimum(1.0, drawn), people), probes)
    ratio = percentile_interval(ratios[0])
    if people < FEW or not ratio[0] < ratio[1]:
        ratio = (0.0, np.inf)  # draws of few identities are too much alike

    if not len(owner):
        return Spread(fpir, None, ratio)
    apart = found - float(chance.mean())
    return Spread(fpir, found_of_others(chance, owner, apart, draws=draws, seed=seed), ratio)


def _gallery(
    reached: Searched, enrolled: int, templates: int | None, generator: np.random.Generator
) -> tuple[float, float]:
    """Return the false-positive rate and the detection rate of one gallery that is drawn.

    Strangers are those who are not enrolled, and at least half of all identities: where fewer are
    left, some search as if they were not enrolled. So the first rate may be a bit too low, and is
    to be set against its mean.
    """
    codes, able = reached.codes, np.flatnonzero(reached.enrollable(templates))
    inside = np.zeros(len(reached.sizes), dtype=bool)
    inside[generator.choice(able, enrolled, replace=False)] = True
    template = _templates(codes, inside, templates, generator)
    owner = codes[reached.probe]

    best = np.full(len(reached.probe), -np.inf)
    hit = template[reached.image]
    np.maximum.at(best, reached.row[hit], reached.similarity[hit])
    turn = generator.permutation(len(inside))
    strangers = turn[np.argsort(inside[turn], kind="stable")][
        : max(len(inside) - enrolled, len(inside) // 2)
    ]
    asking = np.isin(owner, strangers)
    fpir = float(np.mean(best[asking] > -np.inf)) if asking.any() else np.nan

    own = np.full(len(reached.probe), -np.inf)
    hit = template[reached.own_image]
    np.maximum.at(own, reached.own_row[hit], reached.own_similarity[hit])
    # With all images enrolled, a probe searches with the others of its identity.
    known = inside[owner] & (~template[reached.probe] if templates else reached.sizes[owner] > 1)
    found = float(np.mean(own[known] > best[known])) if known.any() else np.nan
    return fpir, found


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


def _parts(reached: Searched, templates: int | None) -> np.ndarray:
    """Return (I,) how much each identity has to do with answers, as a stranger or enrolled."""
    row, other, silent = reached.near(templates)
    parts = np.bincount(other, 1 - silent, minlength=len(reached.sizes))
    asking = reached.codes[reached.probe[row]]
    return parts + np.bincount(asking, 1 - silent, minlength=len(parts))


def _ratios(
    reached: Searched, enrolled: int, templates: int | None, draws: int, seed: int
) -> np.ndarray:
    """Return (B,) the rates for identities drawn with replacement, divided by their mean.

    Each identity near a probe is here enrolled independently of the others, with chance G / N. One
    drawn twice fills two places of a gallery, which has then fewer different ones and a lower rate:
    hence the division.
    """
    row, other, silent = reached.near(templates)
    chance = np.minimum(1.0, enrolled / np.maximum(1, reached.pool(templates)))
    log_silent = np.log(np.maximum(1 - chance[row] * (1 - silent), 1e-300))
    owner = reached.codes[reached.probe]
    rates = np.full(draws, np.nan)
    for draw, times in enumerate(multiplicities(len(reached.sizes), draws, seed)):
        weight = times[owner]
        if weight.any() and np.count_nonzero(times) > 1:
            logs = np.bincount(row, log_silent * times[other], minlength=len(owner))
            rates[draw] = float(-np.expm1(logs) @ weight) / float(weight.sum())
    known = rates[~np.isnan(rates)]
    mean = float(known.mean()) if len(known) else 0.0
    return rates / mean if mean > 0 else np.full(draws, np.nan)
