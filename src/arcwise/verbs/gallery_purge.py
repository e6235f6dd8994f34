"""Gallery purge: nothing of what was removed or changed is left in the store."""

from __future__ import annotations

from pathlib import Path

from arcwise.client import Client
from arcwise.gallery import open_gallery
from arcwise.recognition.opening import gallery_may_exist, no_such_gallery
from arcwise.verbs.asking import is_address


def purge(gallery: str | Path) -> None:
    """Write a gallery's store again, so that no byte of what was removed or changed is left.

    Raises:
        GalleryError: no gallery, or another process reads it.
    """
    if is_address(gallery):
        with Client(str(gallery)) as client:
            return client.purge()
    if not gallery_may_exist(gallery):
        raise no_such_gallery(gallery)
    with open_gallery(gallery) as store:
        store.purge()
