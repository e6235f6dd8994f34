"""`arcwise gallery rename`."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import Positional, arg

from arcwise.cli.as_json import print_json
from arcwise.cli.positionals import GalleryName, IdentityName
from arcwise.cli.screen import counted
from arcwise.gallery import shown_address
from arcwise.verbs.gallery_rename import rename


def command(
    gallery: GalleryName,
    identity: IdentityName,
    name: Annotated[str, Positional, arg(metavar="NAME")],
    templates: tuple[int, ...] = (),
    merge: bool = False,
    json: bool = False,
) -> int:
    """Give an identity, or some of its templates, another name.

    What a template records of its image stays, its path with the old name too.

    Args:
        gallery: Gallery file, or an address: https://HOST/v1/galleries/NAME of a server,
            postgresql://HOST/DATABASE?gallery=NAME of a database.
        identity: Identity to rename.
        name: Its new name.
        templates: Numbers of the templates to give to the new name; by default all.
        merge: Make one identity of two, where somebody is enrolled under the new name.
        json: Print one JSON document instead.
    """
    moved, paths = rename(gallery, identity, name, templates=templates, merge=merge)
    place = shown_address(gallery)
    if json:
        done = {"gallery": place, "identity": identity, "name": name, "templates": moved}
        print_json({**done, "paths": paths})
    else:
        print(f"{place}: {counted(moved, 'template')} of {identity} now {name}")
        if paths:
            print(
                f"the paths of images in {counted(paths, 'template')} still have {identity!r}: "
                "metadata are kept, and go when the images are enrolled again, or in Python with "
                "gallery.annotate"
            )
    return 0
