"""`arcwise remove`."""

from __future__ import annotations

from arcwise.cli.as_json import print_json
from arcwise.cli.positionals import GalleryName, IdentityName
from arcwise.cli.screen import counted
from arcwise.verbs.remove import remove


def command(gallery: GalleryName, identity: IdentityName, json: bool = False) -> int:
    """Take an identity out of a gallery, and its vectors out of the file.

    Args:
        gallery: Gallery file, or its address on a server: https://HOST/v1/galleries/NAME.
        identity: Identity to remove.
        json: Print one JSON document instead.
    """
    removed = remove(gallery, identity)
    if json:
        print_json(
            {
                "gallery": gallery,
                "identity": identity,
                "forms": list(removed.forms),
                "removed": removed.templates,
            }
        )
    else:
        images = counted(removed.templates, "image")
        print(f"{gallery}: removed {' and '.join(removed.forms)} ({images})")
    return 0
