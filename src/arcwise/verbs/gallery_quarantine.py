"""Gallery quarantine: templates take part in nothing until they are released."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from arcwise.client import Client
from arcwise.errors import GalleryError
from arcwise.gallery import open_gallery
from arcwise.recognition.opening import gallery_may_exist, no_such_gallery
from arcwise.verbs.asking import is_address


def quarantine(gallery: str | Path, templates: Sequence[int], reason: str) -> int:
    """Let templates take part in nothing until they are released; return how many.

    One that is in quarantine already gets the new reason.

    Raises:
        GalleryError: no gallery, no template is named, there is no such one, or the reason is
            blank; nothing is changed then.
    """
    if not templates:
        raise GalleryError("no template is named; `arcwise gallery list GALLERY IDENTITY` has them")
    if is_address(gallery):
        with Client(str(gallery)) as client:
            client.quarantine(templates, reason)
        return len(set(templates))
    if not gallery_may_exist(gallery):
        raise no_such_gallery(gallery)
    with open_gallery(gallery) as store:
        store.quarantine(templates, reason)
    return len(set(templates))
