"""Gallery rename: an identity, or some of its templates, get another name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from arcwise.client import Client
from arcwise.errors import GalleryError, suggestion
from arcwise.gallery import open_gallery, shown_address
from arcwise.identity import identity_key
from arcwise.recognition.opening import gallery_may_exist, no_such_gallery
from arcwise.recognition.together import images_of
from arcwise.verbs.asking import is_address


class Renamed(NamedTuple):
    """Templates that have another name.

    Attributes:
        templates: how many.
        paths: how many of them record a path of an image that still has the name before.
    """

    templates: int
    paths: int


def rename(
    gallery: str | Path,
    identity: str,
    name: str,
    *,
    templates: Sequence[int] = (),
    merge: bool = False,
) -> Renamed:
    """Give an identity's templates, those in quarantine too, to another name.

    What a template records of its image stays: its path may have the name before.

    Args:
        gallery: the file, or its address on a server.
        identity: who is renamed.
        name: the new name.
        templates: only these of its templates.
        merge: whether somebody may be enrolled under the new name, who then has these, too.

    Raises:
        GalleryError: no gallery, nobody of that name, a template of somebody else, or somebody is
            enrolled under the new name.
    """
    if is_address(gallery):
        with Client(str(gallery)) as client:
            return _on_server(client, identity, name, templates, merge=merge)
    if not gallery_may_exist(gallery):
        raise no_such_gallery(gallery)
    with open_gallery(gallery) as store:
        held = [one for one, _ in store.quarantined()]
        own = {one.template: one.metadata for one in (*store.templates(identity), *held)
               if identity_key(one.identity) == identity_key(identity)}  # fmt: skip
        if not own:
            hint = suggestion(identity, store.identities()) or "`arcwise gallery list` has all"
            raise GalleryError(f"{shown_address(gallery)}: {identity!r} is not enrolled; {hint}")
        other = next((one for one in templates if one not in own), None)
        if other is not None:
            raise _of_another(gallery, other, identity)
        key = identity_key(name)
        taken = store.forms(name) or key in {identity_key(one.identity) for one in held}
        if taken and not merge and key != identity_key(identity):
            raise _taken(gallery, name)
        moved = list(dict.fromkeys(templates)) or list(own)
        store.assign(moved, name)
    return Renamed(len(moved), sum(_has_name(own[one], identity, name) for one in moved))


def _on_server(
    client: Client, identity: str, name: str, templates: Sequence[int], *, merge: bool
) -> Renamed:
    """Rename by the calls of a server: all at once, or one template after the other."""
    held = [one.template for one in client.quarantined()]
    rows = [one for one in held if identity_key(one.identity) == identity_key(identity)]
    try:
        rows += client.identity(identity).templates
    except GalleryError:  # it has templates in quarantine alone, or none
        if not rows:
            raise
    own = {one.template: one.metadata for one in rows}
    other = next((one for one in templates if one not in own), None)
    if other is not None:
        raise _of_another(client.url, other, identity)
    key = identity_key(name)
    if not merge and key != identity_key(identity):
        taken = key in {identity_key(one.identity) for one in held}
        if taken or key in map(identity_key, client.identities()):
            raise _taken(client.url, name)
    moved = list(dict.fromkeys(templates))
    for one in moved:
        client.assign(one, name)
    moved = moved or client.rename(identity, name)
    return Renamed(len(moved), sum(_has_name(own.get(one, {}), identity, name) for one in moved))


def _has_name(metadata: Mapping[str, Any], before: str, now: str) -> bool:
    """Return whether a path that a template records has the name before, and not the one now."""
    paths = " ".join(
        str(one.get(key, "")) for one in images_of(metadata) for key in ("image", "root")
    )
    return _word(before).search(_word(now).sub(" ", paths)) is not None


def _word(name: str) -> re.Pattern[str]:
    """Return what finds a name that no letter or digit is next to: not the 1 in 12.jpg."""
    return re.compile(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", re.IGNORECASE)


def _of_another(gallery: str | Path, template: int, identity: str) -> GalleryError:
    return GalleryError(f"{shown_address(gallery)}: template {template} is not of {identity!r}")


def _taken(gallery: str | Path, name: str) -> GalleryError:
    return GalleryError(
        f"{shown_address(gallery)}: {name!r} is enrolled already; say --merge to make the two one "
        "identity"
    )
