"""Gallery rename: an identity, or some of its templates, get another name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from arcwise.errors import GalleryError, suggestion
from arcwise.gallery import open_gallery
from arcwise.identity import identity_key
from arcwise.recognition.opening import gallery_may_exist, no_such_gallery


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
        gallery: the file.
        identity: who is renamed.
        name: the new name.
        templates: only these of its templates.
        merge: whether somebody may be enrolled under the new name, who then has these, too.

    Raises:
        GalleryError: no gallery, nobody of that name, a template of somebody else, or somebody is
            enrolled under the new name.
    """
    if not gallery_may_exist(gallery):
        raise no_such_gallery(gallery)
    with open_gallery(gallery) as store:
        held = [(one.template, identity_key(one.identity)) for one, _ in store.quarantined()]
        own = [one.template for one in store.templates(identity)]
        own += [template for template, key in held if key == identity_key(identity)]
        if not own:
            hint = suggestion(identity, store.identities()) or "`arcwise gallery list` has all"
            raise GalleryError(f"{gallery}: {identity!r} is not enrolled; {hint}")
        other = next((one for one in templates if one not in own), None)
        if other is not None:
            raise GalleryError(f"{gallery}: template {other} is not of {identity!r}")
        key = identity_key(name)
        taken = store.forms(name) or key in {one for _, one in held}
        if taken and not merge and key != identity_key(identity):
            raise GalleryError(
                f"{gallery}: {name!r} is enrolled already; say --merge to make the two one identity"
            )
        moved = list(templates) or own
        store.assign(moved, name)
    return len(moved)
