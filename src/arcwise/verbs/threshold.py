"""Which of a model's thresholds decides: of a comparison, and of a search in a gallery."""

from __future__ import annotations

from arcwise.errors import ArcwiseError
from arcwise.evaluation import SearchThreshold, Threshold
from arcwise.runtime import Model


def threshold_for(model: Model, far: float | None) -> Threshold | None:
    """The threshold at a false-accept rate; without one, at the lowest that the data resolve.

    Returns:
        None when no rate was asked for and the model has no thresholds.

    Raises:
        ArcwiseError: the model has no threshold for the rate asked for.
    """
    known = sorted(model.thresholds, key=lambda threshold: threshold.far)
    if far is None:
        return next((t for t in known if t.resolved), known[-1] if known else None)
    for threshold in known:
        if abs(threshold.far - far) <= 1e-9 * far:
            return threshold
    rates = ", ".join(f"{t.far:g}" for t in known) or "none: arcwise calibrate measures them"
    raise ArcwiseError(f"{model.path}: no threshold for FAR {far:g}; the model has {rates}")


def threshold_for_search(
    model: Model, enrolled: int, far: float | None, fpir: float | None
) -> Threshold | SearchThreshold | None:
    """The threshold of a search among so many enrolled identities.

    Unless a false-accept rate is asked for, it is the one at a false-positive identification rate
    that was measured in galleries at least as large; of several rates the lowest that the data
    resolve. Where none was, it is `threshold_for` of a single comparison.

    Raises:
        ArcwiseError: both rates are asked for, or one that the model lacks at this size.
    """
    if far is not None and fpir is not None:
        raise ArcwiseError(f"got FAR {far:g} and FPIR {fpir:g}; expected one of the two")
    covering = sorted(
        (t for t in model.search_thresholds if t.gallery >= enrolled),
        key=lambda t: (t.fpir, t.gallery),
    )
    if fpir is not None:
        for threshold in covering:
            if abs(threshold.fpir - fpir) <= 1e-9 * fpir:
                return threshold
        sizes = sorted({(t.fpir, t.gallery) for t in model.search_thresholds})
        known = ", ".join(f"{rate:g} for up to {size}" for rate, size in sizes) or "none"
        raise ArcwiseError(
            f"{model.path}: no threshold for FPIR {fpir:g} among {enrolled} enrolled identities; "
            f"the model has {known}: arcwise calibrate {model.path} DATA --fpir {fpir:g} "
            f"--gallery-size {enrolled} measures one"
        )
    measured = [] if far is not None else [t for t in covering if t.resolved]
    return measured[0] if measured else threshold_for(model, far)
