"""Gallery confirm: a person says who an identity is that grew by itself, or takes it apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from arcwise.errors import GalleryError
from arcwise.gallery import open_gallery, shown_address
from arcwise.recognition.growing import GROWN, TAKEN_APART, UNKNOWN, is_grown
from arcwise.recognition.opening import gallery_may_exist, no_such_gallery

CONFIRMED = "grown_as"
"""The key, in a template's metadata, of the name that it had before it was confirmed."""


def confirm(gallery: str | Path, identity: str, name: str, *, merge: bool = False) -> int:
    """Give an identity that grew its name, and return how many templates it has.

    Args:
        gallery: the file.
        identity: `unknown-0001`.
        name: who it is.
        merge: whether somebody may be enrolled under that name, who then has these templates, too.

    Raises:
        GalleryError: no gallery, no such identity, one that did not grow, or a name that is taken.
    """
    if not gallery_may_exist(gallery):
        raise no_such_gallery(gallery)
    with open_gallery(gallery) as store:
        templates = store.templates(identity)
        _check_grown(gallery, identity, [one.metadata for one in templates])
        if store.forms(name) and not merge:
            raise GalleryError(
                f"{shown_address(gallery)}: {name!r} is enrolled already; say --merge to make the "
                "two one identity"
            )
        for one in templates:
            kept = {key: value for key, value in one.metadata.items() if key != GROWN}
            store.annotate(one.template, {**kept, CONFIRMED: one.identity})
        store.assign([one.template for one in templates], name)
    return len(templates)


def take_apart(gallery: str | Path, identity: str) -> int:
    """Undo an identity that grew: its templates go into quarantine, as no sightings.

    Raises:
        GalleryError: no gallery, no such identity, or one that did not grow.
    """
    if not gallery_may_exist(gallery):
        raise no_such_gallery(gallery)
    with open_gallery(gallery) as store:
        templates = store.templates(identity)
        _check_grown(gallery, identity, [one.metadata for one in templates])
        numbers = [one.template for one in templates]
        store.quarantine(numbers, TAKEN_APART)
        store.assign(numbers, UNKNOWN)
    return len(numbers)


def _check_grown(gallery: str | Path, identity: str, metadata: Sequence[Mapping[str, Any]]) -> None:
    if not metadata:
        raise GalleryError(
            f"{shown_address(gallery)}: {identity!r} is not enrolled; `arcwise gallery list`"
        )
    if not is_grown(metadata):
        raise GalleryError(
            f"{shown_address(gallery)}: {identity!r} did not grow by itself; `arcwise gallery "
            "rename` gives it another name"
        )
