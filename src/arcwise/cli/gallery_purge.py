"""`arcwise gallery purge`."""

from __future__ import annotations

from arcwise.cli.as_json import print_json
from arcwise.cli.positionals import GalleryName
from arcwise.gallery import shown_address
from arcwise.verbs.gallery_purge import purge


def command(gallery: GalleryName, json: bool = False) -> int:
    """Leave no byte of what was removed or changed in a gallery's store.

    What was removed is overwritten at once; this writes all again, so that names and metadata from
    before a change are gone, too. The metadata of templates that are there stay. No other process
    may be reading meanwhile.

    Args:
        gallery: Gallery file, or an address: https://HOST/v1/galleries/NAME of a server,
            postgresql://HOST/DATABASE?gallery=NAME of a database.
        json: Print one JSON document instead.
    """
    purge(gallery)
    place = shown_address(gallery)
    if json:
        print_json({"gallery": place, "purged": True})
    else:
        print(
            f"{place}: nothing is left of what was removed or changed; the metadata of templates "
            "that are there stay, such as paths of images with a name before"
        )
    return 0
