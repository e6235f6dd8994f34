"""`arcwise remove`."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import Positional, arg

from arcwise.cli.as_json import print_json
from arcwise.cli.positionals import GalleryName
from arcwise.cli.screen import counted
from arcwise.errors import ArcwiseError
from arcwise.gallery import shown_address
from arcwise.verbs.remove import remove, remove_quarantined, remove_templates


def command(
    gallery: GalleryName,
    identity: Annotated[str | None, Positional, arg(metavar="IDENTITY")] = None,
    templates: tuple[int, ...] = (),
    quarantined: str | None = None,
    json: bool = False,
) -> int:
    """Take an identity or single templates out of a gallery, and their vectors out of the file.

    Args:
        gallery: Gallery file, or an address: https://HOST/v1/galleries/NAME of a server,
            postgresql://HOST/DATABASE?gallery=NAME of a database.
        identity: Identity to remove, with all its templates.
        templates: Numbers of single templates to remove, as `arcwise gallery list` shows them.
        quarantined: Remove, for good, the templates in quarantine whose reason begins so: "audit"
            takes "audit: remove" and "audit: hub" too.
        json: Print one JSON document instead.
    """
    if (identity is not None) + bool(templates) + (quarantined is not None) != 1:
        raise ArcwiseError("name one of these: an identity, --templates, --quarantined")
    place = shown_address(gallery)
    if identity is None:
        reasons: dict[str, int] = {}
        if quarantined is None:
            count = remove_templates(gallery, templates)
        else:
            reasons = remove_quarantined(gallery, quarantined)
            count = sum(reasons.values())
        if json:
            print_json({"gallery": place, "removed": count, "reasons": reasons})
            return 0
        print(f"{place}: removed {counted(count, 'template')}")
        for reason, number in sorted(reasons.items()):
            print(f"  in quarantine for {reason!r}: {number:,}")
        return 0
    removed = remove(gallery, identity)
    if json:
        print_json(
            {
                "gallery": place,
                "identity": identity,
                "forms": list(removed.forms),
                "removed": removed.templates,
            }
        )
    else:
        images = counted(removed.templates, "image")
        print(f"{place}: removed {' and '.join(removed.forms)} ({images})")
    return 0
