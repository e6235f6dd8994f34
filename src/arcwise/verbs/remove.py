"""Remove: an identity leaves a gallery, and its vectors leave the file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from arcwise.client import Client
from arcwise.gallery import open_gallery
from arcwise.recognition.opening import gallery_may_exist, no_such_gallery
from arcwise.verbs.asking import is_address


class Removed(NamedTuple):
    """An identity that was removed.

    Attributes:
        templates: how many it had.
        forms: how it was written in the gallery; several where written forms of one identity
            were enrolled (`1` and `001`).
    """

    templates: int
    forms: tuple[str, ...]


def remove(gallery: str | Path, identity: str) -> Removed:
    """Remove an identity, in all its written forms.

    Raises:
        GalleryError: no gallery, or no such identity in it.
    """
    if is_address(gallery):
        with Client(str(gallery)) as client:
            removed = client.remove(identity)
        return Removed(removed.templates, tuple(removed.forms))
    if not gallery_may_exist(gallery):
        raise no_such_gallery(gallery)
    with open_gallery(gallery) as store:
        forms = store.forms(identity)
        return Removed(store.remove(identity), tuple(forms))
