"""Verify: is this picture of the identity it is said to be?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from arcwise.errors import ArcwiseError
from arcwise.evaluation import Threshold
from arcwise.gallery import open_gallery
from arcwise.verbs.model_of import model_of
from arcwise.verbs.queries import embed_queries, queries
from arcwise.verbs.threshold import threshold_for


@dataclass(frozen=True)
class Verified:
    """A claim, checked.

    Attributes:
        accepted: whether the similarity reaches the threshold.
        similarity: largest cosine to the identity's templates.
        templates: how many it has.
        threshold: what decided.
    """

    accepted: bool
    similarity: float
    templates: int
    threshold: Threshold


def verify(
    gallery: str | Path,
    identity: str,
    image: str | Path,
    *,
    far: float | None = None,
    model: str | Path | None = None,
) -> Verified:
    """Compare one picture with one enrolled identity.

    Args:
        gallery: the file.
        identity: who it is said to be.
        image: the picture file.
        far: false-accept rate; by default the lowest that the model resolves and that still
            accepts half of the mated pairs.
        model: where the gallery's model is now, if it moved.

    Raises:
        ArcwiseError: the identity is not enrolled, the picture cannot be read, or the model has
            no threshold.
    """
    pictures = queries([image])
    if len(pictures) != 1:
        raise ArcwiseError(f"{image}: got {len(pictures)} pictures; verify takes one")
    loaded = model_of(gallery, model)
    threshold = threshold_for(loaded, far)
    if threshold is None:
        raise ArcwiseError(
            f"{loaded.path}: the model has no thresholds, so nothing can be accepted; arcwise "
            "calibrate measures them"
        )
    (vector,) = embed_queries(loaded, pictures).vectors
    with open_gallery(gallery, mode="r", model=loaded) as store:
        result = store.verify(identity, vector)
    accepted = result.similarity >= threshold.threshold
    return Verified(accepted, result.similarity, result.templates, threshold)
