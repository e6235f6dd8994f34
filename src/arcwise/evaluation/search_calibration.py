"""Thresholds for searches at stated false-positive identification rates, by size of the gallery.

The rate is the mean over all galleries of G identities with M templates each
(`gallery_mean`). The interval is that of one gallery of other identities (`gallery_draws`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from arcwise.errors import ArcwiseError
from arcwise.evaluation import inputs
from arcwise.evaluation.gallery_bootstrap import gallery_rates
from arcwise.evaluation.gallery_mean import ProbeSimilarities
from arcwise.evaluation.intervals import DRAWS, Rate
from arcwise.evaluation.search_threshold import SearchThreshold
from arcwise.evaluation.thresholds import just_above, resolved

FPIRS = (0.1, 0.05, 0.01, 0.001)
TEMPLATES = (1, 2, 5, 10)

_KEPT = 2**23  # similarities kept; with more, some of the images are searched with
_FEWEST = 2**12  # similarities not halved further in the search for a threshold
_SAMPLE = 2**18  # pairs that the first guess of a floor is taken from
_LEAST = 6  # identities with so many images that more than one template is measured with
_REACH = 3.0  # the floor is so low that this many times the largest rate is kept


def calibrate_search(
    embeddings: np.ndarray,
    ids: inputs.Identities,
    fpirs: Sequence[float] = FPIRS,
    gallery_size: int | None = None,
    *,
    templates: int | None = None,
    seed: int = 0,
    draws: int = DRAWS,
) -> tuple[SearchThreshold, ...]:
    """Return one threshold for each false-positive identification rate, for one kind of gallery.

    Every image in turn is the unknown one, searched in a gallery of G of the other identities,
    each enrolled with M of its images; an identity is as similar as its most similar template.
    The rate is the exact mean over the images, over all choices of the G identities, and over all
    choices of their M images. An identity with fewer than M images is never enrolled, but its
    images are searched with.

    Args:
        embeddings: (N, D) embeddings, scaled to unit length.
        ids: (N,) identities, none of them used in training.
        fpirs: false-positive identification rates, above 0 and below 1.
        gallery_size: identities enrolled, G; by default half of those with M images.
        templates: images enrolled of each, M; by default all that it has.
        seed: of the draws, and of the images searched with where not all are.
        draws: galleries drawn, and draws of identities.

    Raises:
        ArcwiseError: fewer than two identities, too few with M images, a gallery that leaves
            none unknown, or bad input.
    """
    return calibrate_searches(
        embeddings, ids, fpirs, [(gallery_size, templates)], seed=seed, draws=draws
    )


def calibrate_searches(
    embeddings: np.ndarray,
    ids: inputs.Identities,
    fpirs: Sequence[float] = FPIRS,
    galleries: Sequence[tuple[int | None, int | None]] | None = None,
    *,
    seed: int = 0,
    draws: int = DRAWS,
) -> tuple[SearchThreshold, ...]:
    """Return the thresholds of `calibrate_search` for several kinds of galleries.

    Args:
        embeddings: (N, D) embeddings, scaled to unit length.
        ids: (N,) identities, none of them used in training.
        fpirs: false-positive identification rates, above 0 and below 1.
        galleries: identities and templates of each kind, (G, M); the `usual_galleries` where they
            are not given.
        seed: of the draws, and of the images searched with where not all are.
        draws: galleries drawn, and draws of identities.

    Raises:
        ArcwiseError: as in `calibrate_search`.
    """
    unit = inputs.embeddings("embeddings", embeddings)
    codes = inputs.codes("ids", ids, len(unit))
    sizes = np.bincount(codes)
    draws = inputs.whole("draws", draws)
    kinds = [
        (gallery_of(sizes, gallery, templates), templates)
        for gallery, templates in (usual_galleries(sizes) if galleries is None else galleries)
    ]
    if not kinds:
        raise ArcwiseError("galleries is empty, expected one or more pairs (G, M)")
    rates = inputs.rates("fpirs", fpirs)
    searched = _search(unit, codes, max(rates), kinds, seed)
    levels = _levels(searched.impostors_only())
    return tuple(
        _calibrated(searched, levels, rate, gallery, templates, seed, draws)
        for gallery, templates in kinds
        for rate in rates
    )


def search_rates(
    embeddings: np.ndarray,
    ids: inputs.Identities,
    threshold: float,
    gallery_size: int | None = None,
    *,
    templates: int | None = None,
    seed: int = 0,
    draws: int = DRAWS,
) -> tuple[Rate, Rate | None]:
    """Return the false-positive and the detection rate of a given threshold.

    Both are means over all galleries of G identities with M templates each, as in
    `calibrate_search`, with the interval of one gallery. The detection rate is None where no
    identity has M images and one more.

    Args:
        embeddings: (N, D) embeddings, scaled to unit length.
        ids: (N,) identities, none of them used in training.
        threshold: cosine from which on a search answers.
        gallery_size: identities enrolled, G; by default half of those with M images.
        templates: images enrolled of each, M; by default all that it has.
        seed: of the draws.
        draws: galleries drawn, and draws of identities.

    Raises:
        ArcwiseError: as in `calibrate_search`.
    """
    unit = inputs.embeddings("embeddings", embeddings)
    codes = inputs.codes("ids", ids, len(unit))
    gallery = gallery_of(np.bincount(codes), gallery_size, templates)
    draws, threshold = inputs.whole("draws", draws), inputs.real("threshold", threshold)
    searched = ProbeSimilarities.of(unit, codes, np.arange(len(unit)), threshold).above(threshold)
    measured = gallery_rates(searched, gallery, templates, draws, seed)
    return measured.fpir, measured.dir


def usual_galleries(
    sizes: np.ndarray, gallery_size: int | None = None, templates: int | None = None
) -> list[tuple[int, int]]:
    """Return the kinds of galleries (G, M) that so many identities can be measured in.

    1, 2, 5 and 10 templates, and 10, 30, 100, ... identities as long as one with so
    many images is left to be unknown. Also half of these and all but one. More than one template
    takes at least six such identities.

    Args:
        sizes: (I,) images of each identity.
        gallery_size: only galleries of so many identities.
        templates: only galleries with so many templates.
    """
    kinds = []
    for each in TEMPLATES if templates is None else (templates,):
        able = int(np.count_nonzero(sizes >= each))
        most = able - (able == len(sizes))
        if each > 1 and able < _LEAST and templates is None:
            continue
        if gallery_size is not None:
            if gallery_size <= most or each in (1, templates):
                kinds.append((gallery_size, each))
            continue
        steps = (10**power * digit for power in range(1, 9) for digit in (1, 3))
        chosen = {max(1, able // 2), most, *(step for step in steps if step < most)}
        kinds += [(size, each) for size in sorted(chosen) if 1 <= size <= most]
    return kinds


def gallery_of(sizes: np.ndarray, gallery_size: int | None, templates: int | None) -> int:
    """Return G, checked: so many identities can be enrolled with one left to be unknown.

    Args:
        sizes: (I,) images of each identity.
        gallery_size: G; by default half of the identities that have M images.
        templates: M; None for all images of each.

    Raises:
        ArcwiseError: fewer than two identities, none with M images, or G out of range.
    """
    if templates is not None:
        inputs.positive("templates", templates)
    if gallery_size is not None:
        inputs.whole("gallery_size", gallery_size)
    identities, images = len(sizes), int(sizes.sum())
    if identities < 2:
        raise ArcwiseError(
            f"{images} image(s) of {identities} identity, expected at least two identities: "
            "an unknown image is searched among other identities"
        )
    able = int(np.count_nonzero(sizes >= (templates or 1)))
    most = able if able < identities else able - 1
    if most < 1:
        raise ArcwiseError(
            f"{able} of {identities} identities have {templates} images, expected at least one: "
            "give fewer templates an identity, or more images"
        )
    gallery = max(1, min(most, able // 2)) if gallery_size is None else gallery_size
    if not 1 <= gallery <= most:
        few = "" if templates is None else f" with {templates} image(s) or more"
        raise ArcwiseError(
            f"a gallery of {gallery} identities out of {able}{few}, expected 1 to {most}: "
            "the unknown identity must not be in it. A larger one needs more identities"
        )
    return gallery


def _search(
    unit: np.ndarray,
    codes: np.ndarray,
    rate: float,
    kinds: Sequence[tuple[int, int | None]],
    seed: int,
) -> ProbeSimilarities:
    """Return the similarities of unknown images that decide rates up to this one.

    The floor is lowered until several times the rate would be answered there, in the galleries that
    answer least. Where that keeps too many similarities, a random part of the images is searched
    with.
    """
    generator = inputs.generator(seed)
    a, b = generator.integers(len(unit), size=(2, _SAMPLE))
    other = codes[a] != codes[b]
    guess = np.sort(np.einsum("nd,nd->n", unit[a[other]], unit[b[other]]))[::-1]
    smallest = min(kinds, key=lambda kind: kind[0] * (kind[1] or 1))
    share = min(1.0, _REACH * rate / (smallest[0] * (smallest[1] or 1)))
    while True:
        every = share >= 0.5 or not len(guess)
        floor = -np.inf if every else float(guess[int(share * len(guess))])
        kept = len(unit) * (1.0 if every else share) + np.bincount(codes).max()
        probes = np.arange(len(unit))
        if kept * len(unit) > _KEPT:
            part = generator.choice(len(unit), max(1, int(_KEPT / kept)), replace=False)
            probes = np.sort(part)
        searched = ProbeSimilarities.of(unit, codes, probes, floor)
        answered = 1 - float(searched.no_match(*smallest).mean())
        if every or answered >= min(0.99, _REACH * rate):
            return searched
        share *= 1.5


def _calibrated(
    searched: ProbeSimilarities,
    levels: list[ProbeSimilarities],
    rate: float,
    gallery: int,
    templates: int | None,
    seed: int,
    draws: int,
) -> SearchThreshold:
    """Return the threshold of one rate, with its rates and intervals."""
    threshold = _lowest(levels, rate, gallery, templates)
    if not resolved(rate, len(searched.probe)):
        draws = 0  # no interval for such a rate
    measured = gallery_rates(searched.above(threshold), gallery, templates, draws, seed)
    least, most = measured.ratio
    low = -1.0 if least <= 0 else _lowest(levels, rate / least, gallery, templates)
    if low <= just_above(np.float32(searched.floor)):  # it lies below what was kept
        low = -1.0
    high = 1.0 if np.isinf(most) else _lowest(levels, rate / most, gallery, templates)
    return SearchThreshold.measured(
        rate,
        threshold,
        (low, high),
        measured.fpir,
        measured.dir,
        gallery=gallery,
        templates=templates,
        probes=len(searched.probe),
        identities=len(searched.sizes),
    )


def _levels(searched: ProbeSimilarities) -> list[ProbeSimilarities]:
    """Return the similarities above rising floors, each half as many, the fewest first.

    The threshold of a rate is searched in the first that reaches it.
    """
    levels = [searched]
    while (count := len(levels[0].similarity)) > _FEWEST:
        middle = np.partition(levels[0].similarity, count // 2)[count // 2]
        half = levels[0].above(just_above(middle))
        if not len(half.similarity):
            break
        levels.insert(0, half)
    return levels


def _lowest(
    levels: list[ProbeSimilarities], rate: float, gallery: int, templates: int | None
) -> float:
    """Return the lowest threshold that keeps the rate, among those above the floor."""
    allowed = rate * (1 + 1e-9)

    def answered(kept: ProbeSimilarities) -> float:
        return 1 - float(kept.no_match(gallery, templates).mean())

    searched = next((level for level in levels if answered(level) > allowed), levels[-1])
    scores = np.unique(searched.similarity)
    if not len(scores):
        return -1.0
    below, above = -1, len(scores)  # a threshold above scores[above] keeps the rate
    while above - below > 1:
        middle = (below + above) // 2
        reached = searched.above(just_above(scores[middle]))
        if answered(reached) <= allowed:
            above = middle
        else:
            below, searched = middle, reached
    return just_above(scores[min(above, len(scores) - 1)])
