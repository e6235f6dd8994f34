"""Gallery release: templates in quarantine take part again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from arcwise.client import Client
from arcwise.errors import GalleryError
from arcwise.gallery import open_gallery
from arcwise.recognition.opening import gallery_may_exist, no_such_gallery
from arcwise.verbs.asking import is_address


def release(gallery: str | Path, templates: Sequence[int]) -> int:
    """Let templates in quarantine take part again; return how many.

    Raises:
        GalleryError: no gallery, no template is named, or one is not in quarantine; nothing is
            changed then.
    """
    if not templates:
        raise GalleryError("no template is named; `arcwise gallery list --quarantined` has them")
    if is_address(gallery):
        with Client(str(gallery)) as client:
            client.release(templates)
        return len(set(templates))
    if not gallery_may_exist(gallery):
        raise no_such_gallery(gallery)
    with open_gallery(gallery) as store:
        store.release(templates)
    return len(set(templates))
