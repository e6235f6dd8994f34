"""Which of a model's thresholds decides."""

from __future__ import annotations

from arcwise.errors import ArcwiseError
from arcwise.evaluation import Threshold
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
    rates = ", ".join(f"{t.far:g}" for t in known) or "none: it was trained with --holdout 0"
    raise ArcwiseError(f"{model.path}: no threshold for FAR {far:g}; the model has {rates}")
