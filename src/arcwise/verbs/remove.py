"""Remove: an identity leaves a gallery, and its vectors leave the file."""

from __future__ import annotations

from pathlib import Path

from arcwise.errors import GalleryError
from arcwise.gallery import open_gallery
from arcwise.verbs.model_of import there


def remove(gallery: str | Path, identity: str) -> int:
    """Remove an identity; returns how many templates it had.

    Raises:
        GalleryError: no gallery, or no such identity in it.
    """
    if not there(gallery):
        raise GalleryError(f"{gallery}: no such gallery; `arcwise enrol` makes one")
    with open_gallery(gallery) as store:
        return store.remove(identity)
