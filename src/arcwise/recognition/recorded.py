"""What a template records of the image that it was made from."""

from __future__ import annotations

import os
from typing import Any

CONTENT = "content"
"""The key, in a template's metadata, of the digest of the image file it was made from."""


def image_record(
    image: str, root: str | os.PathLike[str], digest: int, landmarks: list[float] | None = None
) -> dict[str, Any]:
    """Return what a template records of an image file.

    Args:
        image: its path, or that in a container.
        root: what a relative path starts from.
        digest: `content_digest` of the file.
        landmarks: what the image is aligned by, if anything.
    """
    place = os.fsencode(os.path.abspath(root)).decode(errors="replace")  # as JSON can hold it
    record: dict[str, Any] = {"image": image, "root": place, CONTENT: f"{digest:016x}"}
    return record if landmarks is None else {**record, "landmarks": landmarks}
