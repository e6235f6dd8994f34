"""The least quality that an image must have to be enrolled."""

from __future__ import annotations

import math

from arcwise.errors import ArcwiseError
from arcwise.runtime import Model


def check_least_quality(model: Model, least: float) -> None:
    """Refuse a least quality that no image can be held to.

    Raises:
        ArcwiseError: the model estimates no quality, or it is no number from 0 on.
    """
    if not model.estimates_quality:
        raise ArcwiseError(
            f"{model.path}: the model estimates no quality, so no image can be refused by it; "
            "leave --least-quality out, or train one that does (--recipe sets)"
        )
    if not 0 <= least < math.inf:
        raise ArcwiseError(f"--least-quality {least:g}; expected 0 or more")
