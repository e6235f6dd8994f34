"""Which threshold decides: of a comparison, and of a search in a gallery."""

from __future__ import annotations

from arcwise.errors import ArcwiseError
from arcwise.evaluation import Threshold
from arcwise.gallery import (
    Gallery,
    OperatingPoint,
    check_one_rate,
    nearest,
    operating_points,
    usual_point,
)
from arcwise.runtime import Model

_ACCEPTED = 0.5  # a default rate should accept so many mated pairs, at least


def threshold_for(model: Model, far: float | None) -> Threshold | None:
    """The threshold at a false-accept rate.

    Without one, it is the lowest rate that the data resolve and that still accepts half of the
    mated pairs; where none does, the highest.

    Returns:
        None when no rate was asked for and the model has no thresholds.

    Raises:
        ArcwiseError: the model has no threshold for the rate asked for.
    """
    known = sorted(model.thresholds, key=lambda threshold: threshold.far)
    if far is None:
        known = [one for one in known if one.resolved] or known[-1:]
        accepting = [one for one in known if one.tar is None or one.tar >= _ACCEPTED]
        return next(iter(accepting or known[-1:]), None)
    for threshold in known:
        if abs(threshold.far - far) <= 1e-9 * far:
            return threshold
    rates = ", ".join(f"{t.far:g}" for t in known) or "none: arcwise calibrate measures them"
    raise ArcwiseError(f"{model.path}: no threshold for FAR {far:g}; the model has {rates}")


def points_in(model: Model, gallery: Gallery) -> list[OperatingPoint]:
    """What every resolved threshold promises in a gallery; none where nobody is enrolled.

    Where none is resolved, it is the model's most lax one, which promises nothing.
    """
    size = gallery.size()
    if not size.templates:
        return []
    calibration = gallery.calibration
    points = operating_points(size, model.thresholds, model.search_thresholds, calibration)
    if not points and model.thresholds:
        lax = max(model.thresholds, key=lambda threshold: threshold.far)
        points.append(OperatingPoint(lax.threshold, 1.0, (0.0, 1.0), lax, False, False, None))
    return points


def point_for_search(
    model: Model, gallery: Gallery, far: float | None, fpir: float | None
) -> OperatingPoint | None:
    """Where a search in a gallery answers, and what that promises.

    Args:
        model: with its thresholds.
        gallery: with its size, and what was measured against it.
        far: decide by the threshold of a single comparison at this false-accept rate.
        fpir: keep this false-positive identification rate, or the nearest stricter one.

    Returns:
        None in an empty gallery, and where no rate is asked for and there are no thresholds.

    Raises:
        ArcwiseError: both rates are asked for, or one that nothing keeps in this gallery.
    """
    check_one_rate(far, fpir)
    points = points_in(model, gallery)
    size = gallery.size()
    if far is not None:
        threshold = threshold_for(model, far)
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
        kept = sorted({one.fpir for one in points if one.promises})
        known = ", ".join(f"{rate:.2g}" for rate in kept) or "nothing"
        raise ArcwiseError(
            f"{model.path}: no threshold keeps FPIR {fpir:g} among {size.identities} identities "
            f"with {size.templates} templates; what it has keeps {known} there: arcwise calibrate "
            f"{model.path} DATA --fpir {fpir:g} --gallery-size {size.identities} --templates "
            f"{-(-size.templates // size.identities)}, or --gallery with the gallery's path"
        )
    return point
