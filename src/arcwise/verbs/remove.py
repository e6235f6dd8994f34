"""Remove: identities or single templates leave a gallery, and their vectors leave the file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from arcwise.client import Client
from arcwise.errors import GalleryError
from arcwise.gallery import EnrolledTemplate, open_gallery, shown_address
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


def remove_templates(gallery: str | Path, templates: Sequence[int]) -> int:
    """Remove single templates, in quarantine or not; return how many.

    Raises:
        GalleryError: no gallery, or no such template in it; none is removed then, but those that
            a server has removed before it.
    """
    if is_address(gallery):
        with Client(str(gallery)) as client:
            for one in dict.fromkeys(templates):
                client.remove_template(one)
        return len(set(templates))
    if not gallery_may_exist(gallery):
        raise no_such_gallery(gallery)
    with open_gallery(gallery) as store:
        store.remove_templates(templates)
    return len(set(templates))


def remove_quarantined(gallery: str | Path, reason: str) -> dict[str, int]:
    """Remove the templates that are in quarantine for a reason; return how many, by whole reason.

    Args:
        gallery: the file.
        reason: how the reasons begin, such as "audit: remove".

    Raises:
        GalleryError: no gallery, or no template in quarantine for that reason.
    """
    if is_address(gallery):
        with Client(str(gallery)) as client:
            those = _for(reason, [(o.template, o.reason) for o in client.quarantined()], gallery)
            for one in those:
                client.remove_template(one)
        return dict(Counter(those.values()))
    if not gallery_may_exist(gallery):
        raise no_such_gallery(gallery)
    with open_gallery(gallery) as store:
        those = _for(reason, store.quarantined(), gallery)
        store.remove_templates(list(those))
    return dict(Counter(those.values()))


def _for(
    reason: str, held: Sequence[tuple[EnrolledTemplate, str]], gallery: str | Path
) -> dict[int, str]:
    """Return the templates in quarantine whose reason begins so, each with its whole reason.

    Raises:
        GalleryError: there is none.
    """
    those = {one.template: why for one, why in held if reason and why.startswith(reason)}
    if not those:
        reasons = ", ".join(repr(why) for why in sorted({why for _, why in held}))
        there = f"there are: {reasons}" if reasons else "nothing is in quarantine"
        raise GalleryError(
            f"{shown_address(gallery)}: no template is in quarantine for {reason!r}; {there}"
        )
    return those
