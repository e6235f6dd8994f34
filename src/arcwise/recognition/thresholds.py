"""Which similarity decides: the threshold of a claim, and that of a search in a gallery."""

from __future__ import annotations

from collections import Counter

from arcwise.errors import ArcwiseError
from arcwise.evaluation import Threshold
from arcwise.gallery import (
    Gallery,
    GalleryCalibration,
    GallerySize,
    OperatingPoint,
    Where,
    check_one_rate,
    nearest,
    operating_points,
    usual_point,
)
from arcwise.gallery.filters import condition, never_met
from arcwise.runtime import Model

_MIN_TAR = 0.5  # a default rate should accept so many mated pairs, at least


def verification_threshold(model: Model, far: float | None) -> Threshold | None:
    """Return the threshold at a false-accept rate.

    Without a rate, it is that of the lowest rate that the data resolve and that still accepts
    half of the mated pairs; where none does, of the highest.

    Returns:
        The threshold; None when no rate is requested and the model has no thresholds.

    Raises:
        ArcwiseError: the model has no threshold for the requested rate.
    """
    thresholds = sorted(model.thresholds, key=lambda threshold: threshold.far)
    if far is None:
        resolved = [one for one in thresholds if one.resolved] or thresholds[-1:]
        accepting = [one for one in resolved if one.tar is None or one.tar >= _MIN_TAR]
        return next(iter(accepting or resolved[-1:]), None)
    for threshold in thresholds:
        if abs(threshold.far - far) <= 1e-9 * far:
            return threshold
    rates = ", ".join(f"{t.far:g}" for t in thresholds)
    rates = rates or f"none; measure them: arcwise calibrate {model.path} DATA"
    raise ArcwiseError(f"{model.path}: no threshold for FAR {far:g}; the model has {rates}")


def search_operating_point(
    model: Model,
    size: GallerySize,
    calibration: GalleryCalibration | None,
    *,
    far: float | None = None,
    fpir: float | None = None,
) -> OperatingPoint | None:
    """Return the threshold from which on a search answers, and what it promises in the gallery.

    Args:
        model: with its thresholds.
        size: of the gallery.
        calibration: what was measured against it.
        far: decide by the threshold of a single comparison at this false-accept rate.
        fpir: keep this false-positive identification rate, or the nearest stricter one.

    Returns:
        The operating point; None in an empty gallery, and where no rate is requested and there
        are no thresholds.

    Raises:
        ArcwiseError: both rates are requested, or one that nothing keeps in this gallery.
    """
    check_one_rate(far, fpir)
    points = _points_in(model, size, calibration)
    if far is not None:
        threshold = verification_threshold(model, far)
        assert threshold is not None  # or it raised
        of_pairs = operating_points(size, [threshold], ()) if size.templates else []
        if size.templates and not of_pairs:
            raise ArcwiseError(
                f"{model.path}: the threshold for FAR {far:g} is not resolved, too few pairs: "
                "calibrate on more, or ask for a higher rate"
            )
        return next(iter(of_pairs), None)
    if fpir is None or not size.templates:
        return usual_point(points)
    if not 0 < fpir < 1:
        raise ArcwiseError(f"fpir is {fpir:g}; expected a rate between 0 and 1")
    point = nearest(points, fpir)
    if point is None:
        least = min((one.fpir for one in points if one.promises), default=None)
        kept = "nothing" if least is None else f"{least:.2g} or more"
        enrolled = "1 identity" if size.identities == 1 else f"{size.identities} identities"
        enrolled += f" with {size.templates} template{'s' * (size.templates != 1)}"
        raise ArcwiseError(
            f"{model.path}: no threshold keeps FPIR {fpir:g} among {enrolled}; what it "
            f"has keeps {kept} there: arcwise calibrate "
            f"{model.path} DATA --fpir {fpir:g} --gallery-size {size.identities} --templates "
            f"{-(-size.templates // size.identities)}, or --gallery with the gallery's path"
        )
    return point


def size_where(gallery: Gallery, where: Where) -> GallerySize:
    """Return how much is enrolled: of the part that meets a condition, where there is one.

    Raises:
        GalleryError: the condition cannot be read.
    """
    if where is None:
        return gallery.size()
    part = gallery.templates(where=where)
    counts = Counter(one.identity for one in part).values()
    newest = max((one.template for one in part), default=0)
    fewest, most = min(counts, default=0), max(counts, default=0)
    return GallerySize(len(counts), len(part), fewest, most, newest)


def unmet_condition(gallery: Gallery, where: Where) -> str:
    """Return why no template can meet a condition, in words; empty where one does or could."""
    if where is None or gallery.templates(where=where):
        return ""
    enrolled = gallery.templates()
    return never_met(condition(where), (one.metadata for one in enrolled)) if enrolled else ""


def _points_in(
    model: Model, size: GallerySize, calibration: GalleryCalibration | None
) -> list[OperatingPoint]:
    """Return what every resolved threshold promises in a gallery; [] where nobody is enrolled.

    Where none is resolved, it is the model's most lax one, which promises nothing.
    """
    if not size.templates:
        return []
    points = operating_points(size, model.thresholds, model.search_thresholds, calibration)
    if not points and model.thresholds:
        lax = max(model.thresholds, key=lambda threshold: threshold.far)
        points.append(OperatingPoint(lax.threshold, 1.0, (0.0, 1.0), lax, False, False, None))
    return points
