"""Several images taken for one: a template of them, a query of them, and what that promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arcwise import sets
from arcwise.runtime import Model

TOGETHER = "together"
"""The key, in the metadata of a template of several images, of what is recorded of each of them."""


def pooled(
    vectors: NDArray[np.float32], quality: NDArray[np.float32] | None
) -> tuple[NDArray[np.float32], float | None]:
    """Return the unit vector (D,) of images together, and their mean quality.

    Args:
        vectors: (K, D) of the images.
        quality: (K,) how much each counts; None where all count alike.

    Raises:
        ArcwiseError: the vectors cancel.
    """
    if quality is None:
        return sets.mean(vectors).vectors[0], None
    return sets.quality_weighted(vectors, quality).vectors[0], float(quality.mean())


def weighting(model: Model) -> str:
    """Return how images count in a set, in words."""
    if model.estimates_quality:
        return "weighted by the quality that the model estimates"
    return "counting alike, as the model estimates no quality"


def metadata_of_all(
    each: Sequence[Mapping[str, Any]], quality: NDArray[np.float32] | None
) -> dict[str, Any]:
    """Return what a template of several images records: its best one, and all of them.

    Args:
        each: what a template of one image would record.
        quality: (K,) of the images; where there is none, the first stands for all.
    """
    best = best_image(quality)
    return {**each[best], TOGETHER: [dict(one) for one in each]} if len(each) > 1 else dict(each[0])


def best_image(quality: NDArray[np.float32] | None) -> int:
    """Return which of several images stands for all: the best; without qualities the first."""
    return 0 if quality is None else int(np.argmax(quality))


def images_of(metadata: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what a template records of each of its images; itself, for a template of one."""
    together = metadata.get(TOGETHER)
    if isinstance(together, list) and together and all(isinstance(one, dict) for one in together):
        return together
    return [metadata]


def unmeasured(query_images: int, templates_of_several: bool, gallery: str) -> str:
    """Return why the rate of a threshold does not hold, in words; empty where it holds.

    Args:
        query_images: how many images the query is of.
        templates_of_several: whether it met templates of several images that the threshold was not
            measured with.
        gallery: its path.
    """
    if query_images > 1:
        return (
            f"the threshold was measured for queries of one image; for {query_images} together no "
            "rate was measured, and none is promised"
        )
    if templates_of_several:
        return (
            "the threshold was measured for templates of one image, and some here are of several; "
            "no rate is promised; to measure one: arcwise calibrate MODEL DATA --gallery "
            f"{gallery}"
        )
    return ""
