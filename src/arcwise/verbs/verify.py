"""Verify: is this image, or are these images, of the identity that is claimed?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from arcwise.errors import ArcwiseError
from arcwise.recognition import Verified
from arcwise.verbs.asking import asked
from arcwise.verbs.query_images import query_images


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
        gallery: the file, or its address on a server.
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
    with asked(gallery, model) as recogniser:
        return recogniser.verify(identity, images, far=far)
