"""Verify: is this image of the identity it is said to be?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from arcwise.errors import ArcwiseError
from arcwise.evaluation import Threshold
from arcwise.gallery import open_gallery
from arcwise.verbs.gallery_model import gallery_model
from arcwise.verbs.gallery_query import (
    embed_query_images,
    query_images,
    verification_threshold,
)


@dataclass(frozen=True)
class Verified:
    """A claimed identity, checked.

    Attributes:
        accepted: whether the similarity reaches the threshold.
        similarity: largest cosine to the identity's templates.
        templates: how many it has.
        threshold: what decided.
        notes: what the user has to know of the image.
    """

    accepted: bool
    similarity: float
    templates: int
    threshold: Threshold
    notes: tuple[str, ...] = ()


def verify(
    gallery: str | Path,
    identity: str,
    image: str | Path,
    *,
    far: float | None = None,
    model: str | Path | None = None,
) -> Verified:
    """Compare one image with one enrolled identity.

    Args:
        gallery: the file.
        identity: who it is said to be.
        image: the image file.
        far: false-accept rate; by default the lowest that the model resolves and that still
            accepts half of the mated pairs.
        model: where the gallery's model is now, if it moved.

    Raises:
        ArcwiseError: the identity is not enrolled, the image cannot be read, or the model has
            no threshold.
    """
    images = query_images([image])
    if len(images) != 1:
        raise ArcwiseError(f"{image}: got {len(images)} images; verify takes one: name its file")
    loaded = gallery_model(gallery, model)
    threshold = verification_threshold(loaded, far)
    if threshold is None:
        raise ArcwiseError(
            f"{loaded.path}: the model has no thresholds, so nothing can be accepted; measure "
            f"them: arcwise calibrate {loaded.path} DATA"
        )
    embedded = embed_query_images(loaded, images)
    (vector,) = embedded.vectors
    with open_gallery(gallery, mode="r", model=loaded) as store:
        result = store.verify(identity, vector)
    accepted = result.similarity >= threshold.threshold
    return Verified(accepted, result.similarity, result.templates, threshold, embedded.notes)
