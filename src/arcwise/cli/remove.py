"""`arcwise remove`."""

from __future__ import annotations

from tyro.conf import Positional

from arcwise.verbs.remove import remove


def command(gallery: Positional[str], identity: Positional[str]) -> int:
    """Take an identity out of a gallery, and its vectors out of the file.

    Args:
        gallery: The gallery's file.
        identity: Whom to remove.
    """
    result = remove(gallery, identity)
    print(f"{gallery}: removed {' and '.join(result.forms)} ({result.templates} pictures)")
    return 0
