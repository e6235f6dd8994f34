"""`arcwise gallery release`."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import Positional, arg

from arcwise.cli.as_json import print_json
from arcwise.cli.positionals import GalleryName
from arcwise.cli.screen import counted
from arcwise.gallery import shown_address
from arcwise.verbs.gallery_release import release


def command(
    gallery: GalleryName,
    templates: Annotated[tuple[int, ...], Positional, arg(metavar="TEMPLATE [TEMPLATE ...]")],
    json: bool = False,
) -> int:
    """Let templates in quarantine take part again.

    Args:
        gallery: Gallery file, or an address: https://HOST/v1/galleries/NAME of a server,
            postgresql://HOST/DATABASE?gallery=NAME of a database.
        templates: Numbers of templates, as `arcwise gallery list --quarantined` shows them.
        json: Print one JSON document instead.
    """
    count = release(gallery, templates)
    place = shown_address(gallery)
    if json:
        print_json({"gallery": place, "released": count})
    else:
        print(f"{place}: released {counted(count, 'template')}")
    return 0
