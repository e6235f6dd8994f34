"""`arcwise gallery confirm`."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import Positional, arg

from arcwise.cli.as_json import print_json
from arcwise.cli.positionals import GalleryName, IdentityName
from arcwise.cli.screen import counted
from arcwise.errors import ArcwiseError
from arcwise.gallery import shown_address
from arcwise.verbs.gallery_confirm import confirm, take_apart


def command(
    gallery: GalleryName,
    identity: IdentityName,
    name: Annotated[str | None, Positional, arg(metavar="NAME")] = None,
    undo: bool = False,
    merge: bool = False,
    json: bool = False,
) -> int:
    """Say who an identity is that grew by itself, or that it is none.

    Args:
        gallery: Gallery file, or postgresql://HOST/DATABASE?gallery=NAME of a database.
        identity: The identity, such as unknown-0001.
        name: Who it is.
        undo: Take it apart: its templates go into quarantine, and are not put together again.
        merge: Give the templates to somebody who is enrolled under that name.
        json: Print one JSON document instead.
    """
    if (name is None) != undo:
        raise ArcwiseError("name who it is, or say --undo: one of the two")
    if name is None:
        count = take_apart(gallery, identity)
        said = f"{identity} taken apart, {counted(count, 'template')} in quarantine"
    else:
        count = confirm(gallery, identity, name, merge=merge)
        said = f"{identity} is {name} now ({counted(count, 'template')})"
    place = shown_address(gallery)
    if json:
        print_json({"gallery": place, "identity": identity, "name": name, "templates": count})
    else:
        print(f"{place}: {said}")
    return 0
