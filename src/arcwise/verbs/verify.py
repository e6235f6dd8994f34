"""Verify: is this image, or are these images, of the identity that is claimed?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from arcwise.errors import ArcwiseError, ImageError
from arcwise.evaluation import Threshold
from arcwise.gallery import open_gallery
from arcwise.verbs.gallery_model import gallery_model
from arcwise.verbs.gallery_query import (
    embed_query_images,
    query_images,
    verification_threshold,
)
from arcwise.verbs.together import TOGETHER, pooled, unmeasured, weighting


@dataclass(frozen=True)
class Verified:
    """A claimed identity, checked.

    Attributes:
        accepted: whether the similarity reaches the threshold.
        similarity: largest cosine to the identity's templates.
        templates: how many it has.
        threshold: what decided.
        notes: what the user has to know of the image.
        together: how many images were decided on, once.
        weighting: how these counted, in words; empty for one.
        unmeasured: why the threshold's rate does not hold; empty where it does.
        failures: images that could not be read, and did not count.
    """

    accepted: bool
    similarity: float
    templates: int
    threshold: Threshold
    notes: tuple[str, ...] = ()
    together: int = 1
    weighting: str = ""
    unmeasured: str = ""
    failures: tuple[ImageError, ...] = ()


def verify(
    gallery: str | Path,
    identity: str,
    image: str | Path | Sequence[str | Path],
    *,
    together: bool = False,
    far: float | None = None,
    model: str | Path | None = None,
) -> Verified:
    """Compare one image, or several taken together, with one enrolled identity.

    Args:
        gallery: the file.
        identity: who it is said to be.
        image: the image file; or several, or folders of them, with `together`.
        together: whether several images are of one claim, and are decided on once.
        far: false-accept rate; by default the lowest that the model resolves and that still
            accepts half of the mated pairs.
        model: where the gallery's model is now, if it moved.

    Raises:
        ArcwiseError: the identity is not enrolled, the image cannot be read, or the model has
            no threshold.
    """
    sources = [image] if isinstance(image, str | Path) else list(image)
    images = query_images(sources)
    if len(images) != 1 and not together:
        raise ArcwiseError(
            f"{', '.join(map(str, sources))}: got {len(images)} images; verify takes one: name its "
            "file, or say --together if all are of one claim"
        )
    loaded = gallery_model(gallery, model)
    threshold = verification_threshold(loaded, far)
    if threshold is None:
        raise ArcwiseError(
            f"{loaded.path}: the model has no thresholds, so nothing can be accepted; measure "
            f"them: arcwise calibrate {loaded.path} DATA"
        )
    embedded = embed_query_images(loaded, images)
    vector, _ = pooled(embedded.vectors, embedded.quality)
    count = len(embedded.rows)
    with open_gallery(gallery, mode="r", model=loaded) as store:
        result = store.verify(identity, vector)
        several = any(TOGETHER in one for one in store.metadata(identity))
    return Verified(
        accepted=result.similarity >= threshold.threshold,
        similarity=result.similarity,
        templates=result.templates,
        threshold=threshold,
        notes=embedded.notes,
        together=count,
        weighting=weighting(loaded) if count > 1 else "",
        unmeasured=unmeasured(count, several, str(gallery)),
        failures=tuple(embedded.failures),
    )
