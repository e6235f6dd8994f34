"""`arcwise gallery quarantine`."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import Positional, arg

from arcwise.cli.as_json import print_json
from arcwise.cli.positionals import GalleryName
from arcwise.cli.screen import counted
from arcwise.gallery import shown_address
from arcwise.verbs.gallery_quarantine import quarantine


def command(
    gallery: GalleryName,
    templates: Annotated[tuple[int, ...], Positional, arg(metavar="TEMPLATE [TEMPLATE ...]")],
    reason: str,
    json: bool = False,
) -> int:
    """Put templates in quarantine: they are kept, and take part in nothing until released.

    Args:
        gallery: Gallery file, or an address: https://HOST/v1/galleries/NAME of a server,
            postgresql://HOST/DATABASE?gallery=NAME of a database.
        templates: Numbers of templates, as `arcwise gallery list` shows them.
        reason: Why, such as "blurred"; `arcwise gallery list --quarantined` shows it.
        json: Print one JSON document instead.
    """
    count = quarantine(gallery, templates, reason)
    place = shown_address(gallery)
    if json:
        print_json({"gallery": place, "quarantined": count, "reason": reason})
    else:
        numbers = " ".join(map(str, templates))
        print(f"{place}: {counted(count, 'template')} in quarantine: {reason}")
        print(f"to undo: arcwise gallery release {place} {numbers}")
    return 0
