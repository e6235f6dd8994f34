"""`arcwise gallery list`."""

from __future__ import annotations

import sys
from json import dumps
from typing import Annotated

from tyro.conf import Positional, arg

from arcwise.cli.as_json import print_json
from arcwise.cli.positionals import GalleryName
from arcwise.cli.screen import counted
from arcwise.errors import ArcwiseError
from arcwise.gallery import shown_address
from arcwise.verbs.gallery_list import (
    ListedTemplate,
    list_identities,
    list_templates,
    shows_quarantine,
    unmet,
)


def command(
    gallery: GalleryName,
    identity: Annotated[str | None, Positional, arg(metavar="IDENTITY")] = None,
    where: str | None = None,
    quarantined: bool = False,
    json: bool = False,
) -> int:
    """List identities, or the templates of one, those that meet a condition, or in quarantine.

    Args:
        gallery: Gallery file, or an address: https://HOST/v1/galleries/NAME of a server,
            postgresql://HOST/DATABASE?gallery=NAME of a database.
        identity: Identity whose templates are listed, those in quarantine too.
        where: Condition on metadata, such as 'shop == "Berlin"', of the templates to list.
        quarantined: List the templates in quarantine, with the reasons.
        json: Print one JSON document instead.
    """
    if where is not None and quarantined:
        raise ArcwiseError("a condition is on templates that take part; leave out one of the two")
    if identity is None and where is None and not quarantined:
        counts = list_identities(gallery)
        if json:
            print_json({"gallery": shown_address(gallery), "identities": counts})
            return 0
        for name, count in counts.items():
            print(f"{name}  {count:,}")
        return 0
    rows = list_templates(gallery, identity, where=where, quarantined=quarantined)
    if identity is not None and not shows_quarantine(gallery):
        print("warning: a key of the role admin shows templates in quarantine too", file=sys.stderr)
    if where is not None and not rows and (reason := unmet(gallery, where)):
        print(f"warning: {reason}", file=sys.stderr)
    if json:
        print_json({"gallery": shown_address(gallery), "templates": rows})
        return 0
    for row in rows:
        print(_line(row))
    print(counted(len(rows), "template"))
    return 0


def _line(row: ListedTemplate) -> str:
    held = "" if row.quarantine is None else f"  in quarantine: {row.quarantine}"
    quality = "" if row.quality is None else f"  quality {row.quality:.3f}"
    said = dumps(row.metadata, ensure_ascii=False)
    return f"{row.template}  {row.identity}{quality}{held}  {said}"
