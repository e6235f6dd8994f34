"""From embedded images of one identity to the templates that are enrolled of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from arcwise.gallery import NewTemplate
from arcwise.recognition.images import ImageList
from arcwise.recognition.together import best_image, metadata_of_all, pooled
from arcwise.runtime import Embedded


def templates_of(
    identity: str,
    images: ImageList,
    embedded: Embedded,
    *,
    metadata: Mapping[str, Any] | None = None,
    together: bool = False,
) -> list[NewTemplate]:
    """Return a template for each image that could be read, or one for all of them.

    Args:
        identity: whose they are.
        images: that were embedded.
        embedded: of those that could be read, with their small images if any are to be kept.
        metadata: a JSON object, kept with each template beside what is recorded of its image.
        together: whether they become one template.
    """
    recorded = [images.record(row) for row in embedded.rows.tolist()]
    each = [slice(row, row + 1) for row in range(len(recorded))]
    items = []
    for group in [slice(None)] if together else each:
        quality = None if embedded.quality is None else embedded.quality[group]
        vector, mean_quality = pooled(embedded.vectors[group], quality)
        about = {**metadata_of_all(recorded[group], quality), **(metadata or {})}
        small = embedded.thumbnails[group]
        image = small[best_image(quality)] if small else None
        items.append(NewTemplate(identity, vector, about, mean_quality, image))
    return items
