"""Gallery rename: an identity, or some of its templates, get another name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from arcwise.client import Client
from arcwise.errors import GalleryError, suggestion
from arcwise.gallery import open_gallery, shown_address
from arcwise.identity import identity_key
from arcwise.recognition.opening import gallery_may_exist, no_such_gallery
from arcwise.verbs.asking import is_address


def rename(
    gallery: str | Path,
    identity: str,
    name: str,
    *,
    templates: Sequence[int] = (),
    merge: bool = False,
) -> int:
    """Give an identity's templates, those in quarantine too, to another name; return how many.

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
        held = [(one.template, identity_key(one.identity)) for one, _ in store.quarantined()]
        own = [one.template for one in store.templates(identity)]
        own += [template for template, key in held if key == identity_key(identity)]
        if not own:
            hint = suggestion(identity, store.identities()) or "`arcwise gallery list` has all"
            raise GalleryError(f"{shown_address(gallery)}: {identity!r} is not enrolled; {hint}")
        other = next((one for one in templates if one not in own), None)
        if other is not None:
            raise _of_another(gallery, other, identity)
        key = identity_key(name)
        taken = store.forms(name) or key in {one for _, one in held}
        if taken and not merge and key != identity_key(identity):
            raise _taken(gallery, name)
        moved = list(templates) or own
        store.assign(moved, name)
    return len(moved)


def _on_server(
    client: Client, identity: str, name: str, templates: Sequence[int], *, merge: bool
) -> int:
    """Rename by the calls of a server: all at once, or one template after the other."""
    held = [one.template for one in client.quarantined()]
    own = [one.template for one in held if identity_key(one.identity) == identity_key(identity)]
    if templates or not own:
        own += [one.template for one in client.identity(identity).templates]
    other = next((one for one in templates if one not in own), None)
    if other is not None:
        raise _of_another(client.url, other, identity)
    key = identity_key(name)
    if not merge and key != identity_key(identity):
        taken = key in {identity_key(one.identity) for one in held}
        if taken or key in map(identity_key, client.identities()):
            raise _taken(client.url, name)
    for one in templates:
        client.assign(one, name)
    return len(templates) or len(client.rename(identity, name))


def _of_another(gallery: str | Path, template: int, identity: str) -> GalleryError:
    return GalleryError(f"{shown_address(gallery)}: template {template} is not of {identity!r}")


def _taken(gallery: str | Path, name: str) -> GalleryError:
    return GalleryError(
        f"{shown_address(gallery)}: {name!r} is enrolled already; say --merge to make the two one "
        "identity"
    )
