"""`arcwise remove`."""

from __future__ import annotations

from tyro.conf import Positional

from arcwise.cli.as_json import print_json
from arcwise.verbs.remove import remove


def command(gallery: Positional[str], identity: Positional[str], json: bool = False) -> int:
    """Take an identity out of a gallery, and its vectors out of the file.

    Args:
        gallery: The gallery's file.
        identity: Whom to remove.
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
        print(f"{gallery}: removed {' and '.join(removed.forms)} ({removed.templates} pictures)")
    return 0
