"""The threshold of a search, and the error rate that it promises in a gallery of this size.

A threshold keeps its false-positive rate in galleries of G' identities with T' templates in all. It
keeps it in a gallery of G identities with T templates, too, where G <= G' and T <= T'. Elsewhere

    FPIR <= 1 - (1 - rate)^c,  c = max(1, G / G', T / T'):

given a query, what one identity adds to -log of the chance of no answer is a concave function of
its templates, 0 for none, and the mean over the queries obeys Jensen's inequality. A threshold for
single comparisons is one for galleries of one template. All of this takes identities, templates and
queries to be of the kind that was measured on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from arcwise.errors import ArcwiseError
from arcwise.evaluation import SearchThreshold, Threshold, describe_search
from arcwise.evaluation.intervals import FEW
from arcwise.gallery.contract import GalleryCalibration, GallerySize

NO_PROMISE = 0.5
"""Bound from which on a false-positive rate is no promise."""

USUAL_BOUND = 0.1
"""Largest bound that decides where no rate is requested."""

_LEAST_DIR = 0.5  # a default rate should find so many, at least


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold, and the rates that it promises in one gallery.

    Attributes:
        threshold: cosine from which on a search answers; with `neighbours` a difference.
        fpir: share of unknown images that get any answer, about: measured where `exact`, else at
            most.
        fpir_interval: lower and upper end of its 95 % interval; 0 and 1 where it was not measured.
        basis: the measured threshold.
        fits: whether that was for as many identities and templates as are enrolled, or more.
        exact: whether it was for just as many.
        dir: share of images of enrolled identities that are found, and the ends of its 95 %
            interval; None where it was not measured with so many templates an identity.
        in_this_gallery: whether it was measured in this gallery.
        neighbours: next identities whose mean similarity is taken off before comparing; 0 where
            the similarity itself is compared.
    """

    threshold: float
    fpir: float
    fpir_interval: tuple[float, float]
    basis: SearchThreshold | Threshold
    fits: bool
    exact: bool
    dir: tuple[float, float, float] | None
    in_this_gallery: bool = False
    neighbours: int = 0

    @property
    def criterion(self) -> str:
        """What a search answers from on, in words."""
        if not self.neighbours:
            return f"similarity >= {self.threshold:.4f}"
        return (
            f"similarity {self.threshold:.4f} or more above the mean of the next {self.neighbours} "
            "identities"
        )

    @property
    def promises(self) -> bool:
        """Whether the rate is a promise.

        A rate of pairs is none where the pairs are of few identities.
        """
        few = isinstance(self.basis, Threshold) and self.basis.identities < FEW
        return self.fpir < NO_PROMISE and not few

    def __str__(self) -> str:
        """Return one sentence with the rates, as counts of images."""
        if not self.promises:
            why = "no threshold was measured for a gallery like this one"
            if self.fpir < NO_PROMISE:
                why = f"its rate was measured on {self.basis.identities} identities, too few"
            return f"how often an unknown image gets an answer is not known: {why}"
        sentence = describe_search(
            self.dir,
            (self.fpir, *self.fpir_interval),
            at_most=not self.exact,
            identities_known=self.basis.identities is not None,
        )
        if self.dir is None:
            sentence += "; how many of enrolled identities are found was not measured"
        return sentence

    def as_dict(self) -> dict[str, object]:
        """Return the plain values for JSON."""
        measured = "pairs"
        if isinstance(self.basis, SearchThreshold):
            measured = (
                "in this gallery" if self.in_this_gallery else "in galleries of other identities"
            )
        return {
            "threshold": self.threshold,
            "neighbours": self.neighbours,
            "fpir": self.fpir if self.promises else None,
            "fpir_interval": None if self.fpir_interval == (0.0, 1.0) else list(self.fpir_interval),
            "fpir_is_bound": not self.exact,
            "dir": None if self.dir is None else self.dir[0],
            "dir_interval": None if self.dir is None else list(self.dir[1:]),
            "measured": measured,
            "basis": self.basis.as_dict(),
        }


def operating_points(
    size: GallerySize,
    thresholds: Iterable[Threshold],
    searches: Iterable[SearchThreshold],
    calibration: GalleryCalibration | None = None,
) -> list[OperatingPoint]:
    """Return the operating point of every resolved threshold in a gallery of this size.

    Each has the best rate that holds: of two similarities the stricter never promises more.

    Args:
        size: of the gallery, not empty.
        thresholds: the model's, for single comparisons.
        searches: the model's, for searches.
        calibration: measured in this gallery, of this or another size.
    """
    points = []
    if calibration is not None:
        then = (calibration.identities, calibration.templates)
        holds, exact = not calibration.outgrown(size), calibration.unchanged(size)
        second = calibration.second_look if exact else None  # no bound holds for it elsewhere
        measured = calibration.thresholds if second is None else second.thresholds
        points += [
            replace(
                _point(one, one.fpir, *then, size, exact, _dir(one, size) if holds else None),
                in_this_gallery=holds,
                neighbours=0 if second is None else second.neighbours,
            )
            for one in measured
        ]
    for one in searches:
        total = one.gallery * (one.templates or 1)
        alike = one.templates is not None and one.templates == size.each
        dir = _dir(one, size) if alike and size.identities <= one.gallery else None
        exact = alike and size.identities == one.gallery
        points.append(_point(one, one.fpir, one.gallery, total, size, exact, dir))
    points += [_point(one, one.far, 1, 1, size, False, None) for one in thresholds]
    return _agreeing([point for point in points if point.basis.resolved])


def bound(rate: float, identities: float, templates: float, size: GallerySize) -> float:
    """Return the upper bound of the false-positive rate in a gallery of this size.

    Args:
        rate: measured in galleries of so many identities and templates.
        identities: G'.
        templates: T', of all identities together.
        size: of the gallery.
    """
    times = max(1.0, size.identities / identities, size.templates / templates)
    return rate if times == 1 else -math.expm1(times * math.log1p(-rate))


def usual_point(points: Sequence[OperatingPoint]) -> OperatingPoint | None:
    """Return the point that decides where no rate is requested; None without points.

    Points that fit come first, of these the ones measured in this gallery. The lowest rate with a
    detection rate of at least one half is taken, or else the highest rate. Where no point fits, it
    is the lowest threshold whose bound is at most `USUAL_BOUND`, or else the lowest bound. Points
    with a promise come before those without. It is what is `nearest` to the rate that it promises.
    """
    chosen = _chosen(points)
    return chosen and (nearest(points, chosen.fpir) or chosen)


def _chosen(points: Sequence[OperatingPoint]) -> OperatingPoint | None:
    points = [one for one in points if one.promises] or points
    fitting = [one for one in points if one.fits]
    own = [one for one in fitting if one.in_this_gallery]
    fitting = own or fitting
    if fitting:
        finding = [one for one in fitting if _dir_at_least(one, points) >= _LEAST_DIR]
        rate = min(o.fpir for o in finding) if finding else max(o.fpir for o in fitting)
        return _preferred([one for one in fitting if one.fpir == rate])
    usual = [one for one in points if one.fpir <= USUAL_BOUND]
    if usual:
        return min(usual, key=lambda one: one.threshold)
    return min(points, key=lambda one: (one.fpir, one.threshold), default=None)


def nearest(points: Sequence[OperatingPoint], fpir: float) -> OperatingPoint | None:
    """Return the point that promises this rate, or the nearest stricter one; None without one.

    Points measured in this gallery come first. Of several at that rate it is one measured with just
    as many templates an identity, or else the lowest threshold: all of them keep the rate.
    """
    kept = [one for one in points if one.promises and one.fpir <= fpir * (1 + 1e-9)]
    own = [one for one in kept if one.in_this_gallery and one.fits]
    return _preferred(own or kept)


def _preferred(points: Sequence[OperatingPoint]) -> OperatingPoint | None:
    """Return the point of highest rate, with a detection rate if possible, and lowest threshold."""
    return min(points, key=lambda one: (-one.fpir, one.dir is None, one.threshold), default=None)


def check_one_rate(far: float | None, fpir: float | None) -> None:
    """Raise where two rates are given.

    Raises:
        ArcwiseError: both are given.
    """
    if far is not None and fpir is not None:
        raise ArcwiseError(f"got FAR {far:g} and FPIR {fpir:g}; expected one of the two")


def _agreeing(points: list[OperatingPoint]) -> list[OperatingPoint]:
    """Return the points with rates that do not contradict each other.

    The rate falls with the threshold. So a stricter point has the rate of a laxer one where that is
    lower, unless it was measured under conditions more like these: then the laxer one is refuted,
    and promises nothing.
    """
    agreed: dict[int, OperatingPoint] = {}
    comparable = [at for at, one in enumerate(points) if one.promises and not one.neighbours]
    comparable.sort(key=lambda at: (_unlike(points[at]), points[at].threshold, points[at].fpir))
    for at in comparable:
        one = points[at]
        laxer = [o for o in agreed.values() if o.threshold <= one.threshold and o.fpir < one.fpir]
        if any(
            o.threshold >= one.threshold and o.fpir > one.fpir and _unlike(o) < _unlike(one)
            for o in agreed.values()
        ):
            points[at] = replace(one, fpir=1.0, fpir_interval=(0.0, 1.0), exact=False, dir=None)
            continue
        if laxer:
            best = min(laxer, key=lambda o: o.fpir)
            high = min(best.fpir_interval[1], one.fpir_interval[1])
            one = replace(one, fpir=best.fpir, fpir_interval=(0.0, high), exact=False)
        agreed[at] = points[at] = one
    return points


def _unlike(point: OperatingPoint) -> int:
    """Return how unlike this gallery it was measured, from 0: in it, or in one of its size."""
    if point.in_this_gallery and point.fits:
        return 0
    return 1 if point.exact else 2 if point.fits else 3


def _point(
    basis: SearchThreshold | Threshold,
    rate: float,
    identities: int,
    templates: int,
    size: GallerySize,
    exact: bool,
    dir: tuple[float, float, float] | None,
) -> OperatingPoint:
    fpir = bound(rate, identities, templates, size)
    fits = size.identities <= identities and size.templates <= templates
    low, high = _interval(basis, size)
    if high < 1:
        high = bound(high, identities, templates, size)
    interval = (low if exact else 0.0, high)
    return OperatingPoint(basis.threshold, fpir, interval, basis, fits, exact, dir)


def _interval(basis: SearchThreshold | Threshold, size: GallerySize) -> tuple[float, float]:
    """Return the interval of a measured rate, for one gallery of this size."""
    if isinstance(basis, SearchThreshold):
        return _widened(basis.fpir, basis.fpir_low, basis.fpir_high, basis, size)
    if basis.far_high >= 1:
        return 0.0, 1.0
    # The rate differs between templates: two standard deviations of a mean over G of them.
    deviations = 2 * basis.far_spread / math.sqrt(size.identities)
    return 0.0, min(1.0, basis.far_high * (1 + deviations))


def _dir(one: SearchThreshold, size: GallerySize) -> tuple[float, float, float] | None:
    if one.dir is None or one.dir_low is None or one.dir_high is None:
        return None
    return one.dir, *_widened(one.dir, one.dir_low, one.dir_high, one, size)


def _widened(
    value: float, low: float, high: float, basis: SearchThreshold, size: GallerySize
) -> tuple[float, float]:
    """Return the interval of one gallery with fewer identities, which differs more from the mean.

    The variance of a mean over G identities, with that of the mean over the I measured ones, is
    proportional to 1 / G + 1 / I.
    """
    if basis.identities is None:
        return low, high
    measured = 1 / basis.identities
    factor = math.sqrt((1 / size.identities + measured) / (1 / basis.gallery + measured))
    factor = max(1.0, factor)
    return max(0.0, value - factor * (value - low)), min(1.0, value + factor * (high - value))


def _dir_at_least(point: OperatingPoint, points: Sequence[OperatingPoint]) -> float:
    """Return the detection rate at a point, or at a stricter one with fewer templates."""
    if point.dir is not None:
        return point.dir[0]
    stricter = (
        one.basis.dir
        for one in points
        if isinstance(one.basis, SearchThreshold)
        and one.basis.dir is not None
        and one.neighbours == point.neighbours
        and one.threshold >= point.threshold
        and (one.basis.templates or 1) == 1
    )
    return max(stricter, default=0.0)
